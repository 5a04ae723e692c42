"""The space of poses of non-local relation distillation: an auto-encoder along the tree of the body."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import at_least_float32, split_bones
from mmposeda.structures.local_pose import LocalPose
from mmposeda.structures.skeleton import Skeleton

from .mlp import bounded, check_last, check_scale, he_init, mlp
from .stacked import StackedLinear

SLOPE = 0.2
_LIMBS = dict(arm=('shoulder', 'elbow', 'wrist'), leg=('hip', 'knee', 'ankle', 'foot'))
#: Below this length a decoded vector has no direction.
_EPS = 1e-6


def part_groups(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """Joints of ``trunk``, ``right_arm``, ``left_arm``, ``right_leg`` and ``left_leg``, in this order.

    The neck is in three of them. The root is in none: it is always at the origin, and no bone ends in it.

    Raises:
        KeyError: A joint is missing; feet may be.
        ValueError: A joint is in no part.
    """
    groups = dict(trunk=skeleton.index_all(('neck', 'head_top')))
    for limb, joints in _LIMBS.items():
        for side in ('right', 'left'):
            names = [f'{side}_{joint}' for joint in joints]
            names = [name for name in names if not name.endswith('foot') or name in skeleton.joint_names]
            groups[f'{side}_{limb}'] = skeleton.index_all(names if limb == 'leg' else ('neck', *names))
    seen = {joint for group in groups.values() for joint in group} | {skeleton.parents.index(-1)}
    left = [name for joint, name in enumerate(skeleton.joint_names) if joint not in seen]
    if left:
        raise ValueError(
            f'skeleton {skeleton.name}: {", ".join(left)} belong to no part of the body. Take a joint set without '
            'them, nlrd17 or nlrd15'
        )
    return groups


class PoseEncoder(nn.Module):
    """Local vectors to latents: parts, limbs with the trunk, upper and lower half, whole body.

    Four limbs, and two halves, are one product each. There the batch comes last, so that neighbours are joined by a
    view: arms to the upper half, legs to the lower.

    Args:
        groups (dict[str, tuple[int]]): Joints of trunk and limbs.
        latent (int): L.
        scale (float): s.
    """

    def __init__(self, groups: dict[str, tuple[int, ...]], latent: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.sizes = tuple(map(len, groups.values()))
        self.register_buffer('_joints', torch.tensor(sum(groups.values(), ())), persistent=False)
        self.parts = nn.ModuleDict({part: he_init(nn.Linear(3 * len(g), 32), SLOPE) for part, g in groups.items()})
        self.limbs = he_init(StackedLinear(4, 64, 64), SLOPE)
        self.halves = he_init(StackedLinear(2, 128, 128), SLOPE)
        self.body = mlp((256, 512, latent), SLOPE)

    def forward(self, local: Tensor) -> Tensor:
        """Latents (B, L) of local vectors (B, J, 3)."""
        inputs = local.index_select(1, self._joints).split(self.sizes, 1)
        parts = torch.stack([layer(x.flatten(1)).t() for layer, x in zip(self.parts.values(), inputs)])  # (5, 32, B)
        trunk, limbs = _activated(parts).split((1, 4))
        limbs = _activated(self.limbs(torch.cat([trunk.expand_as(limbs), limbs], 1)))  # (4, 64, B)
        halves = _activated(self.halves(limbs.view(2, 128, -1)))
        return bounded(self.body(halves.view(256, -1).t()), self.scale)


class PoseDecoder(nn.Module):
    """Latents to local vectors, the encoder's way back; what several limbs or parts say of a joint is summed.

    Args:
        groups (dict[str, tuple[int]]): Joints of trunk and limbs.
        latent (int): L.
        num_joints (int): J.
    """

    def __init__(self, groups: dict[str, tuple[int, ...]], latent: int, num_joints: int) -> None:
        super().__init__()
        self.body = mlp((latent, 512, 512, 256), SLOPE)
        he_init(self.body[-1], SLOPE)
        self.halves = he_init(StackedLinear(2, 128, 128), SLOPE)
        self.limbs = he_init(StackedLinear(4, 64, 64), SLOPE)
        self.parts = nn.ModuleDict({part: he_init(nn.Linear(32, 3 * len(g))) for part, g in groups.items()})
        copies = torch.tensor(sum(groups.values(), ()))
        joints = torch.arange(num_joints)[:, None]
        self.register_buffer('_sums', (joints == copies).float(), persistent=False)  # (J, copies)

    def forward(self, z: Tensor) -> Tensor:
        """Local unit vectors (B, J, 3) of latents (B, L); the root's is zero."""
        halves = _activated(self.body(z)).t().reshape(2, 128, -1)
        limbs = _activated(self.halves(halves)).view(4, 64, -1)
        trunks, limbs = self.limbs(limbs).split(32, 1)  # (4, 32, B) both
        parts = _activated(torch.cat([trunks.sum(0, keepdim=True), limbs])).transpose(1, 2)  # (5, B, 32)
        copies = torch.cat([layer(x) for layer, x in zip(self.parts.values(), parts)], 1).unflatten(1, (-1, 3))
        copies = at_least_float32(copies)
        with torch.autocast(copies.device.type, enabled=False):
            joints = self._sums.to(copies.dtype) @ copies
        return split_bones(joints, _EPS)[0]


