# The relations of the paper's main text: mirroring alone, without the turn of the supplementary.
_base_ = ['all_res50_1xb8_surreal2h36m-224x224.py']

stages = _base_.stages
names = ('flip', 'flip_backward', 'slow_backward')
stages[3].model.relations = stages[4].model.relations.relations = names
for part, name in zip(stages[4].train_dataloader.dataset.datasets[2:], names):
    part.task = name
del part
