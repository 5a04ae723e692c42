# SURREAL and Human3.6M to videos of one's own: "SH -> W"; generalisation is measured on 3DPW, which no stage has seen.
_base_ = ['../surreal2videos/all_res50_1xb8_surreal2videos-224x224.py']

train_dataloader = dict(sampler=dict(quotas=[64, 64]), dataset=dict(datasets=[_base_.surreal, _base_.h36m]))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.three_dpw_test))
test_dataloader = val_dataloader
