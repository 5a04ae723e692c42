"""A tiny pose task: 24 px noise pictures with two keypoints on bright dots, and a network of three layers."""

import json
import textwrap

import cv2
import numpy as np

CONFIG = """
_base_ = ['{runtime}']
codec = dict(type='MSRAHeatmap', input_size=(32, 32), heatmap_size=(8, 8), sigma=1)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[64.0] * 3),
    backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(1,), frozen_stages=-1),
    head=dict(
        type='HeatmapHead',
        in_channels=8,
        out_channels=2,
        deconv_out_channels=None,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec,
    ),
)
pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = pipeline[:3] + pipeline[4:]
dataset = dict(
    type='CocoDataset',
    data_root='{data_root}',
    data_mode='topdown',
    ann_file='labels.json',
    data_prefix=dict(img=''),
    metainfo=dict(from_file='{data_root}/metainfo.py'),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=pipeline, **dataset),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=val_pipeline, test_mode=True, **dataset),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PCKAccuracy', thr=0.2)
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=4)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
{more}
"""

METAINFO = """
dataset_info = dict(
    dataset_name='toy',
    keypoint_info={
        0: dict(name='left', id=0, color=[0, 255, 0], type='', swap='right'),
        1: dict(name='right', id=1, color=[255, 0, 0], type='', swap='left'),
    },
    skeleton_info={0: dict(link=('left', 'right'), id=0, color=[0, 0, 255])},
    joint_weights=[1.0, 1.0],
    sigmas=[0.05, 0.05],
)
"""


def write_toy(folder, runtime, more='', count=4):
    """Write pictures, labels and a config; return the config's path."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(count):
        picture = rng.integers(0, 60, (24, 24, 3), dtype=np.uint8)
        points = rng.integers(6, 18, (2, 2))
        for point in points:
            cv2.circle(picture, tuple(map(int, point)), 2, (255, 255, 255), -1)
        cv2.imwrite(str(folder / f'{index}.png'), picture)
        images.append(dict(id=index, file_name=f'{index}.png', width=24, height=24))
        keypoints = np.column_stack([points, [2, 2]]).reshape(-1).tolist()
        annotations.append(
            dict(
                id=index + 1,
                image_id=index,
                category_id=1,
                bbox=[2, 2, 20, 20],
                area=400,
                iscrowd=0,
                keypoints=keypoints,
                num_keypoints=2,
            )
        )
    labels = dict(images=images, annotations=annotations, categories=[dict(id=1, name='person')])
    (folder / 'labels.json').write_text(json.dumps(labels))
    (folder / 'metainfo.py').write_text(METAINFO)
    config = folder / 'toy.py'
    text = CONFIG.replace('{runtime}', str(runtime)).replace('{data_root}', str(folder))
    config.write_text(text.replace('{more}', textwrap.dedent(more)))
    return config
