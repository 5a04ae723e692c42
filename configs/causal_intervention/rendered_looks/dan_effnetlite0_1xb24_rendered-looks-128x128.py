_base_ = ['source-only_effnetlite0_1xb24_rendered-looks-128x128.py']

stages = _base_.stages
stages[-1].model = dict(type='DAN', **_base_.alignment)
