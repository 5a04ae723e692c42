"""Name what is missing or wrong in the data of a config before a run starts, and draw samples as a network sees them.

Looks at files, pictures, labels in 2D and 3D, what the data sets of a run have with each other, and what heads, codecs,
samplers and files of weights want of them; docs/datasets.md lists it. Ends with 1 if there is an error. Look at the
picture before a long run: a right wrist is red and a left one blue, and both lie on their pixels.
"""

import argparse
import copy
import os
import os.path as osp
import time

import cv2
import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

import mmposeda  # noqa: F401
from mmposeda.datasets.faults import ERROR, error
from mmposeda.datasets.faults.dataset import UNREADABLE
from mmposeda.datasets.faults.findings import spread
from mmposeda.datasets.lifting import LiftingDataset
from mmposeda.datasets.motion import MocapMotionDataset
from mmposeda.engine.failures import one_line
from mmposeda.engine.run_data import RunData, innermost
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization.panels import grid
from mmposeda.visualization.predictions import draw_pose

#: pixels of the pictures of 2D-3D poses
SIDE = 256


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: all)')
    parser.add_argument('--all', action='store_true', help='decode every picture and look at every label, not some')
    parser.add_argument('--samples', type=int, default=8, help='samples of each data set to load and draw')
    parser.add_argument('--out', metavar='FILE', help='the picture (default: work_dirs/<config name>/data.jpg)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
    )
    args = parser.parse_args(argv)
    if args.samples < 1:
        parser.error(f'--samples must be at least 1, got {args.samples}')
    return args


def look(part, samples):
    """What a data set that is built holds, in words, and pictures (h, w, 3) of its samples, spread over it; RGB.

    Samples that cannot be loaded are added to what is found, unless their picture is known to be missing or damaged.
    """
    dataset = part.dataset
    skeleton = Skeleton.from_metainfo(dataset.metainfo)
    if isinstance(dataset, LiftingDataset):
        return describe(dataset, skeleton), [draw_pair(dataset, row, skeleton) for row in spread(len(dataset), samples)]
    if isinstance(dataset, MocapMotionDataset):
        return describe_motion(dataset, skeleton, samples)
    start = time.perf_counter()
    packed = load(part, dataset, samples)
    each = (time.perf_counter() - start) / max(len(packed), 1)
    for pipeline in part.pipelines[1:]:
        cfg = copy.deepcopy(part.cfg)
        innermost(cfg)['pipeline'] = pipeline
        load(part, DATASETS.build(cfg), 1)
    labels = 'labelled' if part.labelled else 'without labels'
    what = 'pairs' if packed and len(packed[0]['inputs']) == 6 else 'samples'
    text = f'{part.kind}, {len(dataset)} {what}, {labels}, {skeleton.num_joints} joints of {skeleton.name}'
    if packed:
        height, width = packed[0]['inputs'].shape[-2:]
        text += f'; {1000 * each:.0f} ms a sample of {width} x {height}'
    return text, [draw(sample, skeleton) for sample in packed]


def load(part, dataset, samples):
    """Samples of a data set, through its pipeline."""
    packed = []
    for index in spread(len(dataset), samples):
        try:
            packed.append(dataset[int(index)])
        except UNREADABLE as problem:
            if not any(path in str(problem) for path in part.check.unusable):
                part.check.findings.append(error(f'sample {index} cannot be loaded: {problem}'))
    return packed


def draw(sample, skeleton):
    """The input with its visible joints, if it has any; of a pair both pictures, base and driving, side by side."""
    pictures = [part.permute(1, 2, 0).numpy()[..., ::-1] for part in sample['inputs'].split(3)]
    image = np.ascontiguousarray(np.concatenate(pictures, axis=1))
    instances = sample['data_samples'].gt_instances
    if 'transformed_keypoints' not in instances:
        return image
    visible = np.asarray(instances.keypoints_visible)[0]
    visible = visible.reshape(len(visible), -1)[:, 0] > 0  # some transforms put a weight beside it
    return draw_pose(image, instances.transformed_keypoints[0], skeleton, visible, scale=1)


