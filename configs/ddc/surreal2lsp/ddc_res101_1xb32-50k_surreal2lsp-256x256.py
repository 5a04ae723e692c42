_base_ = ['../../_base_/tasks/surreal2lsp_256x256.py', '../../_base_/methods/alignment_paper.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
stages = _base_.stages
stages[-1].model.update(_base_.ddc)
