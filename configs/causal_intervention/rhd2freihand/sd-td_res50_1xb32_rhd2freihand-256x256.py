# RHD to FreiHAND: adaptation, with unlabelled pictures of the target ("SD + TD").
_base_ = ['../../_base_/tasks/rhd2hands_256x256.py']

held_out = dict(type='HeldOutDomainHook', folders=['data/FreiHAND_pub_v2'])
train_dataloader = dict(dataset=dict(datasets=[_base_.source, _base_.unlabelled_freihand]))
val_dataloader = dict(dataset=dict(**_base_.freihand_test, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
