"""A tiny plain MMPose estimator of LSP's joints with its checkpoint, labelled pictures, and pictures of one's own."""

import json

import cv2
import numpy as np
import torch
from mmengine.registry import DefaultScope

import mmposeda  # noqa: F401
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

NETWORK = """
from mmpose.registry import MODELS
from torch import nn


@MODELS.register_module(force=True)
class OwnBackbone(nn.Sequential):
    def __init__(self, init_cfg=None):
        super().__init__(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))

    def init_weights(self):
        pass

    def forward(self, x):
        return (super().forward(x),)
"""
CONFIG = """
import sys
sys.path.insert(0, '{{{{ fileDirname }}}}')
custom_imports = dict(imports=['own_network'], allow_failed_imports=False)
default_scope = 'mmpose'
codec = dict({codec})
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[64.0] * 3),
    backbone=dict(type='OwnBackbone', init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth')),
    head=dict({head}),
)
pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
test_dataloader = dict(dataset=dict(type='CocoDataset', metainfo=dict(from_file='{joints}'), pipeline=pipeline))
"""
HEATMAP = dict(
    codec="type='MSRAHeatmap', input_size=(32, 32), heatmap_size=(8, 8), sigma=1",
    head="type='HeatmapHead', in_channels=8, out_channels={count}, deconv_out_channels=None, "
    "loss=dict(type='KeypointMSELoss'), decoder=codec",
)
SIMCC = dict(
    codec="type='SimCCLabel', input_size=(32, 32), sigma=2.0, simcc_split_ratio=2.0",
    head="type='SimCCHead', in_channels=8, out_channels={count}, input_size=(32, 32), in_featuremap_size=(8, 8), "
    "simcc_split_ratio=2.0, deconv_out_channels=None, loss=dict(type='KLDiscretLoss', use_target_weight=True), "
    'decoder=codec',
)
REGRESSION = dict(
    codec="type='RegressionLabel', input_size=(32, 32)",
    head="type='RegressionHead', in_channels=512, num_joints={count}, decoder=codec, "
    "loss=dict(type='SmoothL1Loss', use_target_weight=True)",
)
SOURCE = """
pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=(64, 64)),
    dict(type='GenerateTarget', encoder=dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(dataset=dict(
    type='CocoDataset', data_root='{folder}', ann_file='labels.json', data_prefix=dict(img='images'),
    metainfo=dict(from_file='{joints}'), pipeline=pipeline))
"""


def write_estimator(folder, joints='lsp', kind=HEATMAP):
    """Write ``own.py`` and ``own.pth``; return their paths."""
    from mmengine.config import Config

    folder.mkdir(parents=True, exist_ok=True)
    count = Skeleton.from_metainfo(joints).num_joints
    (folder / 'own_network.py').write_text(NETWORK)
    parts = {key: value.format(count=count) for key, value in kind.items()}
    (folder / 'own.py').write_text(CONFIG.format(joints=metainfo_path(joints), **parts))
    model = Config.fromfile(str(folder / 'own.py')).model
    torch.manual_seed(0)
    del model.backbone['init_cfg']
    with DefaultScope.overwrite_default_scope('mmposeda'):
        weights = MODELS.build(model).state_dict()
    torch.save(dict(state_dict=weights, meta={}), folder / 'own.pth')
    return str(folder / 'own.py'), str(folder / 'own.pth')


def write_pictures(folder, count=6, seed=0):
    """Write pictures of noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for n in range(count):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(str(folder / f'{n}.jpg'), cv2.resize(small, (48, 40), interpolation=cv2.INTER_CUBIC))
    return folder


def write_labels(path, pictures, joints='lsp', seed=0):
    """Write COCO-style labels, anywhere, of all pictures of a folder."""
    names = Skeleton.from_metainfo(joints).joint_names
    rng = np.random.default_rng(seed)
    images, entries = [], []
    for n, picture in enumerate(sorted(pictures.glob('*.jpg')), 1):
        points = np.concatenate([rng.uniform(4, 36, (len(names), 2)), np.full((len(names), 1), 2)], 1)
        images.append(dict(id=n, file_name=picture.name, width=48, height=40))
        box = dict(bbox=[0, 0, 48, 40], area=1920, iscrowd=0, num_keypoints=len(names))
        entries.append(dict(id=n, image_id=n, category_id=1, keypoints=points.ravel().tolist(), **box))
    category = dict(id=1, name='person', keypoints=list(names), skeleton=[])
    path.write_text(json.dumps(dict(images=images, annotations=entries, categories=[category])))
    return path


def write_source(folder, joints='lsp'):
    """Write a labelled data set and a config that trains on it; return the config's path."""
    write_pictures(folder / 'images', seed=1)
    write_labels(folder / 'labels.json', folder / 'images', joints)
    (folder / 'source.py').write_text(SOURCE.format(folder=folder, joints=metainfo_path(joints)))
    return str(folder / 'source.py')
