"""Drawn poses in memory, for measurements that do not depend on what people do."""

from __future__ import annotations

import math

import numpy as np
import torch

from mmposeda.datasets.lifting import LiftingDataset, LiftingPoses
from mmposeda.datasets.lifting_cameras import camera_row
from mmposeda.registry import DATASETS
from mmposeda.structures.kinematics import KinematicTree
from mmposeda.structures.skeleton import Skeleton

#: Metres from the camera to the root.
DEPTH = 5.0
JOINTS = 'body16_3d'


@DATASETS.register_module()
class DrawnPoses(LiftingDataset):
    """Bones in random directions, of five people's lengths, before four cameras like those of Human3.6M.

    Args:
        number (int): Poses.
        kwargs: See :class:`LiftingDataset`.
    """

    def __init__(self, number: int, **kwargs) -> None:
        self.number = number
        super().__init__(joints=JOINTS, **kwargs)

    def read(self) -> LiftingPoses:
        """Draw them."""
        draw = torch.Generator().manual_seed(0)
        tree = KinematicTree(Skeleton.from_metainfo(JOINTS))
        lengths = 0.12 + 0.3 * torch.rand(5, tree.num_length_groups, generator=draw)[:, list(tree.length_groups)]
        subject = torch.randint(5, (self.number,), generator=draw)
        unit = torch.nn.functional.normalize(torch.randn(self.number, tree.num_bones, 3, generator=draw), dim=-1)
        root = torch.tensor([0, 0, DEPTH]) + 0.3 * torch.randn(self.number, 1, 3, generator=draw).clamp(-2, 2)
        camera = (1145, 1144), (513, 516), (1000, 1002), (-0.2, 0.24, -0.002), (-0.0009, -0.0016)
        rows = np.arange(self.number, dtype=np.int32)
        return LiftingPoses(
            poses=tree.pose(unit * lengths[subject, :, None], root).numpy(),
            keypoints=None,
            camera=rows % 4,
            cameras=np.stack([camera_row(*camera)] * 4),
            sequence=np.zeros_like(rows),
            sequence_names=['drawn_{:07d}'],
            frame=rows,
            action=np.zeros_like(rows),
            action_names=['none'],
            subject=subject.numpy().astype(np.int32),
            subject_names=[f'S{n}' for n in range(5)],
            joints=JOINTS,
        )


def start_before_camera(weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Let the last layer of a translation place all poses well inside the picture at first.

    Else part of an augmentor's results were out of it, more or less by chance, and the lifter had less to do.
    """
    with torch.no_grad():
        weight.mul_(0.01)
        bias.copy_(torch.tensor([0.0, 0.0, math.sqrt(DEPTH)]))
