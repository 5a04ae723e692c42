# Two CPU cores: AdamW, warm-up and cosine; the pre-trained backbone moves slower than the rest.
val_cfg = dict()
test_cfg = dict()


def schedule(iterations, lr, warm_up):
    """Schedule of an estimator's stage."""
    return dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations),
        optim_wrapper=dict(
            optimizer=dict(type='AdamW', lr=lr, weight_decay=1e-2),
            paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.3)}),
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.05, by_epoch=False, end=warm_up),
            dict(type='CosineAnnealingLR', by_epoch=False, begin=warm_up, eta_min_ratio=0.02),
        ],
    )


def without_validation(iterations):
    """Length of a stage that trains no estimator."""
    nothing = ('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator')
    return dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations), **dict.fromkeys(nothing))


vae_schedule = without_validation(400)
warm_up_schedule = without_validation(400)
pretrain_schedule = schedule(1200, 3e-3, 50)
adapt_schedule = schedule(400, 3e-4, 20)
# of the estimator beside generator and discriminator, whose rates stay
causal_schedule = {
    key: value if key == 'train_cfg' else dict(student=value) for key, value in schedule(400, 3e-4, 20).items()
}
causal_schedule['param_scheduler'].update(generator=[], discriminator=[])
