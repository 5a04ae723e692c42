# PoseAug with the weights and bands of the authors' code, and its controls.
poseaug = dict(
    type='PoseAug',
    augmentor=dict(type='PoseAugmentor'),
    disc3d=dict(type='KCSDiscriminator'),
    disc2d=dict(type='PoseDiscriminator2D'),
)
without_feedback = dict(**poseaug, feedback=None)
random_augmentation = dict(type='PoseAug', augmentor=dict(type='RandomPoseAugmentor'), feedback=None)

adam = dict(optimizer=dict(type='Adam', lr=1e-4), clip_grad=dict(max_norm=1))
learned_parts = dict(augmentor=adam, disc3d=adam, disc2d=adam)
# The parts are updated one after another, which MMEngine's own wrapper of several processes cannot do.
model_wrapper_cfg = dict(type='PartParallel')
