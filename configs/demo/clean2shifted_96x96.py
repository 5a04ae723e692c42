# Rendered people of a clean look to rendered people of a rough one, in minutes on two CPU cores. tools/demo.py renders
# the data (`renders`), runs the stages and shows what came of them; settings were chosen on other seeds than these.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/td-hm_effnetlite0_lsp_96x96.py',
    '../_base_/methods/udape.py',
]
work_dir = 'work_dirs/demo'
data_root = 'work_dirs/demo/data/'

# data: arguments of tools/render_people.py, a folder of data_root each
views = dict(frontal_share=0.8, frontal_spread=35)
shifted = dict(look='shifted', size=112, seed=2, turned_share=0.1, **views)
renders = dict(
    # first, by one process, as the body model is built and cached on its first use
    target_test=dict(num=300, first=100000, **shifted),
    target_train=dict(num=1200, **shifted),
    source=dict(num=2400, look='clean', size=112, seed=1, **views),
)

# model
codec = _base_.codec
model = dict(type='SourceOnly', estimator=_base_.estimator)
custom_hooks = [dict(type='ChannelsLastHook')]
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=1), logger=dict(interval=25))

# pipelines
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='TopdownRandomAffine',
        input_size=codec['input_size'],
        rotation=30,
        shear=10,
        translation=0.05,
        scale=(0.75, 1.25),
        crop_area=(0.8, 1.0),
    ),
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
# the model makes the views of the target
target_pipeline = [*test_pipeline[:2], dict(type='RandomFlip', direction='horizontal'), *test_pipeline[2:]]

# loaders
people = dict(type='LSPDataset', ann_file='annotations/people.json', data_prefix=dict(img='images/'))
source = dict(data_root=data_root + 'source', pipeline=source_pipeline, **people)
target = dict(data_root=data_root + 'target_train', pipeline=target_pipeline, **people)
train_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=source,
)
adapt_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(_delete_=True, type='DomainSampler', quotas=[32, 32]),
    dataset=dict(
        _delete_=True,
        type='CombinedDataset',
        datasets=[source, dict(type='UnlabeledDataset', dataset=target)],
    ),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(data_root=data_root + 'target_test', pipeline=test_pipeline, test_mode=True, **people),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='GroupedPCK', thr=(0.05, 0.1, 0.2)), dict(type='LeftRightSeparation')]
test_evaluator = val_evaluator
val_cfg = dict()
test_cfg = dict()


def schedule(iterations, lr, warm_up):
    """AdamW with warm-up and cosine; the pre-trained backbone moves slower than the rest."""
    return dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations),
        optim_wrapper=dict(
            optimizer=dict(type='AdamW', lr=lr, weight_decay=1e-2),
            paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.3)}),
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.05, by_epoch=False, end=warm_up),
            dict(type='CosineAnnealingLR', by_epoch=False, begin=warm_up, eta_min_ratio=0.02),
        ],
    )


# The control goes on from the same weights for as many iterations, at the same learning rates, as the adaptation.
stages = [
    dict(name='pretrain', **schedule(700, 1.5e-3, 50)),
    dict(name='source_only', load_from='{pretrain}', **schedule(200, 3e-4, 20)),
    dict(
        name='udape',
        load_from='{pretrain}',
        train_dataloader=adapt_dataloader,
        model=dict(occlusion_threshold=0.5, **_base_.udape),
        custom_hooks=[dict(type='ChannelsLastHook'), *_base_.udape_hooks],
        **schedule(200, 3e-4, 20),
    ),
]
