"""How a picture has to be bent so that its keypoints go to those of another picture of the same scene."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.keypoint_grid import (
    VARIANCE,
    affine_grids,
    bone_transforms,
    dense_affine_field,
    dense_field,
    displaced_grids,
    gaussian_maps,
    sample_regions,
    segment_maps,
)
from mmposeda.structures.low_pass import gaussian_subsample
from mmposeda.structures.skeleton import Skeleton

#: The field has one place for so many pixels of the picture along each side (first-order motion model's code).
STRIDE = 4
REGIONS = ('joint', 'bone')
#: What is added to a region's prior, so that its logarithm stays finite far away.
FAINT = 1e-6


class WarpField(NamedTuple):
    """How the base picture is bent, a place for every 4 pixels.

    Attributes:
        field: Displacements (B, h, w, 2) in corner-aligned grid units: where, from each place of the driving picture,
            the base picture is looked up.
        mask: Share of every region, (B, R, h, w), of sum 1 over the regions; the first is the background.
        inpainting: (B, 1, h, w) in (0, 1): 1 trusts the warp, 0 wants the place invented.
    """

    field: Tensor
    mask: Tensor
    inpainting: Tensor


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Hourglass(nn.Module):
    """Convolution, batch normalisation, ReLU and average pooling downwards; nearest doubling and the same upwards, with
    the maps of the way down concatenated (first-order motion model's code).

    Args:
        in_channels (int): D.
        width (int): Channels of the finest level upwards; a level below has twice as many.
        max_width (int): Most channels of a level.
        num_blocks (int): Levels.

    Attributes:
        out_channels (int): ``width + in_channels``, the input being the last map that is concatenated.
    """

    def __init__(self, in_channels: int, width: int, max_width: int, num_blocks: int) -> None:
        super().__init__()
        widths = [min(max_width, width * 2**level) for level in range(num_blocks + 1)]
        self.down = nn.ModuleList(_block(i, o) for i, o in zip([in_channels, *widths[1:-1]], widths[1:]))
        skips = [0, *widths[num_blocks - 1 : 0 : -1]]
        up = zip(widths[:0:-1], skips, widths[-2::-1])
        self.up = nn.ModuleList(_block(i + skip, o) for i, skip, o in up)
        self.out_channels = widths[0] + in_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, h, w), sides divisible by 2^num_blocks, to (B, out_channels, h, w)."""
        maps = [x]
        for block in self.down:
            maps.append(F.avg_pool2d(block(maps[-1]), 2))
        x = maps.pop()
        for block in self.up:
            x = torch.cat([block(F.interpolate(x, scale_factor=2, mode='nearest')), maps.pop()], 1)
        return x


@MODELS.register_module()
class WarpEstimator(BaseModule):
    """Predicts region masks, and from them and the keypoints a displacement field and an inpainting map.

    The warping module of the geometric reconstruction (Lin et al., NeurIPS 2023): an hourglass of five blocks with two
    convolutions behind it, one for the masks and one for the inpainting map. What the paper leaves open follows the
    code of the first-order motion model, on which that family of generators rests: widths, 7x7 convolutions at the end,
    and what goes in. That is, of every region, how the map of its keypoint changes between the pictures, and the base
    picture moved by the region's own displacement. The base picture comes at a quarter of its size. A field is of zero
    order, each region moves as a whole, and the background does not move.

    With ``width=64`` there are 37,883,839 parameters for the 21 joints of a hand, and 37,805,914 for 16 joints.

    Legend: B pictures of size (w, h), K keypoints, R regions with the background as the first; places on corner-aligned
    grids, see :mod:`~mmposeda.structures.keypoint_grid`.

    Args:
        num_keypoints (int): K.
        width (int): Channels of the hourglass's last block, twice those of the block before; 16 or 32 suit a CPU.
        max_width (int): Most channels of a block.
        num_blocks (int): Blocks of the hourglass. The pictures' sides must be multiples of ``4 * 2**num_blocks``.
        region (str): 'joint': a region a keypoint, which is shifted. 'bone' (our choice): a region a bone, which is
            shifted, turned and stretched alike in both directions, as long limbs want it.
        prior (float, optional): Weight of the background against that of a region at its own place in the driving
            picture, where it is 1 and falls as a Gaussian: masks begin from these weights, and the network adds to
            their logarithms (our choice). None leaves the masks to the network alone, as the family's code does; in
            short trainings it then learns to give everything to the background, because at first all regions move all
            of the picture, and the keypoints count for nothing.
        bound (float): Most that the network adds to the logarithms or takes from them. With 1 the region at its own
            place outweighs the background whatever the network says, so that it cannot learn to neglect keypoints
            that are often wrong. Of no effect without a prior.
        prior_variance (float): Of that Gaussian, grid units squared; by the priors alone the field is best at 0.005 for
            hands at 96 pixels, half the variance of the keypoints' maps.
        skeleton (str | Skeleton, optional): Joint set, or the name of its meta file; 'bone' reads the bones off it.

    Raises:
        ValueError: An unknown region, a prior that is not positive, no bones for 'bone', or a joint set of another
            number of joints.
    """

    def __init__(
        self,
        num_keypoints: int,
        width: int = 64,
        max_width: int = 1024,
        num_blocks: int = 5,
        region: str = 'joint',
        prior: float | None = 0.02,
        bound: float = 1.0,
        prior_variance: float = 0.005,
        skeleton: str | Skeleton | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if region not in REGIONS:
            raise ValueError(f'region must be one of {REGIONS}, got {region!r}')
        if min(num_keypoints, width, max_width, num_blocks) < 1:
            raise ValueError(
                'num_keypoints, width, max_width and num_blocks must be 1 or more, got '
                f'{num_keypoints}, {width}, {max_width}, {num_blocks}'
            )
        if min(1.0 if prior is None else prior, bound, prior_variance) <= 0:
            raise ValueError(
                f'prior, bound and prior_variance must be positive, got {prior}, {bound} and {prior_variance}'
            )
        if skeleton is not None and not isinstance(skeleton, Skeleton):
            skeleton = Skeleton.from_metainfo(skeleton)
        if skeleton is not None and skeleton.num_joints != num_keypoints:
            raise ValueError(f'{num_keypoints} keypoints, but {skeleton.name!r} has {skeleton.num_joints} joints')
        self.num_keypoints, self.num_blocks, self.region = num_keypoints, num_blocks, region
        self.prior, self.bound, self.prior_variance = prior, bound, prior_variance
        self.num_regions = num_keypoints + 1
        if region == 'bone':
            bones = _bones(skeleton)
            self.num_regions = len(bones) + 1
            parents, children = torch.tensor(bones).t()
            self.register_buffer('_parents', parents.contiguous(), persistent=False)
            self.register_buffer('_children', children.contiguous(), persistent=False)
        self.hourglass = Hourglass(4 * self.num_regions, width, max_width, num_blocks)
        self.mask = nn.Conv2d(self.hourglass.out_channels, self.num_regions, 7, padding=3)
        self.inpainting = nn.Conv2d(self.hourglass.out_channels, 1, 7, padding=3)

    def forward(self, base: Tensor, base_points: Tensor, driving_points: Tensor) -> WarpField:
        """Estimate the field that takes the base picture to the driving one.

        Args:
            base (Tensor): Base pictures, RGB in [0, 1], (B, 3, h, w).
            base_points (Tensor): Their keypoints, (B, K, 2).
            driving_points (Tensor): Those of the driving pictures, (B, K, 2).

        Raises:
            ValueError: Sides that the hourglass cannot halve so often, or keypoints of another shape.
        """
        self._check(base, base_points, driving_points)
        small = gaussian_subsample(base, STRIDE)
        size = (small.shape[3], small.shape[2])
        motion = self.motion(base_points, driving_points, size)
        grids = (displaced_grids if self.region == 'joint' else affine_grids)(motion, size)
        moved = sample_regions(small, grids)
        change = self.map_change(base_points, driving_points, size)
        features = self.hourglass(torch.cat([change[:, :, None], moved], 2).flatten(1, 2))
        logits = self.mask(features)
        if self.prior is not None:
            near = self._maps(driving_points, size, self.prior_variance)
            logits = self.bound * (logits / self.bound).tanh()
            logits = logits + F.pad((near + FAINT).log(), (0, 0, 0, 0, 1, 0), value=math.log(self.prior))
        mask = logits.softmax(1)
        field = (dense_field if self.region == 'joint' else dense_affine_field)(mask, motion)
        return WarpField(field, mask, self.inpainting(features).sigmoid())

    def motion(self, base_points: Tensor, driving_points: Tensor, size: tuple[int, int]) -> Tensor:
        """Where each region of the driving picture is looked up, the background's rest first.

        Args:
            base_points (Tensor): (B, K, 2).
            driving_points (Tensor): (B, K, 2).
            size (tuple[int, int]): Of the field, (w, h); its ratio alone matters.

        Returns:
            Tensor: Displacements (B, R, 2) of joints, or matrices (B, R, 2, 3) of bones.
        """
        if self.region == 'joint':
            return F.pad(base_points - driving_points, (0, 0, 1, 0))
        moves = bone_transforms(driving_points, base_points, self._parents, self._children, size)
        return torch.cat([torch.eye(2, 3).to(moves).expand(len(moves), 1, 2, 3), moves], 1)

    def map_change(self, base_points: Tensor, driving_points: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps of the driving keypoints or bones minus those of the base, 0 for the background: (B, R, h, w)."""
        driving, base = (self._maps(points, size) for points in (driving_points, base_points))
        return F.pad(driving - base, (0, 0, 0, 0, 1, 0))

    def _maps(self, points: Tensor, size: tuple[int, int], variance: float = VARIANCE) -> Tensor:
        """Maps of keypoints or bones (B, R - 1, h, w)."""
        if self.region == 'joint':
            return gaussian_maps(points, size, variance)
        ends = (points.index_select(1, index) for index in (self._parents, self._children))
        return segment_maps(*ends, size, variance)

    def _check(self, base: Tensor, *points: Tensor) -> None:
        divisor = STRIDE * 2**self.num_blocks
        height, width = base.shape[-2:]
        if height % divisor or width % divisor:
            fitting = 0
            while height % (STRIDE * 2 ** (fitting + 1)) == 0 and width % (STRIDE * 2 ** (fitting + 1)) == 0:
                fitting += 1
            way_out = f'set num_blocks={fitting} or fewer, or take' if fitting else 'take'
            raise ValueError(
                f'pictures of {width}x{height} pixels cannot be halved {self.num_blocks} times at a quarter of their '
                f'size: {way_out} sides that are multiples of {divisor}'
            )
        expected = (len(base), self.num_keypoints, 2)
        for name, given in zip(('base_points', 'driving_points'), points):
            if given.shape != expected:
                raise ValueError(f'{name} must be {expected} for these pictures, got {tuple(given.shape)}')


def _bones(skeleton: Skeleton | None) -> list[tuple[int, int]]:
    """Parent and child of every bone."""
    bones = [] if skeleton is None else list(skeleton.bones)
    if not bones:
        got = 'none' if skeleton is None else f'{skeleton.name!r}, which has no bones'
        raise ValueError(f"region='bone' needs a joint set with parents, skeleton='mpii' for example; got {got}")
    return bones
