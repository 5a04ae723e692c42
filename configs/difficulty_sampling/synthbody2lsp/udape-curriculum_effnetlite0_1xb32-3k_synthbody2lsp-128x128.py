# UDAPE from easy to hard (VAE-CL).
_base_ = ['./udape-hard_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py']

train_dataloader = dict(sampler=dict(samplers={'0': dict(strategy='curriculum')}))
