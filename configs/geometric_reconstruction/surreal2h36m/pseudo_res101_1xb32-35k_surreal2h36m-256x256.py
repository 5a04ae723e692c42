# 3D pseudo-labels alone, the paper's rule for the masks: no generator.
_base_ = ['geometric-reconstruction_res101_1xb32-55k_surreal2h36m-256x256.py']

style, pretrain, _, adapt = _base_.stages
adapt.update(load_from='{pretrain}', train_dataloader=dict(batch_size=64, sampler=dict(quotas=[32, 32, 0])))
adapt.model = dict(reconstruction_weight=0)
stages = [style, pretrain, adapt]
del style, pretrain, adapt
