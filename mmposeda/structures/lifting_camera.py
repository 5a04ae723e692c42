"""Screen coordinates and the distorted projection of the lifting literature, in torch and differentiable.

The form is that of VideoPose3D, which PoseAug's code shares. It is not OpenCV's, nor that of MMPose's ``SimpleCamera``:
there the tangential term is doubled and its two coefficients swap places. Without tangential distortion all agree.

Legend: screen coordinates are ``2 u / W - (1, H / W)`` of pixels u in a picture of W x H: x in [-1, 1], y in
[-H / W, H / W]. A camera (..., 9) is fx, fy, cx, cy, k1, k2, k3, p1, p2 with f and c in those. Poses are in metres, in
the camera's frame (x right, y down, z forward), absolute. Where sizes or cameras have fewer dimensions than the points,
theirs are the first: a camera a pose, or one for all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .kinematics import at_least_float32

#: Nearer to the camera's plane than this, in metres, a joint counts as not seen.
MIN_DEPTH = 0.1


def to_screen(pixels: Tensor, size: Tensor) -> Tensor:
    """Pixels (..., 2) to screen coordinates; ``size`` (..., 2) is (W, H)."""
    size = _aligned(size, pixels, 2, 'size')
    return (2 * at_least_float32(pixels) - size) / size[..., :1]


def from_screen(points: Tensor, size: Tensor) -> Tensor:
    """Screen coordinates (..., 2) to pixels; ``size`` (..., 2) is (W, H)."""
    size = _aligned(size, points, 2, 'size')
    return (at_least_float32(points) * size[..., :1] + size) / 2


def screen_intrinsics(f: Tensor, c: Tensor, k: Tensor, p: Tensor, size: Tensor) -> Tensor:
    """Camera (..., 9) in screen units from one in pixels.

    Both focal lengths are divided by the width, as the screen keeps the aspect ratio.

    Args:
        f (Tensor): Focal lengths (..., 2), pixels.
        c (Tensor): Principal point (..., 2), pixels.
        k (Tensor): Radial coefficients (..., 3).
        p (Tensor): Tangential coefficients (..., 2).
        size (Tensor): (..., 2), W and H in pixels.
    """
    focal = 2 * at_least_float32(f) / _aligned(size, f, 2, 'size')[..., :1]
    centre = to_screen(c, size)
    leading = torch.broadcast_shapes(focal.shape[:-1], centre.shape[:-1], k.shape[:-1], p.shape[:-1])
    return torch.cat([part.to(focal).expand(*leading, -1) for part in (focal, centre, k, p)], -1)


def project_h36m(pose: Tensor, cam: Tensor, min_depth: float = MIN_DEPTH) -> Tensor:
    """Project joints to screen coordinates.

    With ``q = clamp(X_xy / X_z, -1, 1)`` and ``r = |q|^2`` it is ``f (q (1 + k1 r + k2 r^2 + k3 r^3 + p.q) + p r) + c``
    (VideoPose3D; the authors' code of PoseAug). The clamp keeps the polynomial sane far outside of the picture.

    Our choice: a depth below ``min_depth`` is raised to it, so joints on or behind the camera's plane give finite
    numbers and gradients. Whether they count is what :func:`in_view` says.

    Args:
        pose (Tensor): (..., J, 3), metres, camera frame, absolute.
        cam (Tensor): (..., 9), or (9,).
        min_depth (float): Metres.

    Returns:
        Tensor: (..., J, 2), in float32 at least.

    Raises:
        ValueError: The shapes do not fit.
    """
    pose = at_least_float32(pose)
    if pose.ndim < 2 or pose.shape[-1] != 3:
        raise ValueError(f'poses to project must be (..., J, 3), got {tuple(pose.shape)}')
    cam = _aligned(cam, pose, 9, 'camera').to(pose.dtype)
    focal, centre, radial, tangential = cam.split([2, 2, 3, 2], -1)
    flat = (pose[..., :2] / pose[..., 2:].clamp_min(min_depth)).clamp(-1, 1)
    squared = flat.square().sum(-1, keepdim=True)
    k1, k2, k3 = radial.split(1, -1)
    factor = 1 + squared * (k1 + squared * (k2 + squared * k3)) + (tangential * flat).sum(-1, keepdim=True)
    return focal * (flat * factor + tangential * squared) + centre


def in_view(pose: Tensor, points: Tensor, aspect: Tensor | float, min_depth: float = MIN_DEPTH) -> Tensor:
    """Which poses lie wholly in the picture and before the camera, (...,) bool.

    The authors' code looks at the right and lower edge alone; here all four, depth and finiteness count, and that the
    ray is within 45 degrees, where :func:`project_h36m` clamps it.

    Args:
        pose (Tensor): (..., J, 3), metres, camera frame, absolute.
        points (Tensor): (..., J, 2), its projection in screen coordinates.
        aspect (Tensor | float): (...,), H / W.
        min_depth (float): Metres; each joint must be farther away.
    """
    aspect = torch.as_tensor(aspect, dtype=points.dtype, device=points.device)
    x, y = points.abs().unbind(-1)
    # a comparison with NaN is False; beyond 45 degrees the projection is clamped and says nothing
    seen = (x <= 1) & (y <= aspect[..., None]) & (pose[..., 2] > min_depth) & pose.isfinite().all(-1)
    seen &= (pose[..., :2].abs() < pose[..., 2:]).all(-1)
    return seen.all(-1)


def _aligned(values: Tensor, points: Tensor, width: int, what: str) -> Tensor:
    """``values`` (..., width) with dimensions of 1 before the last until they are as many as the points have."""
    missing = points.ndim - values.ndim
    if values.ndim < 1 or values.shape[-1] != width or missing < 0:
        raise ValueError(
            f'{what} must be (..., {width}) with no more dimensions than the points {tuple(points.shape)}, '
            f'got {tuple(values.shape)}'
        )
    shape = (*values.shape[:-1], *[1] * missing, width)
    try:
        torch.broadcast_shapes(shape[:-1], points.shape[:-1])
    except RuntimeError:
        raise ValueError(f'{what} {tuple(values.shape)} does not fit points {tuple(points.shape)}') from None
    return at_least_float32(values).reshape(shape)
