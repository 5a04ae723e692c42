_base_ = ['../../ddc/freihand2rhd/ddc_res101_1xb32-50k_freihand2rhd-256x256.py']

stages = _base_.stages
stages[-1].model.update(_base_.dan)
