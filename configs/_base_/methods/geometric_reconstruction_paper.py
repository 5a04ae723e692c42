# Geometric reconstruction as far as it is published, on UDAPE's schedule. Wants vgg_normalised.pth (style, see
# AdaINStyleNet) and vgg19-dcbb9e9d.pth (reconstruction, see PyramidPerceptualLoss) in data/; a GPU, with --amp. A
# config adds the task, the estimator, the joints of the depth branch and the pairs.
_base_ = ['udape_paper.py']

perceptual = dict(features='vgg19', weights='data/vgg19-dcbb9e9d.pth')
model = dict(type='GeometricReconstruction', reconstruction=dict(warp_estimator=dict(), perceptual=perceptual))
style_stage, pretrain_stage, adapt_stage = _base_.stages
style_stage['train_dataloader']['sampler'] = dict(quotas=[4, 4, 0])
pretrain_stage.update(
    model=dict(phase='pose', predict_with='student', reconstruction=None),
    train_dataloader=dict(batch_size=64, sampler=dict(quotas=[32, 32, 0])),
)
generator_stage = dict(
    name='generator',
    load_from='{pretrain}',
    model=dict(phase='generator', predict_with='student', style=None),
    train_dataloader=dict(batch_size=16, sampler=dict(quotas=[0, 0, 16])),
    optim_wrapper=dict(optimizer=dict(lr=2e-4, betas=(0.5, 0.999))),
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=20000),
)
adapt_stage['load_from'] = '{generator}'
# the generator's rate is 1e-5
adapt_stage['optim_wrapper'] = dict(paramwise_cfg=dict(custom_keys={'reconstruction': dict(lr_mult=0.1)}))
adapt_stage['custom_hooks'].append(dict(type='MaskCombinerHook', interval=500))
stages = [style_stage, pretrain_stage, generator_stage, adapt_stage]
