"""Tiny copies of the published tasks' data sets in their official layouts, written from a seed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
from figure_sets import body, many, posed_hand, turned
from scipy.io import savemat

from mmposeda.datasets.human36m_lifting import CAMERA_IDS
from mmposeda.structures.skeleton import Skeleton


def write_picture(path: Path, size: tuple[int, int], rng: np.random.Generator) -> None:
    """A smooth random picture of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = cv2.resize(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), picture)


def write_surreal(root: Path, count: int = 12, size: tuple[int, int] = (60, 60)) -> Path:
    """``count`` people in each of the three runs of train, val and test, 4 m before their cameras."""
    rng, template = np.random.default_rng(0), body(Skeleton.from_metainfo('surreal'))
    camera = np.array([[1.4 * min(size), 0, size[0] / 2], [0, 1.4 * min(size), size[1] / 2], [0, 0, 1]])
    for split in ('train', 'val', 'test'):
        for run in range(3):
            entries = []
            poses = many(template, count, 4000, seed=int(rng.integers(1000))) / 1000
            for n, space in enumerate(poses):
                name = f'{run}_{n}.jpg'
                write_picture(root / split / f'run{run}' / name, size, rng)
                points = (space @ camera.T / space[:, 2:])[:, :2]
                labels = dict(keypoint2d=points, keypoint3d=space, intrinsic_matrix=camera)
                entries.append(dict(name=name, **{key: value.tolist() for key, value in labels.items()}))
            (root / split / f'run{run}.json').write_text(json.dumps(entries))
    return root


def write_lsp(root: Path, count: int = 40, size: tuple[int, int] = (60, 80)) -> Path:
    """The first ``count`` photos; some joints occluded."""
    rng = np.random.default_rng(1)
    for n in range(1, count + 1):
        write_picture(root / 'images' / f'im{n:04d}.jpg', size, rng)
    poses = many(body(Skeleton.from_metainfo('lsp')), count, 4000)
    points = poses[..., :2] / poses[..., 2:] * 120 + np.array(size) / 2
    joints = np.concatenate([points.transpose(2, 1, 0), rng.random((1, 14, count)) < 0.07])
    savemat(root / 'joints.mat', dict(joints=joints))
    return root


H36M_SUBJECTS = dict(train=('S1', 'S5'), test=('S9', 'S11'))


def h36m_cameras() -> dict:
    """MMPose's cameras of all subjects: level, 1.5 m above the floor (z up) and 5 m before the middle of the room."""
    cameras = {}
    for number, name in enumerate(CAMERA_IDS):
        cos, sin = np.cos(np.radians(70 + 90 * number)), np.sin(np.radians(70 + 90 * number))
        lens = dict(f=np.full((2, 1), 1145.0), c=np.full((2, 1), 512.0), w=1000, h=1002 if number in (0, 3) else 1000)
        turn = np.array([[-sin, 0, -cos], [cos, 0, -sin], [0, -1, 0]])  # the camera's axes in the world
        for subject in sum(H36M_SUBJECTS.values(), ()):
            cameras[subject, name] = dict(lens, R=turn, T=np.array([[5 * cos], [5 * sin], [1.5]]))
    return cameras


def h36m_world(count: int, seed: int = 0) -> np.ndarray:
    """Someone (count, 17, 3) in the world, metres."""
    place = np.random.default_rng(seed).uniform([-0.5, -0.5, 0.85], [0.5, 0.5, 0.95], (count, 1, 3))
    template = body(Skeleton.from_metainfo('h36m'))
    return turned(template, count, seed=seed)[..., [0, 2, 1]] * (1, 1, -1) / 1000 + place


def h36m_view(world: np.ndarray, camera: dict) -> tuple[np.ndarray, np.ndarray]:
    """Poses in the axes of a camera, and their pixels."""
    space = (world - camera['T'].ravel()) @ camera['R']
    return space, space[..., :2] / space[..., 2:] * camera['f'].ravel() + camera['c'].ravel()


