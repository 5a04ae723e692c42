"""Tiny copies of 3DPW, MPI-INF-3DHP and HumanEva in their official layouts, and pictures of data sets for lifting."""

from __future__ import annotations

import pickle
import struct

import cv2
import numpy as np
from figure_sets import body, turned
from hand_samples import patches
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from mmposeda.datasets.mpi_inf_3dhp_files import JOINTS_28
from mmposeda.structures.skeleton import Skeleton

SMPL = Skeleton.from_metainfo('smpl24')
DPW_INTRINSICS = np.array([[1961.0, 0, 540], [0, 1969.0, 960], [0, 0, 1]])


class Python2Pickler(pickle._Pickler):
    """Writes as Python 2 did: text and the content of arrays are strings of bytes."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        raw = value.encode('latin1') if isinstance(value, str) else value
        self.write(b'T' + struct.pack('<i', len(raw)) + raw)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string


def dpw_standing(frames=5, side=0.0):
    """SMPL's joints (frames, 24, 3) in the world, metres, y up: someone upright who faces -z and sways."""
    poses = turned(body(SMPL), frames, yaw=10) / 1000
    return poses * (-1, -1, 1) + np.array([side, 1, 0])


def dpw_cameras(frames=5):
    """World to camera (frames, 4, 4): 4 m before the person, at -z, turning a little; the picture's y points down."""
    out = np.tile(np.eye(4), (frames, 1, 1))
    for n in range(frames):
        turn = Rotation.from_euler('y', 2 * n, degrees=True).as_matrix() @ np.diag([1.0, -1, -1]) @ np.diag([-1, 1, -1])
        out[n, :3, :3] = turn
        out[n, :3, 3] = -turn @ np.array([0, 1, -4])
    return out


def write_dpw(root, split='test', name='downtown_walk_00', people=1, python2=True, frames=5, **changes):
    """Of each person all frames but the third are usable."""
    folder = root / 'sequenceFiles' / split
    folder.mkdir(parents=True, exist_ok=True)
    content = dict(
        sequence=name,
        genders=['m', 'f'][:people],
        jointPositions=[dpw_standing(frames, 0.5 * n).reshape(frames, 72) for n in range(people)],
        cam_poses=dpw_cameras(frames),
        campose_valid=[np.arange(frames) != 2] * people,
        cam_intrinsics=DPW_INTRINSICS,
        img_frame_ids=np.arange(frames) * 2,
    )
    content = {key: value for key, value in {**content, **changes}.items() if value is not None}
    with open(folder / f'{name}.pkl', 'wb') as file:
        (Python2Pickler if python2 else pickle.Pickler)(file, protocol=2).dump(content)
    return root


MPI_FOCAL, MPI_CENTRE = (1500.0, 1490.0), (1020.0, 1040.0)
MPI_CALIBRATION = """Skeletool Camera Calibration File V1.0
"""
MPI_ENTRY = """name          {0}
  sensor      10 10
  size        2048 2048
  animated    0
  intrinsic   {1} 0 1024.5 0 0 {1} 1051.25 0 0 0 1 0 0 0 0 1 
  extrinsic   1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1 
  radial      0
"""  # noqa: W291


#: of the official test and training files, and of SPIN's, whose last five of 24 are of COCO's head
MPI_JOINTS = {
    17: Skeleton.from_metainfo('mpi_inf_3dhp'),
    28: JOINTS_28,
    24: [*Skeleton.from_metainfo('spin19').joint_names, 'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear'],
}


def mpi_labels(frames, joints, seed, focal=MPI_FOCAL, centre=MPI_CENTRE):
    """Poses (frames, joints, 3) in mm before the camera and their pixels."""
    rng = np.random.default_rng(seed)
    poses = turned(body(MPI_JOINTS[joints]), frames, seed=seed)
    poses = poses + rng.uniform([-500, -300, 3500], [500, 300, 5000], (frames, 1, 3))
    return poses, poses[..., :2] / poses[..., 2:] * np.array(focal) + np.array(centre)


def write_mpi_test(root, write, people=range(1, 7), **changes):
    """Six frames a person, of which the second and fifth are not valid."""
    for number in people:
        folder = root / f'TS{number}'
        folder.mkdir(parents=True)
        poses, points = mpi_labels(6, 17, number)
        arrays = dict(
            annot2=points[:, None],
            annot3=poses[:, None],
            univ_annot3=0.9 * poses[:, None],
            valid_frame=np.array([[1], [0], [1], [1], [0], [1]], float),
            activity_annotation=np.arange(1, 7)[:, None],
        )
        write(folder / 'annot_data.mat', {k: v for k, v in {**arrays, **changes}.items() if v is not None})
    return root


MPI_TRAIN_FOCAL, MPI_TRAIN_CENTRE = 1400.5, (1024.5, 1051.25)


def mpi_train_labels(frames, camera):
    """Those of a training sequence before a camera."""
    return mpi_labels(frames, 28, camera, (MPI_TRAIN_FOCAL + camera,) * 2, MPI_TRAIN_CENTRE)


