# UDAPE on the hardest third of the source (VAE-HM), in every stage.
_base_ = ['../../udape/rhd2h3d/udape_res101_1xb32-35k_rhd2h3d-256x256.py']

by_difficulty = dict(type='DifficultyBinSampler', strategy='hard', score_file='data/difficulty/rhd.npz')
train_dataloader = dict(sampler=dict(samplers={'0': by_difficulty}))
