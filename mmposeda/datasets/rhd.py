"""The Rendered Handpose Dataset as it is published, both hands of a picture."""

from __future__ import annotations

import os.path as osp
import pickle

import numpy as np
from mmengine.fileio import load

from mmposeda.compat.safe_loading import UnsafeFileError
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import METAINFO_DIR

from .annotations import LIMIT, AnnotationError, labels_ignored
from .single import SingleInstanceDataset, one_of, square_boxes

PICTURE = (320, 320)
SIDES = ('left', 'right')


@DATASETS.register_module()
class RHDHandsDataset(SingleInstanceDataset):
    """Hands of RHD (Zimmermann and Brox, ICCV 2017), each a sample of its own, chosen as in the published tasks.

    Layout: ``data_root/{training,evaluation}/anno_{training,evaluation}.pickle`` and ``color/%05d.png``, 320 x 320
    pixels. The pickle is read as data: nothing in it is run. A hand counts if its square crop is large enough, enough
    of its joints are visible and the other hand covers little of the crop (RegDA code). The box is the crop.

    MMPose's ``Rhd2DDataset`` reads a file of its own with one hand a picture and neither visibility nor the other hand.

    A sample tells its ``hand_side``, ``left`` or ``right``: the transform :class:`MirrorHands` makes them all left
    ones, as in the published tasks. It also has ``keypoints_3d_cam`` (1, 21, 3) in mm in the camera's axes and
    ``camera`` with ``f`` (2,) and ``c`` (2,) in pixels. Under ``UnlabeledDataset`` the side is not known and joints
    choose no hand.

    Args:
        split (str): ``train`` (41258 pictures, 16 people) or ``test`` (2728 pictures, 4 others).
        crop (float): Side of the crop over that of the hull of the joints.
        min_side (int): Pixels; first and last column of the crop lie further apart.
        min_visible (int): Joints of 21.
        max_overlap (float): Share of the crop that the hull of the other hand covers stays below it.
        kwargs: of MMPose's ``BaseCocoStyleDataset``; a ``metainfo`` of other joints is mapped to by name.

    Raises:
        FileNotFoundError: the annotation file or the first picture is missing; says where the data is had.
        AnnotationError: the file is of another kind, holds more than data, or joints that are no numbers of pixels.
        ValueError: unknown split, or no hand left.
    """

    METAINFO: dict = dict(from_file=str(METAINFO_DIR / 'hand21.py'))
    NATIVE = 'rhd2d'
    HOW_TO_GET = (
        'RHD is free for research: download RHD_v1-1.zip from '
        'https://lmb.informatik.uni-freiburg.de/resources/datasets/RenderedHandposeDataset.en.html and unpack it so '
        'that data_root holds training/ and evaluation/ (the folder RHD_published_v2).'
    )

    def __init__(
        self,
        split: str = 'train',
        crop: float = 1.5,
        min_side: int = 64,
        min_visible: int = 17,
        max_overlap: float = 0.3,
        **kwargs,
    ):
        self.split = one_of('RHDHandsDataset', 'split', split, ('train', 'test'))
        self.crop, self.min_side, self.min_visible, self.max_overlap = crop, min_side, min_visible, max_overlap
        folder = dict(train='training', test='evaluation')[split]
        defaults = dict(ann_file=f'{folder}/anno_{folder}.pickle', data_prefix=dict(img=f'{folder}/color'))
        super().__init__(**{**defaults, **kwargs})

    def load_data_list(self) -> list[dict]:
        """Hands that count, in the order of the pictures, the left one first."""
        ids, joints, space, cameras = self._read(self.existing(self.ann_file))
        points = joints.reshape(-1, 2, 21, 3)  # (picture, left or right, joint, u v visible)
        low, high = points[..., :2].min(2), points[..., :2].max(2)
        corners, sides = square_boxes(
            ((low + high) / 2).reshape(-1, 2), (high - low).max(-1).reshape(-1), PICTURE, self.crop
        )
        corners, sides = corners.reshape(-1, 2, 2), sides.reshape(-1, 2)
        last = corners + sides[..., None] - 1
        # both ends of a box are pixels that belong to it
        shared = np.minimum(last, high[:, ::-1]) - np.maximum(corners, low[:, ::-1]) + 1
        overlap = shared.clip(0).prod(-1) / np.maximum(sides, 1) ** 2
        chosen = (sides - 1 > self.min_side) & (overlap < self.max_overlap)
        if labels_ignored():
            points = np.zeros_like(points)
        else:
            chosen &= (points[..., 2] > 0).sum(-1) >= self.min_visible
        picture, side = np.nonzero(chosen)
        if not len(picture):
            raise ValueError(f'no hand in {self.ann_file} is large, visible and free enough to count')
        paths = [osp.join(self.data_prefix['img'], f'{ids[n]:05d}.png') for n in picture]
        self.check_pictures(paths)
        boxes = np.concatenate([corners, corners + sides[..., None]], -1)[picture, side]
        keypoints, visible = self.map_joints(points[picture, side, :, :2], points[picture, side, :, 2] > 0)
        space, _ = self.map_joints(1000 * space.reshape(-1, 2, 21, 3)[picture, side], points[picture, side, :, 2])
        return [
            self.info(
                2 * ids[p] + int(s),
                path,
                keypoints[n],
                visible[n],
                boxes[n],
                hand_side=SIDES[s],
                keypoints_3d_cam=space[n : n + 1],
                camera=dict(f=cameras[p, [0, 1], [0, 1]], c=cameras[p, :2, 2]),
            )
            for n, (p, s, path) in enumerate(zip(picture, side, paths))
        ]

    @staticmethod
    def _read(path: str) -> tuple[list[int], np.ndarray, np.ndarray, np.ndarray]:
        """Numbers of the pictures; pixels and visibility, and metres, of their joints, both (N, 42, 3); K (N, 3, 3)."""
        try:
            content = load(path, file_format='pkl')
            ids = [int(number) for number in content]
            joints = np.stack([np.asarray(entry['uv_vis'], np.float64) for entry in content.values()])
            space, cameras = np.zeros_like(joints), np.zeros((len(ids), 3, 3))
            if not labels_ignored():
                space = np.stack([np.asarray(entry['xyz'], np.float64) for entry in content.values()])
                cameras = np.stack([np.asarray(entry['K'], np.float64) for entry in content.values()])
        except UnsafeFileError as error:
            raise AnnotationError(f'{path} is refused: {error}') from None
        except (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
            what = f'no {error}' if isinstance(error, KeyError) else error
            raise AnnotationError(f'{path} is no annotation file of RHD: {what}') from None
        for name, array, shape in (('uv_vis', joints, (42, 3)), ('xyz', space, (42, 3)), ('K', cameras, (3, 3))):
            if array.shape[1:] != shape:
                raise AnnotationError(
                    f'{path} has {name} of shape {array.shape[1:]}, but RHD has {shape}: two hands of 21'
                )
            good = (np.abs(array) <= LIMIT).all((1, 2))
            if not good.all():
                raise AnnotationError(
                    f'picture {ids[int(np.argmin(good))]} of {path} has {name} with NaN, infinite or absurd numbers'
                )
        return ids, joints, space, cameras.astype(np.float32)
