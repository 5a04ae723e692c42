# RegDA on the easiest third: the control for what hard ones bring.
_base_ = ['./regda-hard_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py']

train_dataloader = dict(sampler=dict(samplers={'0': dict(strategy='easy')}))
