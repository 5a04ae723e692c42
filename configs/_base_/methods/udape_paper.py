# UDAPE as published. Wants vgg_normalised.pth (see AdaINStyleNet); a GPU, with --amp. A config adds the task, the
# estimator and its preprocessor for the style network.
_base_ = ['../schedules/udape_70x500.py']

style = dict(type='AdaINStyleNet', encoder_weights='data/vgg_normalised.pth', style_weight=0.1)
trained_style = dict(**style, decoder_weights='{style}')
model = dict(
    type='UDAPE',
    style=trained_style,
    mask_scope='batch',
    mask_ratio=0.5,
    keep_rate=0.999,
    teacher_bn='own',
    consistency_weight=1.0,
)

# The decoder of the style network sees crops, turned all round, in their own colours.
style_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownRandomAffine', input_size=(256, 256), rotation=180, scale=(0.6, 1.3), crop_area=(0.6, 1.0)),
    dict(type='PackPoseInputs'),
]
style_stage = dict(
    name='style',
    model=dict(_delete_=True, type='StyleTraining', style=style),
    optim_wrapper=dict(optimizer=dict(lr=1e-5)),
    train_dataloader=dict(
        batch_size=8,
        sampler=dict(quotas=[4, 4]),
        dataset=dict(
            datasets={'0': dict(pipeline=style_pipeline), '1': dict(dataset=dict(pipeline=style_pipeline))},
        ),
    ),
    # The code's upper limit; it may be broken off earlier.
    train_cfg=dict(type='IterBasedTrainLoop', max_iters=500000),
    default_hooks=dict(checkpoint=dict(interval=10000)),
    val_cfg=None,
    val_dataloader=None,
    val_evaluator=None,
    test_cfg=None,
    test_dataloader=None,
    test_evaluator=None,
)

stages = [
    style_stage,
    dict(name='pretrain', model=dict(consistency_weight=0.0, predict_with='student'), **_base_.pretrain_schedule),
    dict(
        name='adapt',
        load_from='{pretrain}',
        custom_hooks=[
            dict(type='SyncBuffersHook'),
            dict(type='MeanTeacherHook'),
            dict(type='AdaptationVisualizationHook', interval=1000),
        ],
        **_base_.adapt_schedule,
    ),
]
