# UDAPE on the easiest third: the control for what hard ones bring.
_base_ = ['./udape-hard_res101_1xb32-35k_rhd2h3d-256x256.py']

train_dataloader = dict(sampler=dict(samplers={'0': dict(strategy='easy')}))
