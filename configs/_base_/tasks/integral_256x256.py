# What the 3D tasks of pictures at the paper's size share: pipelines, loaders and stages. A task adds joint set, root,
# range of depth and data.
_base_ = [
    '../default_runtime.py',
    '../models/integral_res50_256x256.py',
    '../methods/causal_intervention.py',
    '../schedules/causal_paper.py',
]

# pipelines, but for what depends on the joint set
crop = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=1.0)]
size = _base_.codec['input_size']
augmented = [
    *crop,
    dict(type='TopdownRandomAffine', input_size=size, rotation=30, scale=(0.75, 1.25)),
    dict(type='ColorJitter', brightness=0.25, contrast=0.25, saturation=0.25),
]
still = [*crop, dict(type='TopdownAffine', input_size=size)]

# loaders
workers = dict(num_workers=8, persistent_workers=True)
labelled_loader = dict(**workers, batch_size=64, sampler=dict(type='DomainSampler', quotas=[64]))
train_dataloader = dict(
    **workers,
    batch_size=64,
    sampler=dict(type='DomainSampler', quotas=[32, 32]),
    dataset=dict(type='CombinedDataset'),
)
# of three unlabelled data sets as much each
several = dict(batch_size=62, sampler=dict(quotas=[32, 10, 10, 10]))
val_dataloader = dict(
    **workers, batch_size=32, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict()
)
test_dataloader = val_dataloader

# stages
pretrain_stage = dict(**_base_.pretrain_stage, **_base_.pretrain_schedule, train_dataloader=labelled_loader)
vae_stage = dict(**_base_.vae_stage, **_base_.vae_schedule)
vae_stage['model']['data_preprocessor'] = _base_.estimator.data_preprocessor
warm_up_stage = dict(**_base_.warm_up_stage, **_base_.warm_up_schedule)
causal_stage = dict(_base_.causal_stage, **_base_.causal_schedule)
causal_stage['optim_wrapper'] = dict(**_base_.learned.optim_wrapper, **_base_.causal_schedule.optim_wrapper)
stages = [pretrain_stage, vae_stage, warm_up_stage, causal_stage]
baseline_stages = [pretrain_stage, dict(**_base_.baseline_stage, **_base_.adapt_schedule)]
