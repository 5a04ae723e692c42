# The reconstruction alone, on UDAPE's pseudo-labels.
_base_ = ['geometric-reconstruction_res101_1xb32-55k_rhd2h3d-256x256.py']

stages = _base_.stages
stages[-1].model = dict(weight_3d=0)
stages[-1].custom_hooks.pop()
