# Rendered figures of one look to those of another, which come as sequences without labels; for two CPU cores. A task
# adds the estimator's head and says which figures, and where.
_base_ = ['../default_runtime.py', '../models/td-hm_effnetlite0_lsp_96x96.py']
codec = _base_.codec
custom_hooks = [*_base_.custom_hooks, dict(type='ChannelsLastHook')]

# pipelines
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(
        type='TopdownRandomAffine',
        input_size=codec['input_size'],
        rotation=45,
        shear=10,
        translation=0.05,
        scale=(0.75, 1.25),
        crop_area=(0.8, 1.0),
    ),
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='ScreenPose'),
    dict(type='PackPoseInputs'),
]
# the model makes the views of the target and of pairs
target_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]

# loaders
source = dict(type='RenderedDataset', pipeline=source_pipeline)
target = dict(type='RenderedDataset', pipeline=target_pipeline)
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DomainSampler', quotas=[32, 32, 0]),
    dataset=dict(
        type='CombinedDataset',
        datasets=[
            source,
            dict(type='UnlabeledDataset', dataset=target),
            dict(type='PairSequenceDataset', dataset=target, sequence='fields', gap=(1, 8)),
        ],
    ),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**target, test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='GroupedPCK', thr=(0.05, 0.1, 0.2))]
test_evaluator = val_evaluator
