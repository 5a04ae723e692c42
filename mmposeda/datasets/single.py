"""What the readers of the published tasks' data sets share."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import force_full_init
from mmpose.datasets.datasets import BaseCocoStyleDataset

from mmposeda.structures.skeleton import Skeleton

from .annotations import LIMIT, AnnotationError, check_paths
from .images import image_size, naming_sample


def one_of(owner: str, name: str, value: Any, choices: Sequence[str]) -> str:
    """``value``, checked.

    Raises:
        ValueError: it is none of the choices; the message lists them.
    """
    if value not in choices:
        raise ValueError(f'{owner} got {name}={value!r}, expected one of {", ".join(choices)}')
    return value


def square_boxes(
    centers: np.ndarray, sides: np.ndarray, picture: tuple[int, int], factor: float = 1.5, within: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Square crops around instances as the published tasks cut them (RegDA code, ``scale_box``).

    In whole pixels, not larger than the picture and moved into it.

    Args:
        centers (np.ndarray): (N, 2), middle of the hull of the joints, pixels.
        sides (np.ndarray): (N,), longer side of the hull, pixels.
        picture (tuple[int, int]): Width and height.
        factor (float): Side of the crop over that of the hull.
        within (bool): False: a crop may be as large as the picture's longer side, and then sticks out across the
            shorter one, of which it holds all.

    Returns:
        tuple[np.ndarray, np.ndarray]: First pixels (N, 2) and numbers of pixels a side (N,), whole numbers as float64.
    """
    sides = np.minimum(np.rint(factor * np.asarray(sides, np.float64)), (min if within else max)(picture))
    corners = np.rint(np.asarray(centers, np.float64) - sides[:, None] / 2)
    room = np.array(picture) - sides[:, None]
    return np.clip(corners, np.minimum(room, 0), np.maximum(room, 0)), sides


class SingleInstanceDataset(BaseCocoStyleDataset):
    """One person or hand a sample, its joints mapped by name to the set of ``metainfo``.

    A subclass gives :meth:`load_data_list`, which calls :meth:`map_joints` once and :meth:`info` for each sample.

    Attributes:
        NATIVE (str): Meta file of the joints on disk.
        HOW_TO_GET (str): End of the message where a file is missing.
    """

    NATIVE: str = ''
    HOW_TO_GET: str = ''

    def map_joints(self, keypoints: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints (N, K, 2) and visibilities (N, K) on disk to those of ``metainfo``, float32.

        Raises:
            ValueError: the two joint sets have nothing in common.
        """
        joint_map = Skeleton.from_metainfo(self.NATIVE).map_to(Skeleton.from_metainfo(self._metainfo))
        keypoints, visible = joint_map.apply(keypoints, visible)
        return keypoints.astype(np.float32), visible.astype(np.float32)

    @staticmethod
    def info(
        number: int, path: str, keypoints: np.ndarray, visible: np.ndarray, box: np.ndarray | None = None, **more
    ) -> dict:
        """What is kept of sample ``number``; without a box (x0, y0, x1, y1) it is the whole picture."""
        info = dict(
            img_id=number, id=number, img_path=path, keypoints=keypoints[None], keypoints_visible=visible[None], **more
        )
        return info if box is None else dict(info, bbox=np.asarray(box, np.float32)[None])

    def existing(self, path: str, what: str = 'annotation file') -> str:
        """``path``, if there is such a file.

        Raises:
            FileNotFoundError: there is none; says where the data is had.
        """
        if not osp.isfile(path):
            raise FileNotFoundError(f'{what} {path} does not exist. {self.HOW_TO_GET}')
        return path

    def check_pictures(self, paths: Sequence[str], named_in: str | None = None) -> None:
        """Check that all pictures are named inside the data folder and that the first one is there.

        ``named_in`` is the file or folder of their names, if it is not ``ann_file``.

        Raises:
            AnnotationError: a path leads out of the folder.
            FileNotFoundError: there is no first picture.
        """
        check_paths(paths, [self.data_root, *self.data_prefix.values()], named_in or self.ann_file)
        self.existing(paths[0], 'picture')

    def whole(self, info: dict) -> dict:
        """What is kept of a sample, with what a subclass keeps elsewhere."""
        return info

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Data info of MMPose's kind. Sizes of pictures and what is equal for all is not kept, but looked up here."""
        info = self.whole(super().get_data_info(idx))
        if 'bbox' not in info:
            try:
                size = image_size(info['img_path'])
            except FileNotFoundError as error:
                raise FileNotFoundError(f'{error}. {self.HOW_TO_GET}') from None
            info['bbox'] = np.array([[0, 0, *size]], np.float32)
        info.update(
            bbox_score=np.ones(1, np.float32),
            area=(info['bbox'][0, 2:] - info['bbox'][0, :2]).prod(),
            num_keypoints=int((info['keypoints_visible'] > 0).sum()),
            category_id=np.array(1),
            iscrowd=0,
        )
        return info

    @force_full_init
    def prepare_data(self, idx: int) -> Any:
        """Sample ``idx`` through the pipeline.

        Raises:
            SampleError: the picture is unreadable, or a transform failed; names the file.
        """
        info = self.get_data_info(idx)
        info['dataset'] = self  # MMPose's mixing transforms take further samples from it
        with naming_sample(self, idx, info['img_path']):
            return self.pipeline(info)


def numbers(ann_file: str, what: str, values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """``values`` as float32 numbers of pixels.

    Raises:
        AnnotationError: they are of another shape, no numbers, or none of pixels; names the file and ``what``.
    """
    try:
        array = np.array(values, np.float32)
    except (TypeError, ValueError):
        raise AnnotationError(f'{what} of {ann_file} holds no numbers') from None
    if array.shape != shape:
        raise AnnotationError(f'{what} of {ann_file} has shape {array.shape}, expected {shape}')
    if not (np.abs(array) <= LIMIT).all():
        raise AnnotationError(
            f'{what} of {ann_file} has NaN, infinite or absurd numbers: expected pixels up to {LIMIT:.0e}. Correct or '
            'remove the entry'
        )
    return array
