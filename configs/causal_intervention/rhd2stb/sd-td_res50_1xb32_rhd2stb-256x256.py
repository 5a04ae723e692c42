# RHD to STB: adaptation, with unlabelled pictures of the target ("SD + TD").
_base_ = ['../../_base_/tasks/rhd2hands_256x256.py']

held_out = dict(type='HeldOutDomainHook', folders=['data/stb'])
train_dataloader = dict(dataset=dict(datasets=[_base_.source, _base_.unlabelled_stb]))
val_dataloader = dict(dataset=dict(**_base_.stb_test, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
