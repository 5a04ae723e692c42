_base_ = ['../../_base_/tasks/synthbody2lsp_128x128.py', '../../_base_/schedules/synthbody_cpu.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
stages = [
    _base_.frontal_stage,
    _base_.pretrain_stage,
    dict(name='continue', train_dataloader=_base_.source_only_loader, **_base_.last_stage),
]
