# UDAPE's pseudo-labels after the same pre-training, and neither part of the method.
_base_ = ['pseudo_res101_1xb32-35k_rhd2h3d-256x256.py']

stages = _base_.stages
stages[-1].model.weight_3d = 0
stages[-1].custom_hooks.pop()
