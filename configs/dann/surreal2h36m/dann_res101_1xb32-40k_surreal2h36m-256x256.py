_base_ = ['../../ddc/surreal2h36m/ddc_res101_1xb32-40k_surreal2h36m-256x256.py']

stages = _base_.stages
stages[-1].model.update(_base_.dann)
stages[-1].custom_hooks = [*_base_.custom_hooks, *_base_.dann_hooks]
