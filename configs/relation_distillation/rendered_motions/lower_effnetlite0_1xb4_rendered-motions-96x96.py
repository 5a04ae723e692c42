# Contrasts and the relation of poses.
_base_ = ['all_effnetlite0_1xb4_rendered-motions-96x96.py']

stages = _base_.stages
stages[-1].train_dataloader.sampler.turns = [0, 1, 2]
