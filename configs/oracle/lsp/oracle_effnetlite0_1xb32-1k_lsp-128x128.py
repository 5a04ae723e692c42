# The upper reference: the target's own labels.
_base_ = ['../../_base_/tasks/synthbody2lsp_128x128.py', '../../_base_/schedules/synthbody_cpu.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
train_dataloader = dict(
    **_base_.source_only_loader,
    dataset=dict(datasets=[dict(**_base_.lsp_trainval, pipeline=_base_.source_pipeline)] * 2),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1200, val_interval=1200)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.04, end=150, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=150, T_max=1050, eta_min_ratio=0.02, by_epoch=False),
]
