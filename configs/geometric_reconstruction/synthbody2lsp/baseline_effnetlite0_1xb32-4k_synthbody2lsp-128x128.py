# UDAPE's pseudo-labels after the same pre-training, and neither part of the method.
_base_ = ['pseudo_effnetlite0_1xb32-4k_synthbody2lsp-128x128.py']

stages = _base_.stages
stages[-1].model.weight_3d = 0
stages[-1].custom_hooks.pop()
