_base_ = ['../../ddc/rhd2h3d/ddc_res101_1xb32-50k_rhd2h3d-256x256.py']

stages = _base_.stages
stages[-1].model.update(_base_.dann)
stages[-1].custom_hooks = [*_base_.custom_hooks, *_base_.dann_hooks]
