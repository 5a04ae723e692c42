# Adaptation: pictures of the target without labels ("SD + TD").
_base_ = [
    '../../_base_/tasks/rendered_looks_128x128.py',
    '../../_base_/methods/causal_intervention.py',
    '../../_base_/schedules/causal_cpu.py',
]

model = dict(type='SourceOnly', estimator=_base_.estimator)
vae = dict(_base_.causal_intervention.vae, input_size=64)
intervention = dict(_base_.causal_intervention, vae=vae)
train_dataloader = _base_.pair_loader
parts = dict(
    constructor='PartOptimWrapperConstructor', generator=_base_.adversarial, discriminator=_base_.adversarial
)

# the source alone: the rows of generalisation, which may not see the target, start from it too
held_out = dict(
    type='HeldOutDomainHook', folders=['data/rendered_looks/target_train', 'data/rendered_looks/target_test']
)
pretrain_stage = dict(
    name='pretrain',
    **_base_.pretrain_schedule,
    train_dataloader=_base_.labelled_loader,
    custom_hooks=[*_base_.custom_hooks, held_out],
)
vae_stage = dict(
    name='vae',
    **_base_.vae_schedule,
    model=dict(
        _delete_=True,
        type='ImageVAETraining',
        vae={key: value for key, value in vae.items() if key != 'init_cfg'},
        data_preprocessor=_base_.estimator.data_preprocessor,
    ),
    optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
)
warm_up_stage = dict(
    name='warm_up',
    **_base_.warm_up_schedule,
    load_from='{pretrain}',
    model=dict(**intervention, phase='warm_up'),
    model_wrapper_cfg=_base_.parallel,
    optim_wrapper=parts,
)
causal_stage = dict(
    name='causal',
    **_base_.adapt_schedule,
    load_from='{warm_up}',
    model=intervention,
    model_wrapper_cfg=_base_.parallel,
)
causal_stage['optim_wrapper'] = dict(parts, student=_base_.adapt_schedule.optim_wrapper)
causal_stage['param_scheduler'] = dict(student=_base_.adapt_schedule.param_scheduler)
stages = [pretrain_stage, vae_stage, warm_up_stage, causal_stage]
