# 3D pseudo-labels alone, masks by the rule '3d'.
_base_ = ['pseudo_res101_1xb32-35k_rhd2mvhand-256x256.py']

stages = _base_.stages
stages[-1].model.combine = dict(strategy='3d')
