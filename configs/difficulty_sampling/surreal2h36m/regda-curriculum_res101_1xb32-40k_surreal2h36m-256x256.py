# RegDA from easy to hard (VAE-CL), in each stage anew.
_base_ = ['./regda-hard_res101_1xb32-40k_surreal2h36m-256x256.py']

train_dataloader = dict(sampler=dict(samplers={'0': dict(strategy='curriculum')}))
