_base_ = ['../../ddc/surreal2lsp/ddc_res101_1xb32-50k_surreal2lsp-256x256.py']

stages = _base_.stages
stages[-1].model.update(_base_.dan)
