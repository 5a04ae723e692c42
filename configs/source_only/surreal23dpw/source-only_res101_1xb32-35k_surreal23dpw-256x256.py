_base_ = ['../../_base_/tasks/surreal23dpw_256x256.py', '../../_base_/schedules/erm_70x500.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
train_dataloader = _base_.source_only_loader
