# The labelled source alone.
_base_ = ['all_effnetlite0_1xb4_rendered-motions-96x96.py']

stages = [_base_.stages[0], _base_.stages[2]]
