# People whose background's hue follows one arm (look "tied") to people of another look, where it does not ("untied").
# The same cameras and poses in all looks. docs/rendered_people.md says how the pictures are rendered.
_base_ = ['../default_runtime.py', '../models/integral_effnetlite0_lsp_128x128.py']
codec, root = _base_.codec, _base_.root
depth = dict(type='RelativeDepth', skeleton='lsp', root=root)
custom_hooks = [*_base_.custom_hooks, dict(type='ChannelsLastHook')]

# pipelines
crop = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=1.0)]
augmented = [
    *crop,
    dict(type='TopdownRandomAffine', input_size=codec['input_size'], rotation=30, scale=(0.75, 1.25)),
]
source_pipeline = [*augmented, depth, dict(type='GenerateTarget', encoder=codec), dict(type='PackPoseInputs')]
unlabelled_pipeline = [*augmented, dict(type='PackPoseInputs')]
test_pipeline = [
    *crop,
    dict(type='TopdownAffine', input_size=codec['input_size']),
    depth,
    dict(type='PackPoseInputs'),
]

# loaders
workers = dict(num_workers=1, persistent_workers=True)
source = dict(type='RenderedDataset', data_root='data/rendered_looks/source', pipeline=source_pipeline)
unlabelled = dict(
    type='UnlabeledDataset',
    dataset=dict(type='RenderedDataset', data_root='data/rendered_looks/target_train', pipeline=unlabelled_pipeline),
)
labelled_loader = dict(
    **workers,
    batch_size=32,
    sampler=dict(type='DomainSampler', quotas=[32]),
    dataset=dict(type='CombinedDataset', datasets=[source]),
)
pair_loader = dict(
    **workers,
    batch_size=48,
    sampler=dict(type='DomainSampler', quotas=[24, 24]),
    dataset=dict(type='CombinedDataset', datasets=[source, unlabelled]),
)
val_dataloader = dict(
    **workers,
    batch_size=100,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='RenderedDataset', data_root='data/rendered_looks/target_test', pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = val_dataloader
# for the stages that may not see the target
held_out = dict(
    type='HeldOutDomainHook', folders=['data/rendered_looks/target_train', 'data/rendered_looks/target_test']
)
val_evaluator = [dict(type='LiftingMetric', modes=('mpjpe', 'pa-mpjpe', 'pck'), root=root)]
# the arm that the background follows, and the one that it does not
elbow_and_wrist = dict(type='LiftingMetric', modes=('mpjpe',), root=root)
test_evaluator = [
    *val_evaluator,
    dict(**elbow_and_wrist, joints=('left_elbow', 'left_wrist'), prefix='tied_arm'),
    dict(**elbow_and_wrist, joints=('right_elbow', 'right_wrist'), prefix='other_arm'),
]
