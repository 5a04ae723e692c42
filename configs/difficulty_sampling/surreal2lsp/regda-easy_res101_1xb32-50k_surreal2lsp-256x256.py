# RegDA on the easiest third: the control for what hard ones bring.
_base_ = ['./regda-hard_res101_1xb32-50k_surreal2lsp-256x256.py']

train_dataloader = dict(sampler=dict(samplers={'0': dict(strategy='easy')}))
