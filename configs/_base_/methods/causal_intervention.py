# Generative causal interventions: the paper's networks in four stages, and the baselines on the same features. A config
# adds schedules, the estimator, its preprocessor for the autoencoder, and data.
model = dict(type='SourceOnly')

adversarial = dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
learned = dict(
    # The parts are updated one after another, which MMEngine's own wrapper of several processes cannot do.
    model_wrapper_cfg=dict(type='PartParallel'),
    optim_wrapper=dict(constructor='PartOptimWrapperConstructor', generator=adversarial, discriminator=adversarial),
)
vae = dict(type='ImageVAE')
trained_vae = dict(**vae, init_cfg=dict(type='Pretrained', checkpoint='{vae}', prefix='vae.'))

pretrain_stage = dict(name='pretrain')
vae_stage = dict(
    name='vae',
    model=dict(_delete_=True, type='ImageVAETraining', vae=vae),
    optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-3)),
)
warm_up_stage = dict(
    **learned,
    name='warm_up',
    load_from='{pretrain}',
    model=dict(type='CausalIntervention', vae=trained_vae, phase='warm_up'),
)
causal_stage = dict(
    **learned, name='causal', load_from='{warm_up}', model=dict(type='CausalIntervention', vae=trained_vae)
)
baseline_stage = dict(name='adapt', load_from='{pretrain}')

# Labelled pictures alone move the running statistics, in all methods.
alignment = dict(feat='neck', width=None, target_statistics=False)
# The discriminator learns first: its reversed gradient comes in with the run's progress.
dann_hook = dict(
    type='ScheduleHook',
    schedules=[dict(attribute='reverse.coefficient', start=0.0, end=1.0, curve='sigmoid', alpha=10.0)],
)
