# The source-only network and the oracle of RegDA's tables: 70 epochs of 500 iterations, Adam, 1e-3, a tenth from epochs
# 45 and 60.
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=35000, val_interval=500)
param_scheduler = [dict(type='MultiStepLR', milestones=[22500, 30000], gamma=0.1, by_epoch=False)]
val_cfg = dict()
test_cfg = dict()
