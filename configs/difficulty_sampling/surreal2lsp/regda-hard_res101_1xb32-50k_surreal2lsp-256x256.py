# RegDA on the hardest third of the source (VAE-HM), in every stage.
_base_ = ['../../regda/surreal2lsp/regda_res101_1xb32-50k_surreal2lsp-256x256.py']

by_difficulty = dict(type='DifficultyBinSampler', strategy='hard', score_file='data/difficulty/surreal_reference.npz')
train_dataloader = dict(sampler=dict(samplers={'0': by_difficulty}))
