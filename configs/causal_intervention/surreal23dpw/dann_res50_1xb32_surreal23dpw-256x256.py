_base_ = ['sd-td_res50_1xb32_surreal23dpw-256x256.py']

stages = _base_.baseline_stages
stages[-1].update(model=dict(type='DANN', **_base_.alignment), custom_hooks=[*_base_.custom_hooks, _base_.dann_hook])
