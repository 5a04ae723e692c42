"""Where a person is seen from, and how its joints are bent, in 3D.

Legend: N poses, J joints, in metres (any unit serves) in the camera's frame: x right, y down, z forward.
"""

from __future__ import annotations

import numpy as np

from .skeleton import Skeleton

_CHESTS = ('thorax', 'neck', 'upper_neck')
#: Lengths below this share of the body's own are none (our choice).
_MIN_LENGTH = 1e-6


def view_angles(poses: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Direction from each person to the camera, in the person's own frame.

    The frame stands in the middle of the hips: *left* from the right hip to the left one, *up* towards the thorax (or
    neck, or middle of the shoulders) and at a right angle to it, *front* at right angles to both. Place and size of
    the person, its limbs and the rest of its posture do not matter.

    A pose whose root is at the origin (root-relative) is seen along the optical axis.

    Args:
        poses (np.ndarray): (N, J, 3), absolute or root-relative.
        skeleton (Skeleton): The joint set.

    Returns:
        np.ndarray: (N, 2) float64, radians: azimuth in (-pi, pi], 0 for a camera in front, pi / 2 for one on the
        person's left; elevation in [-pi / 2, pi / 2], above 0 for a camera on the side of the head. NaN where a pose is
        not finite or has no such frame (hips in one place, or in line with the thorax).

    Raises:
        ValueError: Another number of joints, or no hips, thorax, neck or shoulders among them.
    """
    poses = _checked(poses, skeleton)
    right, left, chest = _trunk(skeleton)
    hips = (poses[:, left] + poses[:, right]) / 2
    upward = poses[:, chest].mean(1) - hips
    with np.errstate(invalid='ignore', divide='ignore'):
        body = np.linalg.norm(upward, axis=1, keepdims=True)
        axis_left = _unit(poses[:, left] - poses[:, right], body)
        axis_up = _unit(upward - (upward * axis_left).sum(1, keepdims=True) * axis_left, body)
        axis_front = np.cross(axis_left, axis_up)
        root = poses[:, skeleton.parents.index(-1)]
        absolute = np.linalg.norm(root, axis=1, keepdims=True) > _MIN_LENGTH * body
        to_camera = np.where(absolute, -hips, [0.0, 0.0, -1.0])
        to_camera = to_camera / np.linalg.norm(to_camera, axis=1, keepdims=True)
        sideways, along, above = ((to_camera * axis).sum(1) for axis in (axis_left, axis_front, axis_up))
        azimuth = np.arctan2(sideways + 0.0, along)  # -0 would give -pi
        return np.stack([azimuth, np.arcsin(np.clip(above, -1, 1))], 1)


def bone_triplets(skeleton: Skeleton) -> np.ndarray:
    """Where two bones of the tree meet: (A, 3) int64 joints (grandparent, parent, joint); the angle is at the parent.

    Raises:
        ValueError: No joint of the tree has a grandparent.
    """
    parents = skeleton.parents
    found = [(parents[p], p, j) for j, p in enumerate(parents) if p >= 0 and parents[p] >= 0]
    if not found:
        raise ValueError(f'skeleton {skeleton.name!r} has no two bones in a row; do its `parents` fit?')
    return np.array(found, np.int64)


def bone_angles(poses: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Angles between bones that meet, in the order of :func:`bone_triplets`.

    Args:
        poses (np.ndarray): (N, J, 3).
        skeleton (Skeleton): The joint set.

    Returns:
        np.ndarray: (N, A) float64 in [0, pi] radians, pi for a straight limb; NaN with a bone of length 0 or a joint
        that is not finite.

    Raises:
        ValueError: Another number of joints, or a tree without two bones in a row.
    """
    poses, triplets = _checked(poses, skeleton), bone_triplets(skeleton)
    first, second = (poses[:, triplets[:, end]] - poses[:, triplets[:, 1]] for end in (0, 2))
    cross, dot = np.linalg.norm(np.cross(first, second), axis=-1), (first * second).sum(-1)
    exists = (first != 0).any(-1) & (second != 0).any(-1)
    # exact at 0 and pi, where an arccos loses half of its digits
    return np.where(exists, np.arctan2(cross, dot), np.nan)


def _checked(poses: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    poses = np.asarray(poses, np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (skeleton.num_joints, 3):
        raise ValueError(
            f'got poses {poses.shape}, expected (N, {skeleton.num_joints}, 3) for joint set {skeleton.name!r}'
        )
    return poses


def _trunk(skeleton: Skeleton) -> tuple[int, int, list[int]]:
    """Right hip, left hip, and the joint or joints whose middle is the upper end of the trunk."""
    names = {*skeleton.joint_names, *skeleton.aliases.values()}
    chest = next(([name] for name in _CHESTS if name in names), ['left_shoulder', 'right_shoulder'])
    missing = [name for name in ('right_hip', 'left_hip', *chest) if name not in names]
    if missing:
        raise ValueError(
            f'skeleton {skeleton.name!r} has no {" and no ".join(missing)}: which way a body looks is told from the '
            f'hips and one of {", ".join(_CHESTS)} or both shoulders'
        )
    return skeleton.index('right_hip'), skeleton.index('left_hip'), [skeleton.index(name) for name in chest]


def _unit(vectors: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Vectors (N, 3) at length 1, NaN for those that are short against a body (N, 1)."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > _MIN_LENGTH * body, vectors / length, np.nan)
