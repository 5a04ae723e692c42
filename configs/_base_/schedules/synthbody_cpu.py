# Two CPU cores: AdamW, warm-up and cosine; the pre-trained backbone moves slower than the rest. Views come as a
# curriculum: people upright and seen from the front first, then all round; with all views from the start a heatmap
# net can put left and right on one place.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.3)}),
)
val_cfg = dict()
test_cfg = dict()

# all of the source, also where the last stage samples it by difficulty: methods share their pre-training
source_only_loader = dict(batch_size=32, sampler=dict(quotas=[32, 0], samplers=None))
frontal_stage = dict(
    name='frontal',
    train_dataloader=dict(
        **source_only_loader, dataset=dict(datasets={'0': dict(data_root='data/rendered_people_frontal/')})
    ),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=400, val_interval=400),
    param_scheduler=[dict(type='LinearLR', start_factor=0.04, end=150, by_epoch=False)],
)
pretrain_stage = dict(
    name='pretrain',
    load_from='{frontal}',
    train_dataloader=source_only_loader,
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=2600, val_interval=2600),
    param_scheduler=[dict(type='CosineAnnealingLR', T_max=2600, eta_min_ratio=0.02, by_epoch=False)],
)
# The last stage of every method: the same iterations and learning rate, so that a table compares methods alone.
last_stage = dict(
    load_from='{pretrain}',
    optim_wrapper=dict(optimizer=dict(lr=3e-4)),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=400, val_interval=400),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.02, end=50, by_epoch=False),
        dict(type='CosineAnnealingLR', begin=50, T_max=350, eta_min_ratio=0.05, by_epoch=False),
    ],
)
