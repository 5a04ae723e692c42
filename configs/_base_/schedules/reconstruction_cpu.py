# Two CPU cores, beside the generator's stage: AdamW, warm-up and cosine; the pre-trained backbone moves slower than the
# rest. Batches are of labelled source, target, and pairs.
val_cfg = dict()
test_cfg = dict()


def schedule(iterations, lr, warm_up, quotas):
    """Schedule and batches of a stage."""
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
        train_dataloader=dict(batch_size=sum(quotas), sampler=dict(quotas=quotas)),
    )


pretrain_stage = dict(
    name='pretrain',
    model=dict(phase='pose', predict_with='student', s2t=0.0),
    **schedule(1500, 1.5e-3, 50, (32, 0, 0)),
)
adapt_stage = dict(name='adapt', **schedule(300, 3e-4, 20, (24, 24, 8)))
