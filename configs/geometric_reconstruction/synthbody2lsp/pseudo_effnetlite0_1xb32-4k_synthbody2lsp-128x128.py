# 3D pseudo-labels alone, the paper's rule for the masks.
_base_ = ['both_effnetlite0_1xb32-4k_synthbody2lsp-128x128.py']

stages = [*_base_.stages[:2], _base_.stages[-1]]
stages[-1].model.reconstruction_weight = 0
stages[-1].load_from = '{pretrain}'
stages[-1].train_dataloader = dict(batch_size=64, sampler=dict(quotas=[32, 32, 0]))