@MODELS.register_module()
class PoseAAE(BaseModule):
    """Poses to latents in [-s, s] and back, by local vectors and forward kinematics.

    The encoder joins the parts of a body step by step: trunk and limbs (32 each), each limb with the trunk (64), the
    upper and the lower half (128), all (512), latent; leaky ReLUs of slope 0.2, ``s tanh(a / s)`` at the end. The
    decoder goes the same way back. Its vectors are made unit vectors, and forward kinematics give each bone its
    canonical length, so that no latent decodes to a body of wrong lengths.

    Source: non-local relation distillation (Kundu et al., NeurIPS 2021), and the authors' code for the widths, without
    its layers that lead nowhere. The authors feed the root's row, which is always zero, into the trunk: it is no input
    here. What makes it adversarial is not part of it: see
    :mod:`~mmposeda.models.networks.pose_aae_discriminators`.

    Legend: B poses, J joints, L latent numbers, s scale.

    Args:
        skeleton (str | Skeleton): Joint set, ``nlrd17`` or the same without feet, ``nlrd15``.
        latent (int): L.
        scale (float): s (1 in the paper, 10 in the authors' code).
        torso (str): Bones that stay in the camera's axes, see :class:`~mmposeda.structures.local_pose.LocalPose`.
        init_cfg (dict, optional): Initialisation of MMEngine's, such as ``Pretrained``.

    Attributes:
        kinematics (LocalPose): Local vectors, and forward kinematics.
        encoder (PoseEncoder), decoder (PoseDecoder): Between local vectors and latents.
        latent (int), scale (float): L and s.

    Raises:
        ValueError: Another joint set, or numbers out of range.
    """

    def __init__(
        self,
        skeleton: str | Skeleton = 'nlrd17',
        latent: int = 32,
        scale: float = 1.0,
        torso: str = 'hips',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if latent < 1:
            raise ValueError(f'latent must be 1 at least, got {latent}')
        self.latent, self.scale = latent, check_scale(scale)
        self.kinematics = LocalPose(skeleton, torso)
        groups = part_groups(self.kinematics.skeleton)
        self.encoder = PoseEncoder(groups, latent, scale)
        self.decoder = PoseDecoder(groups, latent, self.kinematics.num_joints)

    def encode(self, pose: Tensor) -> Tensor:
        """Latents (..., L) of poses (..., J, 3), in any unit and with the root anywhere."""
        local = self.kinematics.local(pose)
        return self.encoder(local.reshape(-1, *local.shape[-2:])).view(*local.shape[:-2], self.latent)

    def decode(self, z: Tensor) -> Tensor:
        """Local unit vectors (..., J, 3) of latents (..., L); the root's row is zero.

        Raises:
            ValueError: Latents of another width.
        """
        check_last(z, self.latent, 'latents of poses')
        return self.decoder(z.reshape(-1, self.latent)).view(*z.shape[:-1], self.kinematics.num_joints, 3)

    def pose(self, z: Tensor) -> Tensor:
        """Poses (..., J, 3) of latents (..., L), with canonical bone lengths and the root at the origin."""
        return self.kinematics.pose(self.decode(z))

    def forward(self, pose: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (..., L) of poses (..., J, 3), and the poses (..., J, 3) that these decode to."""
        z = self.encode(pose)
        return z, self.pose(z)


def _activated(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)
