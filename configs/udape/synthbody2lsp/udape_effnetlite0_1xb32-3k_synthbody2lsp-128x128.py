_base_ = [
    '../../_base_/tasks/synthbody2lsp_128x128.py',
    '../../_base_/schedules/synthbody_cpu.py',
    '../../_base_/methods/udape.py',
]

model = dict(type='SourceOnly', estimator=_base_.estimator)
stages = [
    _base_.frontal_stage,
    _base_.pretrain_stage,
    dict(
        name='adapt',
        model=_base_.udape,
        custom_hooks=[*_base_.custom_hooks, *_base_.udape_hooks],
        **_base_.last_stage,
    ),
]
