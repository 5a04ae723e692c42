_base_ = ['source-only_effnetlite0_1xb24_rendered-looks-128x128.py']

stages = _base_.stages
stages[-1].update(model=dict(type='DANN', **_base_.alignment), custom_hooks=[*_base_.custom_hooks, _base_.dann_hook])