def write_h36m(root: Path, count: int = 40, pictures: int | None = None) -> Path:
    """MMPose's converted folder: ``count`` frames of two subjects in each part before the third camera."""
    rng, cameras = np.random.default_rng(2), h36m_cameras()
    (root / 'annotation_body3d' / 'fps10').mkdir(parents=True)
    (root / 'annotation_body3d' / 'cameras.pkl').write_bytes(pickle.dumps(cameras))
    for seed, (part, subjects) in enumerate(H36M_SUBJECTS.items()):
        names = []
        for n in range(count):
            subject = subjects[n * len(subjects) // count]
            take = f'{subject}_Walking_1.{CAMERA_IDS[0]}'
            names.append(f'{subject}/{take}/{take}_{5 * n + 1:06d}.jpg')
            if pictures is None or n < pictures:
                write_picture(root / 'images' / names[-1], (1000, 1002), rng)
        space, joints = h36m_view(h36m_world(count, seed), cameras[subjects[0], CAMERA_IDS[0]])
        low, high = joints.min(1), joints.max(1)
        np.savez(
            root / 'annotation_body3d' / 'fps10' / f'h36m_{part}.npz',
            imgname=np.array(names),
            center=(low + high) / 2,
            scale=1.2 * (high - low).max(1) / 200,
            part=np.concatenate([joints, np.ones((count, 17, 1))], 2),
            S=np.concatenate([space, np.ones((count, 17, 1))], 2),
        )
    return root


def write_h36m_video_pose(root: Path, count: int = 8) -> Path:
    """VideoPose3D's pair of files: two takes of each subject before four cameras, and MMPose's camera file."""
    (root / 'annotation_body3d').mkdir(parents=True)
    cameras, space, flat = h36m_cameras(), {}, {}
    (root / 'annotation_body3d' / 'cameras.pkl').write_bytes(pickle.dumps(cameras))
    for subject in sum(H36M_SUBJECTS.values(), ()):
        worlds = {take: h36m_world(count, int(subject[1:])) for take in ('Walking', 'Walking 1')}
        space[subject] = {take: world.astype('f4') for take, world in worlds.items()}
        flat[subject] = {
            take: [h36m_view(world, cameras[subject, name])[1].astype('f4') for name in CAMERA_IDS]
            for take, world in worlds.items()
        }
    np.savez(root / 'data_3d_h36m.npz', positions_3d=space)
    metadata = dict(layout_name='h36m', num_joints=17)
    np.savez(root / 'data_2d_h36m_gt.npz', positions_2d=flat, metadata=metadata)
    return root


def rhd_hand(center: tuple[float, float], side: float, rng: np.random.Generator) -> np.ndarray:
    """21 visible joints (21, 3) in RHD's order whose hull is a square of that side."""
    points = posed_hand(rng, 'rhd2d')[:, :2]
    points = ((points - points.min(0)) / np.ptp(points, axis=0) - 0.5) * side
    return np.concatenate([points + center, np.ones((21, 1))], 1)


def write_rhd(root: Path, hands: dict[str, list[np.ndarray]] | None = None, protocol: int = 2) -> Path:
    """Pictures with two hands (42, 3) each; by default 24 and 4 pictures with hands that count in both halves."""
    rng = np.random.default_rng(3)
    if hands is None:
        hands = {
            folder: [
                np.concatenate([rhd_hand((80, 160), 90, rng), rhd_hand((240, 160), 90, rng)]) for _ in range(count)
            ]
            for folder, count in (('training', 24), ('evaluation', 4))
        }
    for folder, pictures in hands.items():
        anno = {}
        for n, uv_vis in enumerate(pictures):
            write_picture(root / folder / 'color' / f'{n:05d}.png', (320, 320), rng)
            camera = np.array([[280.0, 0, 160], [0, 281, 161], [0, 0, 1]])
            depth = rng.uniform(0.5, 0.51, (42, 1))  # metres
            rays = np.concatenate([uv_vis[:, :2], np.ones((42, 1))], 1) @ np.linalg.inv(camera).T
            anno[n] = dict(xyz=rays * depth, uv_vis=uv_vis, K=camera)
        (root / folder / f'anno_{folder}.pickle').write_bytes(pickle.dumps(anno, protocol=protocol))
    return root


def write_h3d(root: Path, count: int = 60, size: tuple[int, int] = (50, 50)) -> Path:
    """``count`` hands in five parts, every third one with an object."""
    rng = np.random.default_rng(4)
    camera = np.array([[200, 0, size[0] / 2], [0, 200, size[1] / 2], [0, 0, 1]])
    entries = []
    for n in range(count):
        name = f'part{n % 5 + 1}/{n}.jpg'
        write_picture(root / name, size, rng)
        space = (posed_hand(rng, reach=75) + (0, 0, 750)) / 1000
        entries.append(
            dict(
                name=name,
                keypoint2d=(space @ camera.T / space[:, 2:])[:, :2].tolist(),
                keypoint3d=space.tolist(),
                intrinsic_matrix=camera.tolist(),
                without_object=int(n % 3 > 0),
            )
        )
    (root / 'annotation.json').write_text(json.dumps(entries))
    return root


#: the authors' numbers: focal lengths and principal point by serial number
MVHAND_CAMERAS = {
    '840412062035': (619.598, 619.116, 325.345, 245.441),
    '840412062037': (615.85, 615.477, 316.062, 247.156),
    '840412062038': (619.475, 619.189, 313.715, 223.921),
    '840412062076': (615.665, 615.09, 306.514, 240.344),
}


def mvhand_pixel(joint: np.ndarray, pose: np.ndarray, serial: str) -> np.ndarray:
    """Where a camera of that pose sees a homogeneous joint (4,), mm."""
    fx, fy, cx, cy = MVHAND_CAMERAS[serial]
    x, y, z = np.linalg.solve(pose, joint)[:3]
    return np.array([fx * x / z + cx, fy * y / z + cy])


def write_mvhand(root: Path, recordings: dict[str, int] | None = None) -> Path:
    """Recordings of so many frames: a hand 700 mm ahead that drifts to the right, before four cameras around it.

    The tip of its thumb is white on black in every picture.
    """
    rng = np.random.default_rng(6)
    names = ('7-14-1-2', '9-10-1-2', '9-17-1-2', '9-25-1-2')
    for name, count in (recordings or dict.fromkeys(names, 12)).items():
        folder, centre = root / name, np.array([0, 0, 700.0])
        poses = {}
        for serial, degrees in zip(MVHAND_CAMERAS, (0, 25, -30, 60)):
            cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
            pose = np.eye(4)
            pose[:3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
            pose[:3, 3] = centre - pose[:3, :3] @ centre  # it looks at the middle from there
            poses[serial] = pose
        hand = posed_hand(rng, 'mvhand')
        joints = np.ones((count, 21, 4, 1))
        joints[:, :, :3, 0] = hand + centre + np.arange(count)[:, None, None] * np.array([3.0, 0, 0])
        (folder / 'mlresults').mkdir(parents=True)
        (folder / 'rgb').mkdir()
        np.save(folder / 'mlresults' / f'{name}-joints.npy', joints)
        (folder / 'calib.pkl').write_bytes(pickle.dumps(poses))
        for frame in range(count):
            for view, serial in enumerate(sorted(MVHAND_CAMERAS)):
                picture = np.zeros((480, 640, 3), np.uint8)
                x, y = mvhand_pixel(joints[frame, 20, :, 0], poses[serial], serial).round().astype(int)
                picture[y - 3 : y + 4, x - 3 : x + 4] = 255
                cv2.imwrite(str(folder / 'rgb' / f'{frame:05d}_{view}.jpg'), picture)
    return root
