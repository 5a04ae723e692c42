# PoseAug's code: a lifter of 50 epochs, then 50 epochs of augmentation. An epoch of Human3.6M's five subjects is 1,523
# batches of 1024.
optim_wrapper = dict(
    constructor='PartOptimWrapperConstructor',
    student=dict(optimizer=dict(type='Adam', lr=1e-3), clip_grad=dict(max_norm=1)),
)
val_cfg = dict()
test_cfg = dict()

pretrain_stage = dict(
    name='pretrain',
    train_dataloader=dict(batch_size=1024, sampler=dict(quotas=[1024, 0, 0])),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=76150, val_interval=7615),
)
poseaug_stage = dict(
    name='poseaug',
    load_from='{pretrain}',
    train_cfg=dict(type='PoseAugEpochLoop', max_epochs=50),
    # 1 - k / 51 in epoch k from 0
    param_scheduler=[dict(type='LinearLR', start_factor=1.0, end_factor=2 / 51, end=50, by_epoch=True)],
    default_hooks=dict(checkpoint=dict(by_epoch=True, interval=1)),
)
# The feedback's ratio goes from 3 to 5, counted from epoch 1; the lifter waits for two epochs of the augmentor.
poseaug_hook = dict(
    type='ScheduleHook',
    by_epoch=True,
    schedules=[
        dict(attribute='hard_ratio_ba', start=3.0, end=5.0, begin=-1, finish=49),
        dict(attribute='lifter_active', start=0.0, end=1.0, curve='step', finish=2),
    ],
)
