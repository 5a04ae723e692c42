# Geometric reconstruction without weights to download: colour and texture statistics in place of VGG-19's style
# transfer, pixels and edges in place of its features; small networks, for two CPU cores. A config adds the joints of
# the depth branch.
_base_ = ['udape.py']

# what the stages have in common
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
fine_tuning = dict(consistency_weight=2.0, teacher_bn='ema', occlusion_threshold=0.5)
reconstruction_hooks = [*_base_.udape_hooks, dict(type='MaskCombinerHook', interval=50)]
# in fine-tuning its networks learn at a tenth of the pose network's rate
slow_generator = dict(custom_keys={'backbone': dict(lr_mult=0.3), 'reconstruction': dict(lr_mult=0.1)})

# batches are of labelled source, target, and pairs
generator_stage = dict(
    name='generator',
    load_from='{pretrain}',
    model=dict(phase='generator', predict_with='student'),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=400, val_interval=400),
    optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2)),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.05, by_epoch=False, end=20),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=20, eta_min_ratio=0.02),
    ],
    train_dataloader=dict(batch_size=12, sampler=dict(quotas=(0, 0, 12))),
)
