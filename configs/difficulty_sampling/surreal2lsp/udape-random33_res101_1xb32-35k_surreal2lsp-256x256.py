# UDAPE on a random third: the control for the size.
_base_ = ['./udape-hard_res101_1xb32-35k_surreal2lsp-256x256.py']

train_dataloader = dict(sampler=dict(samplers={'0': dict(strategy='random33')}))
