# What the published 2D tasks share (RegDA, UDAPE): estimator, augmentations, batches of 32 + 32. A task adds its data.
_base_ = ['../default_runtime.py', '../models/td-hm_res101_mpii_256x256.py']
codec = _base_.codec

# pipelines
# RegDA's code, also its source-only network and oracle
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownRandomAffine', input_size=codec['input_size'], rotation=30, crop_area=(0.6, 1.0)),
    dict(type='ColorJitter', brightness=0.25, contrast=0.25, saturation=0.25),
    dict(type='GaussianBlur', sigma=(0.0, 0.8)),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
augmented_target = [step for step in source_pipeline if step['type'] != 'GenerateTarget']
# UDAPE's code; as ViewGenerator's defaults, which the target's views take
ranges = dict(rotation=60, shear=30, translation=0.05, scale=(0.6, 1.3), crop_area=(0.6, 1.0))
udape_source_pipeline = [
    *source_pipeline[:2],
    dict(type='TopdownRandomAffine', input_size=codec['input_size'], **ranges),
    *[step for step in source_pipeline[3:] if step['type'] != 'GaussianBlur'],
]
# without augmentation: for the test, and where views are made in the model
target_pipeline = [
    *source_pipeline[:2],
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]

# loaders
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DomainSampler', quotas=[32, 32]),
    dataset=dict(type='CombinedDataset'),
)
source_only_loader = dict(batch_size=32, sampler=dict(quotas=[32, 0]))
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
)
test_dataloader = val_dataloader

# The published tables count on the heatmap's grid; our own number beside them
val_evaluator = [
    dict(type='GroupedPCK', thr=(0.05, 0.1, 0.2)),
    dict(type='GroupedPCK', thr=0.05, mode='reference', prefix='PCK_reference'),
]
test_evaluator = val_evaluator
