_base_ = ['../../ddc/synthbody2lsp/ddc_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py']

stages = _base_.stages
stages[-1].model = dict(**_base_.regda, estimator=_base_.squared_error)
stages[-1].custom_hooks = [*_base_.custom_hooks, *_base_.regda_hooks]
