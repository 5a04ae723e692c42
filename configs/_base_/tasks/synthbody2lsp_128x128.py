# Rendered people (data/rendered_people) to real sport photos (data/lspet_subset), sized for two CPU cores.
_base_ = [
    '../default_runtime.py',
    '../datasets/rendered_people.py',
    '../datasets/lspet_subset.py',
    '../models/td-hm_effnetlite0_lsp_128x128.py',
]
codec = _base_.codec
custom_hooks = [*_base_.custom_hooks, dict(type='ChannelsLastHook')]

# pipelines
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='TopdownRandomAffine',
        input_size=codec['input_size'],
        rotation=40,
        shear=15,
        translation=0.08,
        scale=(0.65, 1.25),
        crop_area=(0.7, 1.0),
    ),
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
# The target's views are made in the model, from this one crop.
target_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
test_pipeline = [step for step in target_pipeline if step['type'] != 'RandomFlip']

# loaders
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DomainSampler', quotas=[32, 32]),
    dataset=dict(
        type='CombinedDataset',
        datasets=[
            dict(**_base_.rendered_train, pipeline=source_pipeline),
            dict(type='UnlabeledDataset', dataset=dict(**_base_.lsp_trainval, pipeline=target_pipeline)),
        ],
    ),
)
val_dataloader = dict(
    batch_size=100,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**_base_.lsp_test, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = _base_.val_evaluator
test_evaluator = val_evaluator
