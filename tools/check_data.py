"""Build the data sets of a config, say what they hold, and draw samples as a network sees them.

Look at the picture before a long run: a right wrist is red and a left one blue, and both lie on their pixels.
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
from mmposeda.datasets.lifting import LiftingDataset
from mmposeda.engine.failures import MENDABLE, one_line
from mmposeda.engine.stages import stage_config, stage_names
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization.panels import grid
from mmposeda.visualization.predictions import draw_pose

SPLITS = ('train', 'val', 'test')
#: where PoseStreams has its data sets
STREAMS = ('dataset', 'real_2d', 'real_3d')
#: pixels of the pictures of 2D-3D poses
SIDE = 256


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: the last)')
    parser.add_argument('--samples', type=int, default=8, help='samples of each data set to load and draw')
    parser.add_argument('--out', metavar='FILE', help='the picture (default: work_dirs/<config name>/data.jpg)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
    )
    args = parser.parse_args(argv)
    if args.samples < 1:
        parser.error(f'--samples must be at least 1, got {args.samples}')
    return args


def parts(cfg):
    """Configs of the data sets of all loaders, by 'train 0'; equal ones are named once."""
    found = {}
    for split in SPLITS:
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        if dataset is not None:
            for number, part in enumerate(members(dataset)):
                if part not in found.values():
                    found[f'{split} {number}'] = part
    return found


def members(dataset):
    """Configs of the data sets that a config joins."""
    if dataset['type'].split('.')[-1] == 'PoseStreams':
        return [dataset[key] for key in STREAMS if dataset.get(key)]
    joined = dataset.get('datasets', [dataset])
    return [part for part in joined.values() if part] if isinstance(joined, dict) else joined


def look(cfg, samples):
    """What a data set holds, in words, and pictures (h, w, 3) of its samples, spread over it; RGB."""
    cfg = copy.deepcopy(cfg)
    if cfg.get('dataset', cfg).get('pipeline'):
        cfg.get('dataset', cfg)['pipeline'][-1]['pack_transformed'] = True
    start = time.perf_counter()
    dataset = DATASETS.build(cfg)
    built = time.perf_counter() - start
    skeleton = Skeleton.from_metainfo(dataset.metainfo)
    indices = np.linspace(0, len(dataset) - 1, min(samples, len(dataset))).astype(int)
    if isinstance(dataset, LiftingDataset):
        return describe(dataset, skeleton, built), [draw_pair(dataset, index, skeleton) for index in indices]
    start = time.perf_counter()
    packed = [dataset[int(index)] for index in indices]
    each = (time.perf_counter() - start) / len(packed)
    pictures = [draw(sample, skeleton) for sample in packed]
    height, width = packed[0]['inputs'].shape[-2:]
    kind = type(getattr(dataset, 'dataset', dataset)).__name__
    labels = 'labelled' if 'keypoints' in packed[0]['data_samples'].gt_instances else 'without labels'
    what = 'pairs' if len(packed[0]['inputs']) == 6 else 'samples'
    text = (
        f'{kind}, {len(dataset)} {what}, {labels}, {skeleton.num_joints} joints of {skeleton.name}; '
        f'read in {built:.1f} s, {1000 * each:.0f} ms a sample of {width} x {height}'
    )
    return text, pictures


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


def describe(dataset, skeleton, built):
    """What a 2D-3D data set holds."""
    subjects, actions = (len(dataset.metainfo[f'{what}_names']) for what in ('subject', 'action'))
    depth = np.percentile(dataset.poses[..., 2], [1, 99]) if dataset.absolute else None
    where = f'{depth[0]:.1f} to {depth[1]:.1f} m away' if dataset.absolute else 'relative to the root'
    return (
        f'{type(dataset).__name__}, {len(dataset)} 2D-3D poses, {skeleton.num_joints} joints of {skeleton.name}, '
        f'{subjects} subjects, {actions} actions, {len(np.unique(dataset.sequence))} takes, {where}'
        f'{"" if dataset.projectable else ", unknown cameras"}; read in {built:.1f} s'
    )


def draw_pair(dataset, index, skeleton):
    """The 2D pose in its picture, and beside it the 3D pose seen from the camera's right, the camera on the left."""
    width, height = dataset.cameras[dataset.camera[index], 9:]
    scale = SIDE / max(width, height)
    shown = None if dataset.visible is None else dataset.visible[index]
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    picture[round(scale * height) :] = 128
    picture[:, round(scale * width) :] = 128
    flat = draw_pose(picture, dataset.keypoints[index] * scale, skeleton, shown, scale=1)
    pose = dataset.poses[index]
    middle, reach = (pose.min(0) + pose.max(0)) / 2, np.ptp(pose, axis=0).max()
    side = ((pose - middle) / reach * 0.9 + 0.5)[:, [2, 1]] * SIDE
    beside = draw_pose(np.full((SIDE, SIDE, 3), 255, np.uint8), side, skeleton, shown, scale=1)
    return np.concatenate([flat, beside], axis=1)


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    cfg = Config.fromfile(args.config)
    with one_line(args.config):
        cfg = stage_config(cfg, stage_names(cfg)[-1] if args.stage is None else args.stage, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmposeda'))
    columns, failed = {}, []
    for name, part in parts(cfg).items():
        try:
            text, pictures = look(part, args.samples)
        except (*MENDABLE, OSError, ValueError) as error:
            text = f'{part.get("dataset", part)["type"]}: {error}'
            failed.append(name)
        else:
            columns[name] = pictures
        print(f'{name}: {text}', flush=True)
    if columns:
        out = args.out or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0], 'data.jpg')
        save(columns, out)
        print(f'samples drawn in {out}: look at it')
    if failed:
        raise SystemExit(f'{args.config}: cannot be run as it is, see {", ".join(failed)}')


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
