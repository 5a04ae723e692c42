# Contrasts alone. A row of the paper's ablation.
_base_ = ['flip_res50_1xb8_surreal2h36m-224x224.py']

stages = _base_.stages
stages[-1].train_dataloader.sampler.turns = [0, 1]
