# The upper reference: the target's own labels.
_base_ = ['../../_base_/tasks/freihand2rhd_256x256.py', '../../_base_/schedules/erm_70x500.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
train_dataloader = dict(
    batch_size=32,
    sampler=dict(quotas=[32]),
    dataset=dict(datasets=[dict(**_base_.rhd_train, pipeline=_base_.source_pipeline)]),
)
