_base_ = '../../_base_/tasks/cmu_walk2others.py'
model = dict(estimator=_base_.mlp)
stages = _base_.stages_of.poseaug
