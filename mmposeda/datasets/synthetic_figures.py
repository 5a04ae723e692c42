"""What data sets of figures rendered while training (people, hands) share."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.dataset import force_full_init
from mmpose.datasets.datasets import BaseCocoStyleDataset


class SyntheticFigureDataset(BaseCocoStyleDataset):
    """One rendered figure a picture, drawn when asked for; a subclass says of what.

    An entry of the data list tells, without rendering, its ``sequence_id`` and ``frame``: those of ``sequence``
    pictures in a row, or its own number and 0 where every picture is its own.

    Args:
        figures (RenderedFigures): Draws the pictures.
        length (int): Number of pictures (of an epoch). Indices beyond it do not exist.
        first (int): Index of the first picture, to take another part of a set.
        box (str): ``image``: the whole picture is the box (it is framed already); ``FIGURE``: hull of joints and mask.
        metainfo (dict): Of the joints.
        **kwargs: Others of MMPose's ``BaseCocoStyleDataset``.

    Raises:
        ValueError: no pictures, unknown box, metainfo of another number of joints.
    """

    FIGURE = 'person'

    def __init__(self, figures: Any, length: int, first: int, box: str, metainfo: dict | None, **kwargs):
        from mmposeda.structures.skeleton import metainfo_path

        if length < 1:
            raise ValueError(f'length must be at least 1, got {length}')
        if box not in ('image', self.FIGURE):
            raise ValueError(f"box must be 'image' or {self.FIGURE!r}, got {box!r}")
        self.figures, self.length, self.first, self.box = figures, length, first, box
        super().__init__(metainfo=metainfo or dict(from_file=metainfo_path(figures.joints)), **kwargs)
        if self.metainfo['num_keypoints'] != len(figures.joint_names):
            raise ValueError(
                f'joints={figures.joints!r} has {len(figures.joint_names)} joints, but metainfo '
                f'{self.metainfo["dataset_name"]!r} has {self.metainfo["num_keypoints"]}; leave metainfo out'
            )

    def load_data_list(self) -> list[dict]:
        """One entry an index; everything else is drawn when asked for."""
        entries = []
        for i in range(self.first, self.first + self.length):
            sequence, frame = self.figures.place(i)
            entries.append(dict(id=i + 1, img_id=i, img_path='', sequence_id=sequence, frame=frame))
        return entries

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Render one picture.

        Args:
            idx (int): Index in [0, length).

        Returns:
            dict: Sample as the class says.
        """
        info = super().get_data_info(idx)
        sample = self.figures.render([info['img_id']])[0]
        size = sample['img'].shape[0]
        seen = sample['visibility']
        box = sample['bbox'] if self.box == self.FIGURE else np.array([0, 0, size, size], np.float32)
        info.update(
            img=sample['img'],
            img_shape=(size, size),
            ori_shape=(size, size),
            bbox=box[None].astype(np.float32),
            bbox_score=np.ones(1, np.float32),
            keypoints=sample['keypoints'][None],
            keypoints_visible=(seen > 0).astype(np.float32)[None],
            keypoints_seen=seen.astype(np.float32)[None],
            keypoints_3d_cam=sample['keypoints_3d_cam'][None],
            camera=sample['camera'],
            view=sample['view'],
            part_map=sample['part'],
            num_keypoints=int((seen > 0).sum()),
            area=np.float32((sample['mask'] > 0).sum()),
            iscrowd=0,
            segmentation=None,
            category_id=np.array(1),
            **({'tie': sample['tie']} if 'tie' in sample else {}),
            **self.own_labels(sample),
        )
        return info

    def own_labels(self, sample: dict) -> dict:
        """Labels of this kind of figure from what was drawn (``RenderedFigures.render``)."""
        raise NotImplementedError
