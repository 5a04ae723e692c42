"""Rendered people drawn while training."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmengine.dataset import force_full_init
from mmpose.datasets.datasets import BaseCocoStyleDataset

from mmposeda.registry import DATASETS


@DATASETS.register_module()
class SyntheticBodyDataset(BaseCocoStyleDataset):
    """People rendered on the fly, with exact labels; needs the extra ``synth``.

    The picture and labels of index i depend on ``(seed, i)`` alone, whatever the number of workers or their order. A
    picture takes 15 to 30 ms of one core at 128 pixels; write a set to disk with ``tools/render_people.py`` where the
    same pictures are seen often.

    A sample has, before the pipeline (K keypoints): ``img`` (H, W, 3) uint8 BGR; ``bbox`` (1, 4) xyxy in pixels;
    ``keypoints`` (1, K, 2) in pixels (the centre of pixel i is i); ``keypoints_visible`` (1, K), 1 inside the
    picture, 0 outside; ``keypoints_seen`` (1, K), 2 seen, 1 hidden by the body or an object, 0 outside;
    ``keypoints_3d_cam`` (1, K, 3) in mm in camera axes (x right, y down, z ahead); ``camera`` with focal lengths
    ``f`` (2,) and principal point ``c`` (2,) in pixels; ``person_mask`` (H, W) uint8 0 or 255; ``part_map`` (H, W)
    uint8 (``synthetic.rig.PARTS``, 0 background).

    Args:
        length (int): Number of pictures (of an epoch). Indices beyond it do not exist.
        size (int): Side of the square pictures, pixels.
        joints (str): Joint set: ``lsp``, ``mpii`` or ``h36m``.
        seed (int): Seed of the set. Sets of different seeds share no picture.
        first (int): Index of the first picture, to take another part of a set.
        look (str | dict): ``sport``, ``clean`` or ``shifted``, or ``dict(name=..., **changes)``; see
        ``synthetic.looks``.
        poses (dict): Arguments of ``synthetic.poses.PoseSource``: motion ``files``, ``mocap_share``, ``noise``.
        backgrounds (str): Folder of background pictures; none: procedural ones alone.
        box (str): ``image``: the whole picture is the box (it is framed already); ``person``: hull of joints and mask.
        sequence (int): Pictures of one person, camera and scene in a row; 0: every picture another person.
        device (str): Warp device.
        **kwargs: ``pipeline``, ``metainfo`` and others of MMPose's ``BaseCocoStyleDataset``.

    Raises:
        ValueError: unknown joint set, look or box; no pictures.
        ImportError: the extra ``synth`` is not installed.
        FileNotFoundError: a motion file or the background folder is not there.
    """

    def __init__(
        self,
        length: int = 1000,
        size: int = 128,
        joints: str = 'lsp',
        seed: int = 0,
        first: int = 0,
        look: Any = 'sport',
        poses: dict | None = None,
        backgrounds: str | None = None,
        box: str = 'image',
        sequence: int = 0,
        device: str = 'cpu',
        metainfo: dict | None = None,
        **kwargs,
    ):
        from mmposeda.structures.skeleton import metainfo_path

        from .synthetic.people import RenderedPeople

        if length < 1:
            raise ValueError(f'length must be at least 1, got {length}')
        if box not in ('image', 'person'):
            raise ValueError(f"box must be 'image' or 'person', got {box!r}")
        self.length, self.first, self.box = length, first, box
        self.people = RenderedPeople(
            size=size,
            joints=joints,
            seed=seed,
            look=look,
            poses=poses,
            backgrounds=backgrounds,
            sequence=sequence,
            device=device,
        )
        metainfo = metainfo or dict(from_file=metainfo_path(joints))
        super().__init__(metainfo=metainfo, **kwargs)
        if self.metainfo['num_keypoints'] != len(self.people.joint_names):
            raise ValueError(
                f'joints={joints!r} has {len(self.people.joint_names)} joints, but metainfo '
                f'{self.metainfo["dataset_name"]!r} has {self.metainfo["num_keypoints"]}; leave metainfo out'
            )

    def load_data_list(self) -> list[dict]:
        """One entry an index; everything else is drawn when asked for."""
        return [dict(id=i + 1, img_id=i, img_path='') for i in range(self.first, self.first + self.length)]

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Render one picture.

        Args:
            idx (int): Index in [0, length).

        Returns:
            dict: Sample as the class says.
        """
        info = super().get_data_info(idx)
        sample = self.people.render([info['img_id']])[0]
        size = sample['img'].shape[0]
        seen = sample['visibility']
        box = sample['bbox'] if self.box == 'person' else np.array([0, 0, size, size], np.float32)
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
            person_mask=sample['mask'],
            part_map=sample['part'],
            num_keypoints=int((seen > 0).sum()),
            area=np.float32((sample['mask'] > 0).sum()),
            iscrowd=0,
            segmentation=None,
            category_id=np.array(1),
        )
        return info
