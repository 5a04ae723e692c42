_base_ = [
    '../../_base_/tasks/synthbody2lsp_128x128.py',
    '../../_base_/schedules/synthbody_cpu.py',
    '../../_base_/methods/alignment.py',
]

model = dict(type='SourceOnly', estimator=_base_.estimator)
# augmented as the source is, or its look alone would tell the domains apart
augmented_target = [step for step in _base_.source_pipeline if step['type'] != 'GenerateTarget']
stages = [
    _base_.frontal_stage,
    _base_.pretrain_stage,
    dict(
        name='adapt',
        model=dict(**_base_.regda, estimator=_base_.squared_error),
        train_dataloader=dict(dataset=dict(datasets={'1': dict(dataset=dict(pipeline=augmented_target))})),
        custom_hooks=[*_base_.custom_hooks, *_base_.regda_hooks],
        **_base_.last_stage,
    ),
]
