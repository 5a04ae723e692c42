# RegDA on the hardest third of the source (VAE-HM), in every stage.
_base_ = ['../../regda/surreal2h36m/regda_res101_1xb32-40k_surreal2h36m-256x256.py']

by_difficulty = dict(type='DifficultyBinSampler', strategy='hard', score_file='data/difficulty/surreal_reference.npz')
train_dataloader = dict(sampler=dict(samplers={'0': by_difficulty}))
