# SURREAL to 3DPW: adaptation, with unlabelled pictures of the target ("SD + TD").
_base_ = ['../../_base_/tasks/surreal2bodies_256x256.py']

held_out = dict(type='HeldOutDomainHook', folders=['data/3dpw'])
train_dataloader = dict(dataset=dict(datasets=[_base_.source, _base_.three_dpw]))
val_dataloader = dict(dataset=dict(**_base_.three_dpw_3d_test, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
