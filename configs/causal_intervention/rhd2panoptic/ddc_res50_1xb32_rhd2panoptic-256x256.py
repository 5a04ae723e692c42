_base_ = ['sd-td_res50_1xb32_rhd2panoptic-256x256.py']

stages = _base_.baseline_stages
stages[-1].model = dict(type='DDC', **_base_.alignment)
