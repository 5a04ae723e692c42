"""What goes into the transform PoseAugment in tests: people who turn and walk, and augmentors."""

from copy import deepcopy

import numpy as np
import torch
from lifting_samples import CAMERAS
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmposeda.datasets.lifting_cameras import project, to_camera_param
from mmposeda.registry import MODELS, TRANSFORMS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

RANDOM = dict(type='RandomPoseAugmentor')
LEARNED = dict(type='PoseAugmentor', hidden=32)
H36M, BODY16 = (Skeleton.from_metainfo(name) for name in ('h36m', 'body16_3d'))
STILL = dict(angle_change=(0, 0), length_limit=0)
ARRAYS = ('keypoints', 'lifting_target', 'keypoints_3d')


def sample(frames=1, targets=None, seed=0, camera=1, **kwargs):
    """Data info of someone who turns and walks, before the camera that distorts; the target is the last frame."""
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 0.3, (17, 3)) + rng.normal(0, 0.02, (frames, 17, 3))
    time = np.linspace(-0.5, 0.5, frames) if frames > 1 else np.zeros(1)
    turn = np.stack([np.stack([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]) for a in time])
    poses = np.einsum('tij,tkj->tki', turn, body) + np.array([0.1, 0.05, 4.5]) + time[:, None, None] * [0.6, 0, 0.2]
    poses = poses.astype('f4')
    targets = frames if targets is None else targets
    info = dict(
        keypoints=project(poses, np.zeros(frames, int), CAMERAS[camera : camera + 1])
        + rng.normal(0, 2, (frames, 17, 2)),
        keypoints_visible=rng.random((frames, 17)).astype('f4'),
        keypoints_3d=poses,
        keypoints_3d_visible=np.ones((frames, 17), 'f4'),
        lifting_target=poses[-targets:].copy(),
        lifting_target_visible=np.ones((targets, 17), 'f4'),
        camera_param=to_camera_param(CAMERAS[camera]),
        factor=np.full(frames, 3.0, 'f4'),
        flip_indices=list(H36M.flip_indices),
        target_img_path='a.jpg',
    )
    return {**info, **kwargs}


def build(augmentor=RANDOM, **kwargs):
    return TRANSFORMS.build(dict(type='PoseAugment', augmentor=augmentor, **{'joints': 'h36m', 'prob': 1.0, **kwargs}))


def run(transform, info, seed=0):
    torch.manual_seed(seed)
    return transform(deepcopy(info))


def write_augmentor(path, skeleton='h36m', names=True, **kwargs):
    """A checkpoint as a run writes it, with statistics of its own; returns its network."""
    torch.manual_seed(5)
    network = MODELS.build(dict(LEARNED, skeleton=skeleton, **kwargs))
    network(torch.randn(64, network.tree.num_joints, 3) * 0.3 + torch.tensor([0, 0, 5.0]))
    own = {f'augmentor.{key}': value for key, value in network.state_dict().items()}
    meta = dict(dataset_meta=parse_pose_metainfo(dict(from_file=metainfo_path(skeleton)))) if names else {}
    torch.save(dict(meta=meta, state_dict={'student.weight': torch.zeros(3), **own}), path)
    return network.eval()
