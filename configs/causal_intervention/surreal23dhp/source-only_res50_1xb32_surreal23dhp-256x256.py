_base_ = ['sd-td_res50_1xb32_surreal23dhp-256x256.py']

stages = _base_.baseline_stages
