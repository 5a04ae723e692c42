_base_ = '../../_base_/tasks/h36m2cross_lifting.py'
model = dict(estimator=_base_.vpose)
