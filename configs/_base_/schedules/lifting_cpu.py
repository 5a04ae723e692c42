# Two CPU cores: batches of 128, a lifter of 600 iterations, then as many with or without augmentation. A learned
# augmentor has 300 more before them, in which the lifter waits, and for its few iterations three times the learning
# rate of the authors' code.
adam_cpu = dict(type='Adam', lr=3e-4)
clip_grad = dict(max_norm=1)
optim_wrapper = dict(
    constructor='PartOptimWrapperConstructor', student=dict(optimizer=dict(type='Adam', lr=1e-3), clip_grad=clip_grad)
)
val_cfg = dict()
test_cfg = dict()

pretrain_stage = dict(
    name='pretrain',
    train_dataloader=dict(batch_size=128, sampler=dict(quotas=[128, 0, 0])),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=600, val_interval=600),
)
# The last stage: the same updates of the lifter at the same learning rate, so that a table compares augmentations
# alone.
last_stage = dict(
    name='adapt',
    load_from='{pretrain}',
    optim_wrapper=dict(student=dict(optimizer=dict(lr=5e-4))),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=600, val_interval=600),
    param_scheduler=[dict(type='LinearLR', start_factor=1.0, end_factor=0.01, end=600, by_epoch=False)],
)
learned_stage = dict(
    name='adapt',
    load_from='{pretrain}',
    optim_wrapper=dict(
        student=dict(optimizer=dict(lr=5e-4)),
        augmentor=dict(optimizer=adam_cpu, clip_grad=clip_grad),
        disc3d=dict(optimizer=adam_cpu, clip_grad=clip_grad),
        disc2d=dict(optimizer=adam_cpu, clip_grad=clip_grad),
    ),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=900, val_interval=900),
    param_scheduler=[dict(type='LinearLR', start_factor=1.0, end_factor=0.01, begin=300, end=900, by_epoch=False)],
)
learned_hook = dict(
    type='ScheduleHook',
    schedules=[
        dict(attribute='hard_ratio_ba', start=3.0, end=5.0, begin=300),
        dict(attribute='lifter_active', start=0.0, end=1.0, curve='step', finish=300),
    ],
)
