# Adaptation: pictures of the target without labels ("SD + TD").
_base_ = [
    '../../_base_/tasks/rendered_looks_128x128.py',
    '../../_base_/methods/causal_intervention.py',
    '../../_base_/schedules/causal_cpu.py',
]

model = dict(estimator=_base_.estimator)
train_dataloader = _base_.pair_loader

pretrain_stage = dict(_base_.pretrain_stage, **_base_.pretrain_schedule, train_dataloader=_base_.labelled_loader)
# the source alone: the rows of generalisation, which may not see the target, start from it too
pretrain_stage['custom_hooks'] = [*_base_.custom_hooks, _base_.held_out]
vae_stage = dict(_base_.vae_stage, **_base_.vae_schedule)
vae_stage['model']['data_preprocessor'] = _base_.estimator.data_preprocessor
warm_up_stage = dict(_base_.warm_up_stage, **_base_.warm_up_schedule)
causal_stage = dict(_base_.causal_stage, **_base_.causal_schedule)
causal_stage['optim_wrapper'] = dict(_base_.learned.optim_wrapper, **_base_.causal_schedule.optim_wrapper)
stages = [pretrain_stage, vae_stage, warm_up_stage, causal_stage]
for stage in stages[1:]:
    stage['model']['vae'] = dict(stage['model']['vae'], input_size=64)
# ten times the usual rate: the generator has a few hundred iterations
quick_generator = dict(optimizer=dict(_base_.adversarial.optimizer, lr=2e-3))
for stage in stages[2:]:
    stage['optim_wrapper'] = dict(stage['optim_wrapper'], generator=quick_generator)
del stage
