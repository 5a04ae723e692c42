# Rendered right hands of a clean look to hands before cluttered scenes, which come as sequences without labels; for two
# CPU cores. Render them first, 5 minutes:
#   HANDS="python tools/render_people.py --what hand --side right --size 112 --workers 2 --turned-share 0
#     --frontal-share 1 --frontal-spread 40 --roll 30 --out data/rendered_hands"
#   $HANDS/source --look clean --num 8000 --seed 1
#   $HANDS/target_train --look sport --num 1600 --sequence 16 --seed 2
#   $HANDS/target_test --look sport --num 500 --seed 2 --first 100000
_base_ = ['../default_runtime.py', '../models/td-hm_effnetlite0_hand21_96x96.py']
codec = _base_.codec
custom_hooks = [*_base_.custom_hooks, dict(type='ChannelsLastHook')]
data_root = 'data/rendered_hands/'

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
hands = dict(type='RenderedDataset', joints='hand21', ann_file='annotations/hands.json')
source = dict(**hands, data_root=data_root + 'source', pipeline=source_pipeline)
target = dict(**hands, data_root=data_root + 'target_train', pipeline=target_pipeline)
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
    dataset=dict(**hands, data_root=data_root + 'target_test', pipeline=target_pipeline, test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='GroupedPCK', thr=(0.05, 0.1, 0.2))]
test_evaluator = val_evaluator
