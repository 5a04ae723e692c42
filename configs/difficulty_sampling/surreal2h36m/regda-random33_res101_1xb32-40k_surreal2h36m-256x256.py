# RegDA on a random third: the control for the size.
_base_ = ['./regda-hard_res101_1xb32-40k_surreal2h36m-256x256.py']

train_dataloader = dict(sampler=dict(samplers={'0': dict(strategy='random33')}))
