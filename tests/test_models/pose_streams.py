"""Batches of three streams of plausible poses, as ``PoseStreams`` gives them, made from a seed."""

import torch

from mmposeda.structures.kinematics import KinematicTree
from mmposeda.structures.lifting_camera import project_h36m
from mmposeda.structures.skeleton import Skeleton

#: a camera without distortion, screen units: half the picture's width is seen at an angle of 24 degrees
CAMERA = torch.tensor([2.29, 2.29, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def people(count, seed=0, skeleton='body16_3d'):
    """Poses (count, J, 3) in metres, 5 m before the camera, with bones of 0.3 m in random directions."""
    generator = torch.Generator().manual_seed(seed)
    tree = KinematicTree(Skeleton.from_metainfo(skeleton))
    bones = torch.randn(count, tree.num_bones, 3, generator=generator)
    length = 0.2 + 0.1 * torch.rand(count, tree.num_bones, 1, generator=generator)
    root = torch.tensor([0.0, 0.0, 5.0]) + 0.2 * torch.randn(count, 1, 3, generator=generator)
    return tree.pose(bones / bones.norm(dim=-1, keepdim=True) * length, root)


def stream(count, seed=0):
    """Inputs and samples of one stream."""
    pose = people(count, seed)
    camera = CAMERA.expand(count, -1)
    inputs = dict(keypoints=project_h36m(pose, camera), pose=pose, camera=camera, aspect=torch.ones(count))
    index = torch.arange(count)
    samples = dict(index=index, action=torch.zeros_like(index), visible=torch.ones(count, 16, dtype=torch.bool))
    return inputs, samples


def streams(count=8, seed=0):
    """A batch of ``pairs``, ``real_2d`` and ``real_3d``."""
    batch = dict(inputs={}, data_samples={})
    for number, name in enumerate(('pairs', 'real_2d', 'real_3d')):
        batch['inputs'][name], batch['data_samples'][name] = stream(count, 3 * seed + number)
    return batch
