"""Rendered people as 2D and 3D poses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton

from .annotations import AnnotationError, load_json
from .lifting import LiftingDataset, LiftingPoses
from .lifting_cameras import camera_row

#: joint sets in which people are rendered
JOINT_SETS = ('h36m', 'mpii', 'lsp')
MILLIMETRE = 1e-3


@DATASETS.register_module()
class SyntheticPoseLiftingDataset(LiftingDataset):
    """Poses of rendered people for lifting, with the camera of each picture; the pictures are not needed.

    The people are those of ``tools/render_people.py --joints h36m`` or of a
    :class:`~mmposeda.datasets.synthetic_body.SyntheticBodyDataset`: bodies of many shapes, in poses of motion capture
    or within joint limits, seen from all round. 2D poses are the projected 3D poses; pictures that cut a joint off are
    left out, the log says how many. The action is where the pose is from, ``mocap`` or ``limits``.

    A picture is cut out around its person, and its camera with it. An augmentor that places people elsewhere mostly
    places them out of sight: give ``PoseAugment`` ``keep_root=True``.

    Args:
        ann_file (str, optional): Below ``data_root``: ``annotations/people.json`` of the tool, or its ``train.json`` or
            ``val.json``.
        people (dict, optional): Instead of a file, arguments of ``SyntheticBodyDataset`` (``length``, ``seed``,
            ``poses``, ...; ``joints`` is ``h36m`` by default): all of its people are drawn when the data set is built,
            which takes 15 to 30 ms each and the extra ``synth``.
        kwargs: of :class:`~mmposeda.datasets.lifting.LiftingDataset`.

    Raises:
        FileNotFoundError: there is no such file.
        AnnotationError: the file is of another kind, or cuts a joint off in every picture.
        ValueError: neither a file nor people, or both; or joints that they do not have.
    """

    HOW_TO_GET = 'Write it with tools/render_people.py --joints h36m --out FOLDER, and set data_root to the folder.'

    def __init__(
        self,
        ann_file: str | None = None,
        people: Mapping | None = None,
        keypoints: str = 'projected',
        **kwargs,
    ):
        if (ann_file is None) == (people is None):
            raise ValueError(
                f'SyntheticPoseLiftingDataset wants an ann_file or people to draw, one of them, got {ann_file=} and '
                f'{people=}'
            )
        self.ann_file, self.people = ann_file, people
        super().__init__(keypoints=keypoints, **kwargs)

    def read(self) -> LiftingPoses:
        """All people, in the joints they were rendered with."""
        if self.people is None:
            path = self.existing(self.ann_file, 'annotation file')
            joints, records = _written(path)
        else:
            path = 'people'
            joints, records = _drawn(self.people)
        poses, cameras, frames, origins, whole = zip(*records)
        names = sorted(set(origins))
        data = LiftingPoses(
            poses=np.array(poses, np.float32) * np.float32(MILLIMETRE),
            keypoints=None,
            camera=np.arange(len(poses), dtype=np.int32),
            cameras=np.array(cameras),
            sequence=np.zeros(len(poses), np.int32),
            # MMPose's metrics take the action from names of Human3.6M's form: subject_action.camera_frame
            sequence_names=['rendered_people.0_{:07d}.jpg'],
            frame=np.array(frames, np.int32),
            action=np.array([names.index(origin) for origin in origins], np.int32),
            action_names=names,
            subject=np.zeros(len(poses), np.int32),
            subject_names=['rendered'],
            joints=joints,
        )
        kept = np.flatnonzero(whole)
        if not len(kept):
            raise AnnotationError(f'{path}: all {len(whole)} pictures cut a joint off')
        print_log(
            f'SyntheticPoseLiftingDataset: {len(whole) - len(kept)} of {len(whole)} people are left out, as their '
            'picture cuts a joint off',
            logger='current',
        )
        return data.take(kept)


def _written(path: str) -> tuple[str, list[tuple]]:
    """Joint set and records of an annotation file."""
    content = load_json(path, ('images', 'annotations', 'categories'))
    try:
        joints = _joint_set(content['categories'][0]['keypoints'])
        sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
        records = [
            _record(
                entry['joints_3d'],
                entry['camera'],
                sizes[entry['image_id']],
                entry['image_id'],
                entry['pose_source'],
                np.reshape(entry['keypoints'], (-1, 3))[:, 2],
                joints,
            )
            for entry in content['annotations']
        ]
    except (LookupError, TypeError, ValueError) as error:
        reason = f'no {error}' if isinstance(error, KeyError) else error
        raise AnnotationError(
            f'{path} is no annotation file of tools/render_people.py with joints_3d and camera of people ({reason})'
        ) from None
    if not records:
        raise AnnotationError(f'{path} holds no person')
    return joints, records


def _drawn(arguments: Mapping) -> tuple[str, list[tuple]]:
    """Joint set and records of people drawn now."""
    dataset = DATASETS.build({'joints': 'h36m', **arguments, 'type': 'SyntheticBodyDataset'})
    joints, indices, records = dataset.figures.joints, range(dataset.first, dataset.first + dataset.length), []
    for start in range(0, len(indices), 8):
        for drawn in dataset.figures.render(indices[start : start + 8]):
            size = drawn['img'].shape[1::-1]
            found = (drawn['keypoints_3d_cam'], drawn['camera'], size, drawn['index'], drawn['pose_source'])
            records.append(_record(*found, drawn['visibility'], joints))
    return joints, records


def _record(
    pose: Any, camera: Mapping, size: tuple, index: int, origin: str, visibility: Iterable, joints: str
) -> tuple:
    pose = np.array(pose, np.float64)
    shape = (Skeleton.from_metainfo(joints).num_joints, 3)
    if pose.shape != shape or len(visibility) != len(pose):
        raise ValueError(f'person {index} has joints_3d {pose.shape}, expected {shape}')
    return pose, camera_row(camera['f'], camera['c'], size), int(index), str(origin), bool(np.all(visibility))


def _joint_set(names: list) -> str:
    for joint_set in JOINT_SETS:
        if Skeleton.from_metainfo(joint_set).joint_names == tuple(names):
            return joint_set
    raise ValueError(f'joints {names} of none of {", ".join(JOINT_SETS)}')
