_base_ = '../../_base_/tasks/h36m2cross_lifting.py'
model = dict(estimator=_base_.gcn)
# PoseAug's code: 100 epochs before, and ten to twenty times the learning rate
optim_wrapper = dict(student=dict(optimizer=dict(lr=2e-2)))
stages = [
    {**_base_.pretrain_stage, 'train_cfg': dict(type='IterBasedTrainLoop', max_iters=152300, val_interval=15230)},
    dict(**_base_.adapt_stage, optim_wrapper=dict(**_base_.learned_parts, student=dict(optimizer=dict(lr=1e-3)))),
]
