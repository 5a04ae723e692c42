# CC-SSL with UDAPE's network, optimiser, source augmentation and length, to compare the two; six rounds as published.
_base_ = ['cc_ssl.py', '../schedules/udape_70x500.py']

stages = [
    dict(
        name='pretrain', train_dataloader=dict(batch_size=32, sampler=dict(quotas=[32, 0])), **_base_.pretrain_schedule
    ),
    dict(
        name='adapt',
        load_from='{pretrain}',
        model=_base_.cc_ssl,
        custom_hooks=[dict(type='SyncBuffersHook'), *_base_.cc_ssl_hooks],
        **_base_.adapt_schedule,
    ),
]
