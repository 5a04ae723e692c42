# RegDA on the hardest third of the source (VAE-HM); pre-training on all of it is shared with the other methods.
_base_ = ['../../regda/synthbody2lsp/regda_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py']

by_difficulty = dict(
    type='DifficultyBinSampler', strategy='hard', score_file='data/difficulty/rendered_people_train.npz'
)
train_dataloader = dict(sampler=dict(samplers={'0': by_difficulty}))
