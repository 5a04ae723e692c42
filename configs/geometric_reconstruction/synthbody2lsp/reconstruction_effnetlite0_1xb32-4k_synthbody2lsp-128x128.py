# The reconstruction alone, on UDAPE's pseudo-labels.
_base_ = ['both_effnetlite0_1xb32-4k_synthbody2lsp-128x128.py']

stages = _base_.stages
stages[-1].model.weight_3d = 0
stages[-1].custom_hooks.pop()
