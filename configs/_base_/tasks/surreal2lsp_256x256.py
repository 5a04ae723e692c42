# SURREAL to LSP as published (RegDA, UDAPE): 32 + 32 pictures a batch, ranges of UDAPE's code.
_base_ = [
    '../default_runtime.py',
    '../datasets/surreal.py',
    '../datasets/lsp.py',
    '../models/td-hm_res101_mpii_256x256.py',
]
codec = _base_.codec
# as ViewGenerator's defaults, which the target's views take
ranges = dict(rotation=60, shear=30, translation=0.05, scale=(0.6, 1.3), crop_area=(0.6, 1.0))

# pipelines
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownRandomAffine', input_size=codec['input_size'], **ranges),
    dict(type='ColorJitter', brightness=0.25, contrast=0.25, saturation=0.25),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
# The target's views are made in the model, from this one crop.
target_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]

# loaders
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DomainSampler', quotas=[32, 32]),
    dataset=dict(
        type='CombinedDataset',
        datasets=[
            dict(**_base_.surreal_train, pipeline=source_pipeline),
            dict(type='UnlabeledDataset', dataset=dict(**_base_.lsp_reference, pipeline=target_pipeline)),
        ],
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(**_base_.lsp_reference_test, pipeline=target_pipeline),
)
test_dataloader = val_dataloader
