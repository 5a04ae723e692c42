"""Plausible people and hands for miniatures of data sets, and small sets of them in COCO style, as rendered ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from mmposeda.structures.skeleton import Skeleton

SIZE, FOCAL, CENTRE = (160, 120), (250.0, 250.0), (80.0, 60.0)

#: mm, someone who faces the camera (x right, y down, z away from it) with bent knees; the right side is mirrored
LEFT = dict(
    ankle=(100, 850, 0),
    foot=(103, 880, -60),
    toe=(105, 895, -130),
    knee=(105, 430, -70),
    hip=(100, 0, 0),
    hand=(275, 80, -75),
    wrist=(270, 10, -60),
    elbow=(240, -240, 20),
    shoulder=(180, -480, 0),
    upper_arm=(180, -480, 0),
    collar=(90, -500, 0),
    clavicle=(40, -500, 0),
    eye=(32, -660, -90),
    ear=(75, -655, 0),
)
MIDDLE = dict(
    pelvis=(0, 0, 0),
    spine1=(0, -110, 5),
    spine=(0, -230, 10),
    spine2=(0, -240, 10),
    spine3=(0, -380, 5),
    spine4=(0, -450, 0),
    thorax=(0, -490, 0),
    thorax_h36m=(0, -500, 0),
    neck=(0, -520, 0),
    upper_neck=(0, -520, 0),
    neck_base=(0, -590, -60),
    jaw=(0, -590, -60),
    nose=(0, -625, -110),
    head=(0, -660, -20),
    head_center=(0, -660, -20),
    head_top=(0, -760, 0),
)


def body(joints: Skeleton | Sequence[str]) -> np.ndarray:
    """Joints (K, 3) of one person, mm, around the origin."""
    if isinstance(joints, Skeleton):
        joints = [joints.aliases.get(name, name) for name in joints.joint_names]
    points = []
    for name in joints:
        side, _, rest = name.partition('_')
        if side in ('left', 'right') and rest in LEFT:
            x, y, z = LEFT[rest]
            points.append((x if side == 'left' else -x, y, z))
        else:
            points.append(MIDDLE[dict(root='pelvis').get(name, name)])
    return np.array(points, float)


def hand(skeleton: Skeleton) -> np.ndarray:
    """Joints (K, 3) of an open hand, mm, around its middle."""
    points = np.zeros((skeleton.num_joints, 3))  # the wrist, if there is one, lies at the origin
    for number, finger in enumerate(('thumb', 'forefinger', 'middle_finger', 'ring_finger', 'pinky_finger')):
        angle = np.radians(40 - 18 * number)
        reach = np.cumsum([40, 45, 32, 28] if finger == 'thumb' else [92, 44, 27, 22])
        for bone, length in enumerate(reach, 1):
            points[skeleton.index(f'{finger}{bone}')] = length * np.array([np.sin(angle), -np.cos(angle), -0.1 * bone])
    if 'palm' in skeleton.joint_names:
        points[skeleton.index('palm')] = points[skeleton.index('middle_finger1')] / 2
    return points - points.mean(0)


def turned(template: np.ndarray, count: int, yaw: float = 180, seed: int = 0) -> np.ndarray:
    """Poses (count, K, 3): the template turned by up to ``yaw`` degrees about the upright, of many sizes, mm."""
    rng = np.random.default_rng(seed)
    turns = Rotation.from_euler('y', rng.uniform(-yaw, yaw, (count, 1)), degrees=True).as_matrix()
    poses = np.einsum('nij,kj->nki', turns, template) * rng.uniform(0.9, 1.1, (count, 1, 1))
    return poses + rng.normal(0, 0.004 * np.ptp(template, axis=0).max(), poses.shape)


def many(template: np.ndarray, count: int, depth: float, yaw: float = 180, seed: int = 0) -> np.ndarray:
    """Poses as of :func:`turned`, about so many mm before a camera."""
    moves = np.random.default_rng((seed, 1)).uniform(-0.03, 0.03, (count, 1, 3)) * depth
    return turned(template, count, yaw, seed) + moves + (0, 0, depth)


def posed_hand(rng: np.random.Generator, joints: str = 'hand21', reach: float = 60.0) -> np.ndarray:
    """A hand (K, 3), turned at random, of which no coordinate is further than ``reach`` from its middle."""
    template = hand(Skeleton.from_metainfo(joints))
    turn = Rotation.from_euler('zyx', rng.uniform([-180, -40, -40], [180, 40, 40]), degrees=True)
    points = turn.apply(template + rng.normal(0, 1, template.shape))
    points -= (points.min(0) + points.max(0)) / 2
    return points * (reach / np.abs(points).max())


def project(space: np.ndarray) -> np.ndarray:
    """Pixels (..., 2) of points (..., 3)."""
    return space[..., :2] / space[..., 2:] * FOCAL + CENTRE


def write_figures(
    folder: Path, joints: str, space: np.ndarray, ann_file: str = 'annotations/people.json', first: int = 1
) -> Path:
    """Pictures ``images/000001.jpg`` and their labels of poses (N, K, 3), numbered from ``first`` on."""
    rng = np.random.default_rng(first)
    names = Skeleton.from_metainfo(joints).joint_names
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    (folder / ann_file).parent.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, pose in enumerate(space, first):
        picture = cv2.resize(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / 'images' / f'{number:06d}.jpg'), picture)
        points = project(pose)
        low, high = points.min(0) - 4, points.max(0) + 4
        images.append(dict(id=number, file_name=f'{number:06d}.jpg', width=SIZE[0], height=SIZE[1]))
        annotations.append(
            dict(
                id=number,
                image_id=number,
                category_id=1,
                iscrowd=0,
                bbox=[*low.tolist(), *(high - low).tolist()],
                area=float((high - low).prod()),
                num_keypoints=len(names),
                keypoints=np.concatenate([points, np.full((len(points), 1), 2.0)], 1).ravel().tolist(),
                joints_3d=pose.tolist(),
                camera=dict(f=FOCAL, c=CENTRE),
                pose_source='mocap',
            )
        )
    content = dict(
        info=dict(settings=dict(joints=joints)),
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='figure', keypoints=list(names))],
    )
    (folder / ann_file).write_text(json.dumps(content))
    return folder


def write_bodies(folder: Path, joints: str = 'lsp', count: int = 24, yaw: float = 180, **kwargs) -> Path:
    """People, see :func:`write_figures`."""
    space = many(body(Skeleton.from_metainfo(joints)), count, 4500, yaw, seed=kwargs.get('first', 0))
    return write_figures(folder, joints, space, **kwargs)


def write_hands(folder: Path, count: int = 24, **kwargs) -> Path:
    """Hands, see :func:`write_figures`."""
    skeleton = Skeleton.from_metainfo('hand21')
    space = many(hand(skeleton), count, 600, 60, seed=kwargs.get('first', 0))
    return write_figures(folder, 'hand21', space, ann_file='annotations/hands.json', **kwargs)