def describe(dataset, skeleton):
    """What a 2D-3D data set holds."""
    subjects, actions = (len(dataset.metainfo[f'{what}_names']) for what in ('subject', 'action'))
    depth = np.percentile(dataset.poses[..., 2], [1, 99]) if dataset.absolute else None
    where = f'{depth[0]:.1f} to {depth[1]:.1f} m away' if dataset.absolute else 'relative to the root'
    return (
        f'{type(dataset).__name__}, {len(dataset)} 2D-3D poses, {skeleton.num_joints} joints of {skeleton.name}, '
        f'{subjects} subjects, {actions} actions, {len(np.unique(dataset.sequence))} takes, {where}'
        f'{"" if dataset.projectable else ", unknown cameras"}'
    )


def describe_motion(dataset, skeleton, samples):
    """What motion capture holds, and the first poses of windows from the front and from the right."""
    text = (
        f'MocapMotionDataset, {len(dataset)} windows of {dataset.frames} frames of {len(dataset.clip_names)} clips, '
        f'{skeleton.num_joints} joints of {skeleton.name}'
    )
    poses = dataset.poses[dataset.starts[spread(len(dataset), samples)]].numpy()
    views = [[from_side(pose, skeleton, axes) for axes in ([0, 1], [2, 1])] for pose in poses]
    return text, [np.concatenate(pair, axis=1) for pair in views]


def draw_pair(dataset, index, skeleton):
    """The 2D pose in its picture, and beside it the 3D pose seen from the camera's right, the camera on the left."""
    width, height = dataset.cameras[dataset.camera[index], 9:]
    scale = SIDE / max(width, height)
    shown = None if dataset.visible is None else dataset.visible[index]
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    picture[round(scale * height) :] = 128
    picture[:, round(scale * width) :] = 128
    flat = draw_pose(picture, dataset.keypoints[index] * scale, skeleton, shown, scale=1)
    return np.concatenate([flat, from_side(dataset.poses[index], skeleton, [2, 1], shown)], axis=1)


def from_side(pose, skeleton, axes, shown=None):
    """A 3D pose in a picture of its own, by two of its axes."""
    middle, reach = (pose.min(0) + pose.max(0)) / 2, np.ptp(pose, axis=0).max()
    points = ((pose - middle) / reach * 0.9 + 0.5)[:, axes] * SIDE
    return draw_pose(np.full((SIDE, SIDE, 3), 255, np.uint8), points, skeleton, shown, scale=1)


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    cfg = Config.fromfile(args.config)
    init_default_scope(cfg.get('default_scope', 'mmposeda'))
    columns, found = {}, []
    with one_line(args.config):
        run = RunData(cfg, args.stage, args.cfg_options)
        for part in run.check(args.all):
            text = part.kind
            if part.dataset is not None:
                text, columns[' '.join(filter(None, part.uses[0]))] = look(part, args.samples)
                text = '; '.join(filter(None, (text, f'read in {part.seconds:.1f} s', part.check.looked)))
            found += say(f'{part.name}: {text}', part.check.findings)
    together = {}
    for finding, stages in run.findings.items():
        together.setdefault(', '.join(filter(None, stages)) or 'config', []).append(finding)
    for stages, findings in together.items():
        found += say(f'{stages}:', findings)
    columns = {name: pictures for name, pictures in columns.items() if pictures}
    if columns:
        out = args.out or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0], 'data.jpg')
        save(columns, out)
        print(f'samples drawn in {out}: look at it')
    errors = sum(finding.level == ERROR for finding in found)
    counts = f'{errors} error{"s" * (errors != 1)} and {len(found) - errors} warning{"s" * (len(found) - errors != 1)}'
    if errors:
        raise SystemExit(f'{args.config}: {counts}; it cannot be run as it is')
    print(f'{args.config}: {counts}')


def say(block, findings):
    """Print a block, and return its findings."""
    print('\n    '.join([block, *map(str, findings)]), flush=True)
    return findings


def save(columns, path):
    """Write columns of pictures; a short column ends in white, a small picture has white around it."""
    size = np.max([picture.shape for pictures in columns.values() for picture in pictures], 0)
    rows = max(map(len, columns.values()))
    sheet = {name: np.full((rows, *size), 255, np.uint8) for name in columns}
    for name, pictures in columns.items():
        for row, picture in enumerate(pictures):
            sheet[name][row, : picture.shape[0], : picture.shape[1]] = picture
    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    if not cv2.imwrite(path, grid(sheet)[..., ::-1]):
        raise SystemExit(f'{path} cannot be written')


if __name__ == '__main__':
    main()
