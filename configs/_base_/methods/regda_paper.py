# RegDA as published: 70 epochs of 500 iterations on the source, 30 that adapt; SGD, divergences of maps. A config adds
# the task and its model, SourceOnly.
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True))

# A divergence leaves the level of a map free, and moves no common bias; but a map without a positive cell is decoded as
# no joint at all. So the level starts well above zero, and does not decay.
regda_head = dict(
    conv_out_channels=(256,),
    conv_kernel_sizes=(3,),
    loss=dict(_delete_=True, type='HeatmapKLLoss'),
    init_cfg=[
        dict(
            type='Normal',
            layer=['Conv2d', 'ConvTranspose2d'],
            std=0.001,
            override=dict(type='Normal', name='final_layer', std=0.001, bias=10.0),
        ),
        dict(type='Constant', layer='BatchNorm2d', val=1),
    ],
)
pretrain_keys = {'backbone': dict(lr_mult=0.1), 'final_layer.bias': dict(decay_mult=0.0)}
# Heads move ten times as fast as what lies before them.
adapt_keys = {
    'head.conv_layers': dict(lr_mult=10.0),
    'head.final_layer': dict(lr_mult=10.0),
    'head.final_layer.bias': dict(lr_mult=10.0, decay_mult=0.0),
    'adversarial_head': dict(lr_mult=10.0),
}
# 0.1 (2 / (1 + exp(-i / 1000)) - 1) at iteration i, whatever the length of the run
gradient_scale = dict(attribute='scale.coefficient', start=0.0, end=0.1, curve='sigmoid', alpha=15.0, finish=15000)

stages = [
    dict(
        name='pretrain',
        model=dict(estimator=dict(head=regda_head)),
        train_dataloader=dict(batch_size=32, sampler=dict(quotas=[32, 0])),
        optim_wrapper=dict(paramwise_cfg=dict(custom_keys=pretrain_keys)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=35000, val_interval=500),
        param_scheduler=[dict(type='MultiStepLR', milestones=[22500, 30000], gamma=0.1, by_epoch=False)],
    ),
    dict(
        name='adapt',
        load_from='{pretrain}',
        model=dict(type='RegDA', margin=4.0, estimator=dict(head=regda_head)),
        custom_hooks=[dict(type='ScheduleHook', schedules=[gradient_scale])],
        optim_wrapper=dict(optimizer=dict(lr=0.01), paramwise_cfg=dict(custom_keys=adapt_keys)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=15000, val_interval=500),
        param_scheduler=[dict(type='PolyInvLR', gamma=1e-4, power=0.75, by_epoch=False)],
    ),
]
