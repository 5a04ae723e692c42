# Two CPU cores: far fewer iterations than the paper's at far higher rates, each stage with a warm-up and a cosine.
_base_ = ['../methods/relation_distillation.py']
val_cfg = dict()
test_cfg = dict()


def course(warm_up):
    """A warm-up and a cosine."""
    return [
        dict(type='LinearLR', start_factor=0.05, by_epoch=False, end=warm_up),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=warm_up, eta_min_ratio=0.02),
    ]


def adam(lr):
    """Wrapper of one optimiser."""
    return dict(optimizer=dict(type='Adam', lr=lr))


def length(iterations):
    """Iterations, with a validation at the end of stages that have one."""
    return dict(type='IterBasedTrainLoop', max_iters=iterations)


pose_embedding_stage = dict(
    train_cfg=length(3000),
    model=dict(reconstruction_below=0.25, patience=40, weights=dict(adv=1.0)),
    optim_wrapper=dict(pose=adam(2e-3), discriminator=adam(5e-4)),
    param_scheduler=dict(pose=course(50), discriminator=[]),
)
motion_embedding_stage = dict(train_cfg=length(2500), optim_wrapper=adam(2e-3), param_scheduler=course(50))
source_stage = dict(
    train_cfg=dict(**length(2000), val_interval=2000),
    optim_wrapper=dict(
        optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-2),
        paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.3)}),
    ),
    param_scheduler=course(50),
)
relations_stage = dict(train_cfg=length(600), optim_wrapper=adam(2e-3), param_scheduler=course(50))
adapt_stage = dict(
    train_cfg=dict(**length(300), val_interval=300),
    optim_wrapper=dict(default=adam(5e-5), pose_contrast=adam(3e-4), motion_contrast=adam(3e-4)),
    param_scheduler=course(10),
)
