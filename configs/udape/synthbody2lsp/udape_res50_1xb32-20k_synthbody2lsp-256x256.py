# The 128x128 run with a larger net, input and length, for a GPU. Render the people with --size 320. ImageNet weights:
# https://download.pytorch.org/models/resnet50-0676ba61.pth (the name ends in the start of its SHA-256).
_base_ = ['udape_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py']
codec = dict(type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=2, unbiased=True)


def enlarge(pipeline):
    """The pipeline for this codec."""
    for step in pipeline:
        step.update({key: value for key, value in dict(input_size=(256, 256), encoder=codec).items() if key in step})
    return pipeline


def lengthen(stage, iterations):
    """The stage with its schedule stretched to so many iterations."""
    factor = iterations / stage['train_cfg']['max_iters']
    stage['train_cfg'].update(max_iters=iterations, val_interval=iterations)
    for schedule in stage['param_scheduler']:
        schedule.update({key: round(schedule[key] * factor) for key in ('begin', 'end', 'T_max') if key in schedule})
    return stage


# model
model = dict(
    estimator=dict(
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        backbone=dict(
            _delete_=True,
            type='ResNet',
            depth=50,
            init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet50-0676ba61.pth'),
        ),
        neck=None,
        head=dict(in_channels=2048, deconv_out_channels=(256, 256, 256), deconv_kernel_sizes=(4, 4, 4), decoder=codec),
    )
)

# loaders
source, target = _base_.train_dataloader.dataset.datasets
source.pipeline = enlarge(source.pipeline)
target.dataset.pipeline = enlarge(target.dataset.pipeline)
train_dataloader = dict(num_workers=8, dataset=dict(datasets=[source, target]))
val_dataloader = dict(num_workers=4, dataset=dict(pipeline=enlarge(_base_.test_pipeline)))
test_dataloader = val_dataloader

# schedule
stages = [lengthen(stage, length) for stage, length in zip(_base_.stages, (2000, 10000, 8000))]
