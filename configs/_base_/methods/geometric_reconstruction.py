# Geometric reconstruction without weights to download: colour and texture statistics in place of VGG-19's style
# transfer, pixels and edges in place of its features; small networks, for two CPU cores. A config adds the joints of
# the depth branch.
_base_ = ['udape.py']

# what the stages have in common; the last one adds UDAPE's settings
geometric_reconstruction = dict(
    type='GeometricReconstruction',
    style=_base_.udape['style'],
    view=_base_.udape['view'],
    keep_rate=_base_.udape['keep_rate'],
    reconstruction=dict(
        warp_estimator=dict(width=16, max_width=128, num_blocks=3),
        generator=dict(width=16, num_residual=3, composite=True),
        perceptual=dict(features='pyramid_l1', factors=(1, 2, 4)),
    ),
)
