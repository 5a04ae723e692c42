"""What makes a pose auto-encoder adversarial: does a pose look real, and is a latent drawn evenly.

Source: the authors' code of non-local relation distillation (Kundu et al., NeurIPS 2021). Legend: B poses, J joints, L
latent numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

from .mlp import check_last, he_init, mlp
from .pose_aae import SLOPE, part_groups
from .stacked import StackedLinear


@MODELS.register_module()
class PosePartDiscriminator(BaseModule):
    """Scores the joints of a pose, its parts, and the whole: J + 5 + 1 logits, 23 for 17 joints.

    Every joint passes the same two layers of 32 and then one of its own to its logit; those of trunk, arms or legs
    together one of 200 to the part's; all parts two of 1024 to the last. ReLUs between, none at the end: the authors
    have one on the whole's logit, which then never reaches their target of -1 for made-up poses. The root is
    always at the origin: it has one logit for all poses, and the parts leave it out.

    Args:
        skeleton (str | Skeleton): Joint set, as of :class:`~mmposeda.models.networks.PoseAAE`.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Attributes:
        num_logits (int): J + 6.

    Raises:
        KeyError, ValueError: Joints that are missing, or belong to no part.
    """

    def __init__(self, skeleton: str | Skeleton = 'nlrd17', init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        skeleton = skeleton if isinstance(skeleton, Skeleton) else Skeleton.from_metainfo(skeleton)
        groups = part_groups(skeleton)
        self.num_joints = skeleton.num_joints
        self.num_logits = self.num_joints + len(groups) + 1
        self.sizes = tuple(map(len, groups.values()))
        self.register_buffer('_joints', torch.tensor(sum(groups.values(), ())), persistent=False)
        self.joint = nn.Sequential(
            he_init(nn.Linear(3, 32), 0.0), nn.ReLU(), he_init(nn.Linear(32, 32), 0.0), nn.ReLU()
        )
        self.joint_logits = he_init(StackedLinear(self.num_joints, 32, 1))
        self.parts = nn.ModuleDict({part: he_init(nn.Linear(32 * len(g), 200), 0.0) for part, g in groups.items()})
        self.part_logits = he_init(StackedLinear(len(groups), 200, 1))
        self.whole = mlp((200 * len(groups), 1024, 1024, 1))

    def forward(self, pose: Tensor) -> Tensor:
        """Logits (B, J + 6) of poses (B, J, 3) in canonical units from the root: joints, parts, whole.

        Raises:
            ValueError: Poses of another number of joints.
        """
        if pose.ndim != 3 or pose.shape[1:] != (self.num_joints, 3):
            raise ValueError(f'expected poses (B, {self.num_joints}, 3), got {tuple(pose.shape)}')
        joints = self.joint(pose)  # (B, J, 32)
        inputs = joints.index_select(1, self._joints).split(self.sizes, 1)
        parts = [F.relu(layer(x.flatten(1))) for layer, x in zip(self.parts.values(), inputs)]
        own = [
            self.joint_logits(joints.permute(1, 2, 0)),  # (J, 1, B)
            self.part_logits(torch.stack([x.t() for x in parts])),
        ]
        return torch.cat([*(x.squeeze(1).t() for x in own), self.whole(torch.cat(parts, 1))], 1)


@MODELS.register_module()
class LatentDiscriminator(BaseModule):
    """Tells latents of poses from evenly drawn ones: linear layers of 32, 32, 16, 16, 8, 4 with leaky ReLUs, a logit.

    For the adversarial auto-encoder of the textbook; it is in the authors' code, which does not use it.

    Args:
        latent (int): L.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(self, latent: int = 32, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.latent = latent
        self.layers = mlp((latent, 32, 32, 16, 16, 8, 4, 1), SLOPE)

    def forward(self, z: Tensor) -> Tensor:
        """Logits (..., 1) of latents (..., L).

        Raises:
            ValueError: Latents of another width.
        """
        check_last(z, self.latent, 'latents of poses')
        return self.layers(z)