def write_mpi_train(root, people=('S1',), frames=5):
    for subject in people:
        for sequence in ('Seq1', 'Seq2'):
            folder = root / subject / sequence
            folder.mkdir(parents=True)
            cells = {key: np.empty((14, 1), object) for key in ('annot2', 'annot3', 'univ_annot3')}
            for camera in range(14):
                poses, points = mpi_train_labels(frames, camera)
                cells['annot3'][camera, 0], cells['annot2'][camera, 0] = (
                    poses.reshape(frames, 84),
                    points.reshape(-1, 56),
                )
                cells['univ_annot3'][camera, 0] = 0.9 * poses.reshape(frames, 84)
            savemat(folder / 'annot.mat', cells)
            entries = ''.join(MPI_ENTRY.format(camera, MPI_TRAIN_FOCAL + camera) for camera in range(14))
            (folder / 'camera.calibration').write_text(MPI_CALIBRATION + entries)
    return root


#: what HumanEva's colour cameras are like: focal lengths, principal point, skew, lens, all in Bouguet's form
HUMANEVA_LENS = (720.0, 722.0, 330.0, 245.0, 0.0, -0.21, 0.18, 0.0012, -0.0009, 0.0)
HUMANEVA_CAMERAS = ('C1', 'C2', 'C3', 'BW1')


def humaneva_camera(number):
    """World (z up) to camera, (3, 3) and (3,) in mm: 5.5 m before the middle of the room and 1.5 m above the floor."""
    look = Rotation.from_euler('z', 90 * number + 10, degrees=True).as_matrix()
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ look.T
    return turn, -turn @ look @ np.array([0, -5500, 1500.0])


def humaneva_world(frames, seed):
    """Someone (frames, 15, 3) in the world, mm."""
    place = np.random.default_rng(seed).uniform([-500, -500, 900], [500, 500, 1100], (frames, 1, 3))
    return turned(body(Skeleton.from_metainfo('humaneva15')), frames, seed=seed)[..., [0, 2, 1]] * (1, 1, -1) + place


def humaneva_pixels(world, number):
    """What the official projection gives, (frames, 15, 2)."""
    turn, shift = humaneva_camera(number)
    f, c, _, lens = np.split(np.array(HUMANEVA_LENS), (2, 4, 5))
    matrix = np.array([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])
    points, _ = cv2.projectPoints(world.reshape(-1, 3), cv2.Rodrigues(turn)[0], shift, matrix, lens)
    return points.reshape(*world.shape[:-1], 2)


def write_humaneva(root, subjects=('S1', 'S2'), takes=('Walking_1', 'Box_1'), frames=(6, 9), damaged=(2, 3)):
    """Calibration and synchronisation as released, and both forms of VideoPose3D's conversion.

    ``frames`` are those of the validation and of the training part; the ``damaged`` ones of each are NaN. Sequence
    number n of a subject begins at picture 80 + n of the videos. Returns the world poses by (part, subject, take).
    """
    worlds, chunks_3d, chunks_2d = {}, {}, {}
    for subject in subjects:
        for folder in ('Calibration_Data', 'Sync_Data', 'Mocap_Data', 'Image_Data'):
            (root / subject / folder).mkdir(parents=True)
        for number, camera in enumerate(HUMANEVA_CAMERAS):
            turn, shift = humaneva_camera(number)
            values = [*HUMANEVA_LENS, *turn.ravel(), *shift]
            text = '\n'.join(f'{value:.10e}' for value in values)
            (root / subject / 'Calibration_Data' / f'{camera}.cal').write_text(text + '\n')
            for n, take in enumerate(takes):
                path = root / subject / 'Sync_Data' / f'{take}_({camera}).ofs'
                path.write_text(f'{80 + n}.000000\n1.000000\n2.000000\n')
        for seed, (part, count) in enumerate(zip(('Validate', 'Train'), frames)):
            for take in takes:
                world = humaneva_world(count, seed)
                views = np.stack([humaneva_pixels(world, number) for number in range(3)])
                worlds[part, subject, take] = world.copy()
                world[list(damaged)], views[:, list(damaged)] = np.nan, np.nan
                folder = root / 'converted_15j' / part / subject
                folder.mkdir(parents=True, exist_ok=True)
                savemat(folder / f'{take}.mat', dict(poses_3d=world, poses_2d=views))
                good, name = np.isfinite(world).all((1, 2)), take.replace('_', ' ')
                edges = np.r_[0, np.flatnonzero(np.diff(good)) + 1, count]
                for chunk, (start, end) in enumerate(zip(edges[:-1], edges[1:])):
                    if good[start]:
                        key = f'{part}/{subject}'
                        poses = world[start:end].astype('f4') / 1000
                        chunks_3d.setdefault(key, {})[f'{name} chunk{chunk}'] = poses
                        points = list(views[:, start:end].astype('f4'))
                        chunks_2d.setdefault(key, {})[f'{name} chunk{chunk}'] = points
    np.savez_compressed(root / 'data_3d_humaneva15.npz', positions_3d=chunks_3d)
    metadata = dict(layout_name='humaneva15', num_joints=15)
    np.savez_compressed(root / 'data_2d_humaneva15_gt.npz', positions_2d=chunks_2d, metadata=metadata)
    return worlds


def write_pictures(dataset, folder, name=None):
    """The pictures that a data set for lifting names."""
    for index in range(len(dataset)):
        path = folder / (name or (lambda d, n: d.picture(n)))(dataset, index)
        if not path.exists():
            patches(path, tuple(dataset.cameras[dataset.camera[index], 9:].astype(int).tolist()))
    return dataset
