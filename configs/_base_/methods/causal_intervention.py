# Generative causal interventions: the paper's networks; weights of the losses are ours.
causal_intervention = dict(
    type='CausalIntervention',
    vae=dict(type='ImageVAE', init_cfg=dict(type='Pretrained', checkpoint='{vae}', prefix='vae.')),
)
adversarial = dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
# The parts are updated one after another, which MMEngine's own wrapper of several processes cannot do.
parallel = dict(type='PartParallel')
# The features of the alignment's baselines are the same; labelled pictures alone move the running statistics, in all.
alignment = dict(feat='neck', width=None, target_statistics=False)
