"""What the measurements of all methods' steps share: what is timed, the networks and the labels."""

from __future__ import annotations

import statistics
from argparse import Namespace
from collections.abc import Callable
from typing import NamedTuple

import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

JOINTS = 16


class Contest(NamedTuple):
    """What is timed: functions without arguments.

    Attributes:
        step: Everything that we do with one batch.
        bare: The passes of the networks alone that it takes.
        reference: The authors' step on networks of the same shape, None without a clone.
        note: Said beside the times.
        compare: Says how alike ours and the reference come out, after one step of each; None where it cannot be told.
        title: What was measured, instead of the network and the pictures.
        poses: Poses that one call goes through; with it, poses a second are printed.
        details: Said below the ratios, after all calls.
    """

    step: Callable[[], None]
    bare: Callable[[], None]
    reference: Callable[[], None] | None = None
    note: str = ''
    compare: Callable[[], str] | None = None
    title: str = ''
    poses: int = 0
    details: Callable[[], str] | None = None


def estimator(args: Namespace, **head) -> dict:
    """Config of MMPose's ResNet and deconvolution head, randomly initialised; ``head`` adds to the latter."""
    codec = dict(type='MSRAHeatmap', input_size=(args.size,) * 2, heatmap_size=(args.size // 4,) * 2, sigma=2)
    channels = 512 if args.depth < 50 else 2048
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3),
        backbone=dict(type='ResNet', depth=args.depth),
        head=dict(type='HeatmapHead', in_channels=channels, out_channels=JOINTS, decoder=codec, **head),
    )


def labelled_samples(args: Namespace) -> list:
    """One sample a source picture, with random heatmaps (K, H, W) on the device and all joints visible."""
    samples, side = [], args.size // 4
    for _ in range(args.batch):
        sample = PoseDataSample()
        sample.gt_fields = PixelData(heatmaps=torch.rand(JOINTS, side, side, device=args.device))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, JOINTS, device=args.device))
        samples.append(sample)
    return samples


def ratio(args: Namespace, name: str, first: Callable[[], None], second: Callable[[], None]) -> str:
    """A line with the ratio of two functions' medians, called in turn."""
    pairs = [[seconds(f, args.device, args.now) for f in (first, second)] for _ in range(args.repeats)]
    ours, theirs = (1000 * statistics.median(times) for times in zip(*pairs))
    return f'{name} {ours / theirs:.2f} ({ours:.1f} / {theirs:.1f} ms)'


def seconds(function, device: str, clock) -> float:
    """Time of one call, with the device drained before and after."""
    if device.startswith('cuda'):
        torch.cuda.synchronize()
    start = clock()
    function()
    if device.startswith('cuda'):
        torch.cuda.synchronize()
    return clock() - start
