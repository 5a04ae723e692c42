# The data, the network and the pre-trained weights of `make demo`, and another method in place of UDAPE.
_base_ = ['../../../configs/demo/clean2shifted_96x96.py']
custom_imports = dict(imports=['projects.flip_consistency.flip_consistency'])

pretrain, _, adapt = _base_.stages
stages = [
    pretrain,
    dict(
        name='flip_consistency',
        load_from='{pretrain}',
        train_dataloader=_base_.adapt_dataloader,
        model=dict(type='FlipConsistency'),
        train_cfg=adapt.train_cfg,
        optim_wrapper=adapt.optim_wrapper,
        param_scheduler=adapt.param_scheduler,
    ),
]
