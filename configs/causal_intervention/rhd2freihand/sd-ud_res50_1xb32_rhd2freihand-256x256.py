# Generalisation: pictures of one other data set ("SD + UD").
_base_ = ['sd-td_res50_1xb32_rhd2freihand-256x256.py']

custom_hooks = [*_base_.custom_hooks, _base_.held_out]
train_dataloader = dict(dataset=dict(datasets=[_base_.source, _base_.unlabelled_ganerated]))
