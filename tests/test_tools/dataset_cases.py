"""Data sets on their miniatures, and for each a fault that the command has to name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import dataset_miniatures as write
import numpy as np

from mmposeda.structures.skeleton import Skeleton, metainfo_path

CMU = dict(data_root='data/cmu_mocap/', files=['cmu_h36m17_30fps.npz'])


def cut(path: str) -> None:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])


def lose(path: str) -> None:
    Path(path).unlink()


def blacken(path: str) -> None:
    cv2.imwrite(path, np.zeros_like(cv2.imread(path)))


def poison(path: str) -> None:
    """Put a NaN into an array."""
    array = np.load(path)
    array[0, 0, 0] = np.nan
    np.save(path, array)


def change(key: str, how: Callable[[np.ndarray], np.ndarray]) -> Callable[[str], None]:
    """Change an array of an npz file."""

    def plant(path: str) -> None:
        arrays = dict(np.load(path))
        arrays[key] = how(arrays[key])
        np.savez(path, **arrays)

    return plant


def swap_sides(poses: np.ndarray) -> np.ndarray:
    """Give left and right joints of Human3.6M's set each other's places."""
    return poses[:, list(Skeleton.from_metainfo('h36m').flip_indices)]


def in_centimetres(path: str) -> None:
    """Scale the 3D joints of a part of SURREAL, which has metres."""
    for file in Path(path).parent.glob('*.json'):
        entries = json.loads(file.read_text())
        for entry in entries:
            entry['keypoint3d'] = (100 * np.array(entry['keypoint3d'])).tolist()
        file.write_text(json.dumps(entries))


class Case(NamedTuple):
    """Data sets on a miniature, and a fault of the first.

    Attributes:
        write (Callable | None): Writes the miniature below a folder ``data``.
        parts (tuple): Data sets, as names in ``base`` or as configs; the first is trained on.
        plant (Callable | None): Plants a fault in ``file``; None: there are no files.
        file (str): Below ``data``.
        says (tuple): What the finding has to hold; ``{}`` is the file.
        base (str): Base config.
        level (str): Of the finding.
    """

    write: Callable | None
    parts: tuple
    plant: Callable | None = None
    file: str = ''
    says: tuple = ('{}',)
    base: str = ''
    level: str = 'error'


CASES = dict(
    stb=Case(write.stb, ('stb_train', 'stb_test'), cut, 'stb/labels/B3Random_SK.mat', ('{}',), 'stb'),
    freihand=Case(
        write.freihand,
        ('freihand_train', 'freihand_test'),
        lose,
        'FreiHAND_pub_v2/training/rgb/00065122.jpg',
        ('1 of 24 pictures are missing', '{}'),
        'freihand',
    ),
    panoptic=Case(
        write.panoptic,
        ('panoptic_hand_train', 'panoptic_hand_test'),
        cut,
        'panoptic/171204_pose1/hdImgs/00_03/00_03_00000010.jpg',
        ('cut short', '{}'),
        'panoptic_hand',
    ),
    ganerated=Case(
        write.ganerated,
        ('ganerated_train', 'ganerated_test'),
        lose,
        'GANeratedHands_Release/data/noObject/0001/0003_joint2D.txt',
        ('label file', '{}'),
        'ganerated',
    ),
    mvhand=Case(
        write.mvhand,
        ('mvhand_train', 'mvhand_test'),
        poison,
        'mvhand/9-17-1-2/mlresults/9-17-1-2-joints.npy',
        ('NaN', '{}'),
        'mvhand',
    ),
    rhd=Case(
        write.rhd,
        ('rhd_train', 'rhd_test'),
        cut,
        'RHD_published_v2/training/anno_training.pickle',
        ('pickle data was truncated', '{}'),
        'rhd',
    ),
    h3d=Case(
        write.h3d,
        ('h3d_train', 'h3d_test'),
        blacken,
        'H3D_crop/part1/25.jpg',
        ('all of one colour', '{}'),
        'hand_3d_studio',
        'warning',
    ),
    surreal=Case(
        write.surreal,
        ('surreal_3d_train', 'surreal_3d_test'),
        in_centimetres,
        'surreal_processed/train/run0.json',
        ('another unit', 'train/run0/0_0.jpg'),
        'surreal_3d',
        'warning',
    ),
    lsp=Case(write.lsp, ('lsp_reference_test',), cut, 'lsp/images/im0007.jpg', ('cut short', '{}'), 'lsp'),
    h36m_2d=Case(
        write.h36m,
        ('h36m_train', 'h36m_test'),
        change('part', lambda part: np.where(part > 0, np.nan, part)),
        'h36m/annotation_body3d/fps10/h36m_train.npz',
        ('NaN', '{}'),
        'h36m_2d',
    ),
    h36m_pictures=Case(
        write.h36m,
        ('h36m_3d_train', 'h36m_3d_test'),
        lose,
        'h36m/images/S1/S1_Walking_1.54138969/S1_Walking_1.54138969_000016.jpg',
        ('1 of 14 pictures are missing', '{}'),
        'h36m_3d',
    ),
    h36m_lifting=Case(
        write.h36m_video_pose,
        ('h36m_lifting_train', 'h36m_lifting_test'),
        cut,
        'h36m/data_3d_h36m.npz',
        ('no usable npz', '{}'),
        'h36m_lifting',
    ),
    h36m_fps10=Case(
        write.h36m,
        ('h36m_fps10_train', 'h36m_fps10_test'),
        change('S', swap_sides),
        'h36m/annotation_body3d/fps10/h36m_train.npz',
        ('whole bodies are swapped', 'S1_Walking_1.54138969_000001.jpg'),
        'h36m_lifting',
    ),
    three_dpw_pictures=Case(
        write.three_dpw,
        ('three_dpw_3d_train', 'three_dpw_3d_val', 'three_dpw_3d_test'),
        cut,
        '3dpw/imageFiles/walk_train/image_00003.jpg',
        ('cut short', '{}'),
        'three_dpw_3d',
    ),
    three_dpw_lifting=Case(
        write.three_dpw,
        ('three_dpw_train', 'three_dpw_val', 'three_dpw_test'),
        cut,
        '3dpw/sequenceFiles/train/walk_train.pkl',
        ('no usable sequence of 3DPW', '{}'),
        'three_dpw_lifting',
    ),
    mpi_inf_3dhp_pictures=Case(
        write.mpi_inf_3dhp,
        ('mpi_inf_3dhp_3d_train', 'mpi_inf_3dhp_3d_test'),
        lose,
        'mpi_inf_3dhp/images/S1_Seq1_Cam0_000006.jpg',
        ('1 of 3 pictures are missing', '{}'),
        'mpi_inf_3dhp_3d',
    ),
    mpi_inf_3dhp_lifting=Case(
        write.mpi_inf_3dhp,
        ('mpi_inf_3dhp_official_train', 'mpi_inf_3dhp_official_test', 'mpi_inf_3dhp_test'),
        cut,
        'mpi_inf_3dhp/S3/Seq2/annot.mat',
        ('no annotation file', '{}'),
        'mpi_inf_3dhp_lifting',
    ),
    humaneva_pictures=Case(
        write.humaneva,
        ('humaneva_3d_train', 'humaneva_3d_test'),
        cut,
        'humaneva/S2/Calibration_Data/C2.cal',
        ('expected 22 numbers', '{}'),
        'humaneva_3d',
    ),
    humaneva_lifting=Case(
        write.humaneva,
        (dict(type='HumanEvaDataset', data_root='data/humaneva/', joints=None, split='train'),),
        lose,
        'humaneva/data_3d_humaneva15.npz',
        ('does not exist', '{}'),
    ),
    cmu=Case(
        write.mocap,
        (dict(type='CMUMocapDataset', **CMU),),
        cut,
        'cmu_mocap/cmu_h36m17_30fps.npz',
        ('no usable npz', '{}'),
    ),
    motion=Case(
        write.mocap,
        (dict(type='MocapMotionDataset', frames=5, **CMU),),
        change('poses', swap_sides),
        'cmu_mocap/cmu_h36m17_30fps.npz',
        ('whole bodies are swapped', 'clip 02_01'),
    ),
    rendered=Case(
        write.people,
        (dict(type='RenderedDataset', data_root='data/rendered_people/'),),
        cut,
        'rendered_people/annotations/people.json',
        ('no JSON file', '{}'),
    ),
    rendered_lifting=Case(
        write.people,
        (
            dict(
                type='SyntheticPoseLiftingDataset', data_root='data/rendered_h36m/', ann_file='annotations/people.json'
            ),
        ),
        lose,
        'rendered_h36m/annotations/people.json',
        ('does not exist', '{}'),
    ),
    photos=Case(
        write.photos,
        (dict(type='UnlabeledImageDataset', data_root='data/photos/', metainfo=dict(from_file=metainfo_path('lsp'))),),
        cut,
        'photos/7.jpg',
        ('cut short', '{}'),
    ),
    videos=Case(
        write.photos,
        (dict(type='UnlabeledVideoDataset', data_root='data/videos/', metainfo='lsp', frames=4),),
        cut,
        'videos/walk/000007.png',
        ('1 unreadable frames', '{}'),
        level='warning',
    ),
    pairs=Case(
        write.mvhand,
        (
            dict(
                type='PairSequenceDataset',
                dataset=dict(type='MVHandDataset', data_root='data/mvhand/'),
                sequence='fields',
                gap=(1, 2),
            ),
        ),
        cut,
        'mvhand/9-17-1-2/rgb/00002_1.jpg',
        ('cut short', '{}'),
    ),
    stills=Case(
        write.h3d,
        (
            dict(
                type='SelfPairDataset',
                dataset=dict(type='Hand3DStudioDataset', data_root='data/H3D_crop/', split='all', objects='all'),
            ),
        ),
        cut,
        'H3D_crop/part3/2.jpg',
        ('cut short', '{}'),
    ),
    drawn_people=Case(None, (dict(type='SyntheticBodyDataset', length=2, size=64),)),
    drawn_hands=Case(None, (dict(type='SyntheticHandDataset', length=2, size=64),)),
)
