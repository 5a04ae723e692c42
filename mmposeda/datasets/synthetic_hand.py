"""Rendered hands drawn while training."""

from __future__ import annotations

from typing import Any

from mmposeda.registry import DATASETS

from .synthetic_figures import SyntheticFigureDataset


@DATASETS.register_module()
class SyntheticHandDataset(SyntheticFigureDataset):
    """Hands rendered on the fly, with exact labels; needs the extra ``synth``.

    The picture and labels of index i depend on ``(seed, i)`` alone, whatever the number of workers or their order.
    Write a set to disk with ``tools/render_people.py --what hand`` where the same pictures are seen often.

    A sample has, before the pipeline: ``img`` (H, W, 3) uint8 BGR; ``bbox`` (1, 4) xyxy in pixels; ``keypoints``
    (1, 21, 2) in pixels (the centre of pixel i is i); ``keypoints_visible`` (1, 21), 1 inside the picture, 0 outside;
    ``keypoints_seen`` (1, 21), 2 seen, 1 hidden by the hand or an object, 0 outside; ``keypoints_3d_cam`` (1, 21, 3) in
    mm in camera axes (x right, y down, z ahead); ``camera`` with focal lengths ``f`` (2,) and principal point ``c``
    (2,) in pixels; ``hand_mask`` (H, W) uint8 0 or 255, of hand and arm; ``part_map`` (H, W) uint8
    (``synthetic.hand_rig.PARTS``, 0 background); ``hand_side``, ``left`` or ``right``; ``gesture`` (str);
    ``sequence_id`` and ``frame`` (int); of looks with a tie ``tie``, see ``RenderedFigures.tie``.

    Args:
        length (int): Number of pictures (of an epoch). Indices beyond it do not exist.
        size (int): Side of the square pictures, pixels.
        joints (str): Order of the joints: ``hand21``, fingers from palm to tip as in FreiHAND and most of MMPose's hand
            sets, or ``rhd2d``, from tip to palm.
        seed (int): Seed of the set. Sets of different seeds share no picture.
        first (int): Index of the first picture, to take another part of a set.
        look (str | dict): A name in ``synthetic.looks.LOOKS``, such as ``sport``, or ``dict(name=..., **changes)``.
        poses (dict): Arguments of ``synthetic.hand_poses.HandPoseSource``: ``gesture_share``, ``gestures``, ``noise``.
        side (str): ``left``, ``right`` or ``both``, half of the hands each. A left hand is a mirrored right one.
        backgrounds (str): Folder of background pictures; none: procedural ones alone.
        box (str): ``image``: the whole picture is the box (it is framed already); ``hand``: hull of joints and mask.
        sequence (int): Pictures of one hand, camera and scene in a row; 0: every picture another hand.
        device (str): Warp device.
        **kwargs: ``pipeline``, ``metainfo`` and others of MMPose's ``BaseCocoStyleDataset``.

    Raises:
        ValueError: unknown joint set, look, side, gesture or box; no pictures.
        ImportError: the extra ``synth`` is not installed.
        FileNotFoundError: the background folder is not there.
    """

    FIGURE = 'hand'

    def __init__(
        self,
        length: int = 1000,
        size: int = 128,
        joints: str = 'hand21',
        seed: int = 0,
        first: int = 0,
        look: Any = 'sport',
        poses: dict | None = None,
        side: str = 'both',
        backgrounds: str | None = None,
        box: str = 'image',
        sequence: int = 0,
        device: str = 'cpu',
        metainfo: dict | None = None,
        **kwargs,
    ):
        from .synthetic.hands import RenderedHands

        hands = RenderedHands(
            size=size,
            joints=joints,
            seed=seed,
            look=look,
            poses=poses,
            side=side,
            backgrounds=backgrounds,
            sequence=sequence,
            device=device,
        )
        super().__init__(hands, length, first, box, metainfo, **kwargs)

    def own_labels(self, sample: dict) -> dict:
        """Mask, side and gesture of the hand."""
        return dict(hand_mask=sample['mask'], hand_side=sample['subject']['side'], gesture=sample['pose_source'])
