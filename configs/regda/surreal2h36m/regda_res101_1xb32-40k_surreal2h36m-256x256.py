# RegDA as published, but both heads go on from the pre-trained one; ten epochs of adaptation here.
_base_ = ['../../_base_/tasks/surreal2h36m_256x256.py', '../../_base_/methods/regda_paper.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
stages = _base_.stages
stages[1].train_cfg.max_iters = 5000
