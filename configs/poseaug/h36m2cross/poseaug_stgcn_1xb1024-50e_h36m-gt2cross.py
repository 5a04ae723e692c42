_base_ = '../../_base_/tasks/h36m2cross_lifting.py'
model = dict(estimator=_base_.stgcn)
# PoseAug's code: dropout before the augmentation alone
without_dropout = dict(estimator=dict(backbone=dict(dropout=0.0)))
stages = [_base_.stages[0], {**_base_.stages[1], 'model': dict(**_base_.poseaug, **without_dropout)}]
