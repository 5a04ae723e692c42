"""The toy adaptation with 3D labels and features that a generator imitates; stages as a user's config has them."""

FEATURES = """
metafile = _base_.train_dataloader['dataset']['metainfo']['from_file']
volume = dict(type='VolumePose3D', input_size=(32, 32), volume_size=(16, 16, 4), depth_range=1000)
model = dict(estimator=dict(
    neck=dict(type='FeatureNeck', in_channels=8, dim=64),
    head=dict(
        _delete_=True, type='VolumetricIntegralHead', skeleton=metafile, root='left', decoder=volume, dim=64,
        deconv_channels=(4,),
    ),
))
source, target = _base_.train_dataloader['dataset']['datasets']
load, *augment, _, pack = source['pipeline']
depth = dict(type='RelativeDepth', skeleton=metafile, root='left')
encode = dict(type='GenerateTarget', encoder=volume)
source['pipeline'] = [load, dict(type='ToyDepth'), *augment, depth, encode, pack]
train_dataloader = dict(dataset=dict(datasets=[source, target]))
"""
GENERATOR = f"""
{FEATURES}
model.update(
    type='CausalIntervention',
    vae=dict(type='ImageVAE', input_size=16, latent=4, base_channels=2),
    generator=dict(hidden=(16,)),
    discriminator=dict(hidden=8),
)
part = dict(optimizer=dict(type='Adam', lr=0.01))
optim_wrapper = dict(
    _delete_=True, constructor='PartOptimWrapperConstructor', student=part, generator=part, discriminator=part)
"""
