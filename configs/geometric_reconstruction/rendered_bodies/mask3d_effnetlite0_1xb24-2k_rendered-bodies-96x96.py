# 3D pseudo-labels alone, masks by the rule '3d'.
_base_ = ['pseudo_effnetlite0_1xb24-2k_rendered-bodies-96x96.py']

stages = _base_.stages
stages[-1].model.combine = dict(strategy='3d')
