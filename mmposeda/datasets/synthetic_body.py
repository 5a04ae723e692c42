"""Rendered people drawn while training."""

from __future__ import annotations

from typing import Any

from mmposeda.registry import DATASETS

from .synthetic_figures import SyntheticFigureDataset


@DATASETS.register_module()
class SyntheticBodyDataset(SyntheticFigureDataset):
    """People rendered on the fly, with exact labels; needs the extra ``synth``.

    The picture and labels of index i depend on ``(seed, i)`` alone, whatever the number of workers or their order. A
    picture takes 15 to 30 ms of one core at 128 pixels; write a set to disk with ``tools/render_people.py`` where the
    same pictures are seen often.

    A sample has, before the pipeline (K keypoints): ``img`` (H, W, 3) uint8 BGR; ``bbox`` (1, 4) xyxy in pixels;
    ``keypoints`` (1, K, 2) in pixels (the centre of pixel i is i); ``keypoints_visible`` (1, K), 1 inside the
    picture, 0 outside; ``keypoints_seen`` (1, K), 2 seen, 1 hidden by the body or an object, 0 outside;
    ``keypoints_3d_cam`` (1, K, 3) in mm in camera axes (x right, y down, z ahead); ``camera`` with focal lengths
    ``f`` (2,) and principal point ``c`` (2,) in pixels; ``person_mask`` (H, W) uint8 0 or 255; ``part_map`` (H, W)
    uint8 (``synthetic.rig.PARTS``, 0 background); ``sequence_id`` and ``frame`` (int); of looks with a tie ``tie``, see
    ``RenderedFigures.tie``.

    Args:
        length (int): Number of pictures (of an epoch). Indices beyond it do not exist.
        size (int): Side of the square pictures, pixels.
        joints (str): Joint set: ``lsp``, ``mpii`` or ``h36m``.
        seed (int): Seed of the set. Sets of different seeds share no picture.
        first (int): Index of the first picture, to take another part of a set.
        look (str | dict): A name in ``synthetic.looks.LOOKS``, such as ``sport``, or ``dict(name=..., **changes)``.
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
        from .synthetic.people import RenderedPeople

        people = RenderedPeople(
            size=size,
            joints=joints,
            seed=seed,
            look=look,
            poses=poses,
            backgrounds=backgrounds,
            sequence=sequence,
            device=device,
        )
        super().__init__(people, length, first, box, metainfo, **kwargs)

    def own_labels(self, sample: dict) -> dict:
        """The mask of the person."""
        return dict(person_mask=sample['mask'])
