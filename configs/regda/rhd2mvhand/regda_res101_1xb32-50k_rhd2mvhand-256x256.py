# RegDA as published, but both heads go on from the pre-trained one.
_base_ = ['../../_base_/tasks/rhd2mvhand_256x256.py', '../../_base_/methods/regda_paper.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
