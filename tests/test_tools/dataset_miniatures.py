"""A miniature of every data set in its official layout, below a folder ``data`` as the base configs have it."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
from figure_sets import body, turned, write_bodies
from miniatures import (
    write_h3d,
    write_h36m,
    write_h36m_video_pose,
    write_lsp,
    write_mvhand,
    write_picture,
    write_rhd,
    write_surreal,
)

sys.path.append(str(Path(__file__).resolve().parents[1] / 'test_datasets'))
from body_miniatures import (  # noqa: E402
    MPI_CENTRE,
    MPI_FOCAL,
    MPI_JOINTS,
    mpi_labels,
    write_dpw,
    write_humaneva,
    write_mpi_test,
    write_mpi_train,
    write_pictures,
)
from hand_samples import patches, random_hand  # noqa: E402
from test_freihand import write_freihand  # noqa: E402
from test_ganerated import write_ganerated  # noqa: E402
from test_panoptic_hand import SIZE, camera, person, write_sequence  # noqa: E402
from test_stb import write_stb  # noqa: E402
from video_samples import write_folder  # noqa: E402

from mmposeda.datasets.mocap import JOINT_NAMES  # noqa: E402
from mmposeda.registry import DATASETS  # noqa: E402
from mmposeda.structures.skeleton import Skeleton  # noqa: E402


def stb(data: Path) -> None:
    write_stb(data / 'stb')


def freihand(data: Path) -> None:
    write_freihand(data / 'FreiHAND_pub_v2', count=6)


def panoptic(data: Path) -> None:
    """Two people's hands before two cameras, for thirty frames."""
    rng = np.random.default_rng(0)
    for name in ('171204_pose1', '171204_pose3'):
        frames = {}
        for number in range(30):
            hands = [random_hand(rng, (x, -20, 5), 9) for x in (-60, -20, 40, 80)]
            frames[number] = [person(0, *hands[:2]), person(2, *hands[2:])]
        folder = write_sequence(data / 'panoptic', name, frames, [camera('00_00'), camera('00_03', 70)])
        for path in folder.glob('hdImgs/*/*.jpg'):
            patches(path, SIZE)


def ganerated(data: Path) -> None:
    write_ganerated(data / 'GANeratedHands_Release', frames=6)


def mvhand(data: Path) -> None:
    write_mvhand(data / 'mvhand', dict.fromkeys(('9-17-1-2', '9-25-1-2'), 4))


def rhd(data: Path) -> None:
    write_rhd(data / 'RHD_published_v2')


def h3d(data: Path) -> None:
    write_h3d(data / 'H3D_crop')


def surreal(data: Path) -> None:
    write_surreal(data / 'surreal_processed', count=5)


def lsp(data: Path) -> None:
    write_lsp(data / 'lsp', count=24)


def three_dpw(data: Path) -> None:
    for split in ('train', 'validation', 'test'):
        write_dpw(data / '3dpw', split, f'walk_{split}', people=2, frames=8)
        cfg = dict(type='ThreeDPWDataset', data_root=str(data / '3dpw'), split=split)
        write_pictures(DATASETS.build(cfg), data / '3dpw')


def mpi_inf_3dhp(data: Path) -> None:
    """MMPose's files with their pictures, the official files, and SPIN's test set."""
    root = data / 'mpi_inf_3dhp'
    (root / 'annotations').mkdir(parents=True)
    lens = dict(f=np.array(MPI_FOCAL)[:, None], c=np.array(MPI_CENTRE)[:, None], w=2048, h=2048)
    for part, stem, take in (('train', 'train', 'S1_Seq1_Cam0'), ('test', 'test_valid', 'TS1')):
        poses, points = mpi_labels(15, 17, len(take))
        names = [f'{take}_{n:06d}.jpg' for n in range(1, 16)]
        write_mpi_npz(root / 'annotations' / f'mpi_inf_3dhp_{stem}.npz', names, poses, points)
        (root / 'annotations' / f'cameras_{part}.pkl').write_bytes(pickle.dumps({take: lens}))
        for name in names:
            patches(root / 'images' / name, (2048, 2048))
    write_mpi_train(root, [f'S{n}' for n in range(1, 9)], frames=2)
    write_mpi_test(root, write_hdf5)
    poses, points = mpi_labels(15, 24, 5)
    poses -= poses[:, [list(MPI_JOINTS[24]).index('pelvis')]]
    names = [f'mpi_inf_3dhp_test_set/TS1/imageSequence/img_{n:06d}.jpg' for n in range(1, 16)]
    write_mpi_npz(root / 'mpi_inf_3dhp_valid.npz', names, poses, points)


def write_hdf5(path: Path, arrays: dict) -> None:
    """For a stand-in for h5py that is ``np.load``."""
    with open(path, 'wb') as file:
        np.savez(file, **arrays)


def write_mpi_npz(path: Path, names: list, poses: np.ndarray, points: np.ndarray) -> None:
    ones = np.ones((*poses.shape[:2], 1))
    space, flat = np.concatenate([poses / 1000, ones], 2), np.concatenate([points, ones], 2)
    np.savez(path, imgname=np.array(names), S=space, part=flat)


def humaneva(data: Path) -> None:
    write_humaneva(data / 'humaneva')
    for split in ('train', 'test'):
        cfg = dict(type='HumanEvaDataset', data_root=str(data / 'humaneva'), ann_file='converted_15j', split=split)
        write_pictures(DATASETS.build(dict(cfg, joints=None)), data / 'humaneva')


def h36m(data: Path) -> None:
    write_h36m(data / 'h36m', count=14)


def h36m_video_pose(data: Path) -> None:
    write_h36m_video_pose(data / 'h36m')


def mocap(data: Path) -> None:
    """A pack of two people who walk."""
    (data / 'cmu_mocap').mkdir(parents=True)
    upright = turned(body(Skeleton.from_metainfo('h36m')), 40)
    np.savez(
        data / 'cmu_mocap' / 'cmu_h36m17_30fps.npz',
        poses=(upright * (1, -1, -1)).astype('f4'),
        root=np.tile(np.arange(20)[:, None] * [0, 0, 30.0] + [0, 900, 0], (2, 1)).astype('f4'),
        clip_start=[0, 20],
        clip_len=[20, 20],
        clip_id=np.array(['02_01', '07_01']),
        subject=np.array(['02', '07']),
        action=np.array(['walk', 'walk']),
        fps=30,
        joint_names=np.array(JOINT_NAMES),
    )


def people(data: Path) -> None:
    """Rendered people, and people in the joints of Human3.6M."""
    write_bodies(data / 'rendered_people')
    write_bodies(data / 'rendered_h36m', 'h36m')


def photos(data: Path) -> None:
    """Photos without labels, and a video as a folder of frames."""
    rng = np.random.default_rng(0)
    for n in range(12):
        write_picture(data / 'photos' / f'{n}.jpg', (96, 64), rng)
    write_folder(data / 'videos' / 'walk', range(12))
