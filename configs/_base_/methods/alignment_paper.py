# DDC, DAN and DANN on the network, pre-training and schedule of RegDA's tables, which do not tell their settings. New
# layers move as fast as the heads, ten times as fast as the features (the library's scripts for classifiers).
_base_ = ['regda_paper.py', 'alignment.py']

pretrain_stage, adapt_stage = _base_.stages
del adapt_stage['custom_hooks']
adapt_stage['model'] = dict(estimator=dict(head=_base_.regda_head))
adapt_stage['optim_wrapper']['paramwise_cfg']['custom_keys'].update(
    bottleneck=dict(lr_mult=10.0), discriminator=dict(lr_mult=10.0)
)
stages = [pretrain_stage, adapt_stage]
