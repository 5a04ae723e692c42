# The upper reference: the target's own labels.
_base_ = ['../../_base_/tasks/surreal23dpw_256x256.py', '../../_base_/schedules/erm_70x500.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
train_dataloader = dict(
    batch_size=32,
    sampler=dict(quotas=[32]),
    dataset=dict(datasets=[dict(_base_.three_dpw_3d_train, joints='mpii', pipeline=_base_.source_pipeline)]),
)
