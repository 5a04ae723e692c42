# 3D pseudo-labels alone, the paper's rule for the masks.
_base_ = ['both_effnetlite0_1xb24-2k_rendered-bodies-96x96.py']

stages = [_base_.stages[0], _base_.stages[-1]]
stages[-1].model.reconstruction_weight = 0
stages[-1].load_from = '{pretrain}'
stages[-1].train_dataloader = dict(batch_size=48, sampler=dict(quotas=(24, 24, 0)))
