# UDAPE's code: 40 epochs of 500 iterations before adaptation, 30 with it; Adam, 1e-4, a tenth from epochs 45 and 60.
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-4))
val_cfg = dict()
test_cfg = dict()

pretrain_schedule = dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=500))
adapt_schedule = dict(
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=15000, val_interval=500),
    param_scheduler=[dict(type='MultiStepLR', milestones=[2500, 10000], gamma=0.1, by_epoch=False)],
)
