"""Figures on the difficulty of poses.

    python tools/plot_difficulty.py poses scores.npz CONFIG                # example poses of every bin
    python tools/plot_difficulty.py similarity scores.npz CONFIG           # how alike the poses of two bins are
    python tools/plot_difficulty.py hardest scores.npz CONFIG              # the 100 hardest samples
    python tools/plot_difficulty.py bars RegDA=a/result.json VAE-HM=b/result.json --metric PCK/all@0.05

scores.npz is a file of tools/score_poses.py, CONFIG a config with the scored data set (or a file of poses, with
--joints). A metrics file is one of tools/test.py --out with BinnedMetric in the config; a label given several times
stands for several seeds, shown as mean and standard deviation.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope

import mmposeda  # noqa: F401
from mmposeda.datasets.difficulty import DifficultyScores, ScoreFileError, load_pose_array, read_poses
from mmposeda.datasets.images import SampleError
from mmposeda.datasets.pose_array import leaves
from mmposeda.engine.stages import stage_config, stage_names
from mmposeda.registry import DATASETS
from mmposeda.structures.pose_angles import VARIANTS, angle_triplets, bin_similarity, pose_angles, reference_angles
from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization import accuracy_bars, bin_examples, hardest_sheet, similarity_map


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    poses = commands.add_parser('poses', help='example poses of every bin')
    poses.add_argument('--examples', type=int, default=3, help='poses of a bin')
    alike = commands.add_parser('similarity', help='how alike the poses of two bins are')
    alike.add_argument('--variant', choices=VARIANTS, default='raw', help='of the angle vectors, see EvalPose')
    alike.add_argument('--save-mean', metavar='FILE', help="also write the mean angles, for EvalPose's `mean` (.npz)")
    hardest = commands.add_parser('hardest', help='the hardest samples')
    hardest.add_argument('--count', type=int, default=100)
    hardest.add_argument('--columns', type=int, default=10)
    hardest.add_argument('--no-pictures', action='store_true', help='draw stick figures')
    bars = commands.add_parser('bars', help='a metric by bin, for several methods side by side')
    bars.add_argument('files', nargs='+', metavar='LABEL=FILE', help='metrics of a method, or of one of its seeds')
    bars.add_argument('--metric', default='PCK/all@0.05', help='key of the metrics that BinnedMetric gives by bin')
    bars.add_argument('--tail', type=int, default=5, help="bins of the legend's mean")
    for command in (poses, alike, hardest):
        command.add_argument('scores', help='file of scores')
        command.add_argument('data', metavar='CONFIG', help='config, or .npz or .npy file of poses')
        command.add_argument(
            '--dataset',
            metavar='KEY',
            help='where the scored data set is in the config, such as test_dataloader.dataset (default: '
            'train_dataloader.dataset, of a joined one its first part, the source)',
        )
        command.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: the last)')
        command.add_argument('--joints', metavar='NAME', help='joint set of a file of poses, such as lsp')
        command.add_argument(
            '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
        )
    for command in (poses, alike, hardest, bars):
        command.add_argument('--out', metavar='FILE', help='picture to write (default: beside the scores)')
        command.add_argument('--title', default=None)
    return parser.parse_args(argv)


def read(args):
    """Poses, their scores and bins, the joint set and the data set (None for a file of poses).

    Raises:
        ValueError: The config has no such data set, or it is not the scored one; what else the readers find.
    """
    scores, dataset = DifficultyScores.load(args.scores), None
    if args.data.endswith(('.npz', '.npy')):
        if args.joints is None:
            raise ValueError(f'{args.data} does not say which joints it has: add --joints, such as --joints lsp')
        poses, skeleton = load_pose_array(args.data), Skeleton.from_metainfo(args.joints)
        if poses.keypoints.shape[1] != skeleton.num_joints:
            raise ValueError(
                f'{args.data} has {poses.keypoints.shape[1]} joints, but --joints {args.joints} has '
                f'{skeleton.num_joints}'
            )
    else:
        dataset = build_dataset(args)
        poses, skeleton = read_poses(dataset), Skeleton.from_metainfo(dataset.metainfo)
    try:
        rows = scores.rows(poses, args.scores)
    except ScoreFileError as error:
        raise ValueError(f'{error}; or name the data set that was scored with --dataset') from None
    return poses, scores.scores[rows], scores.bins[rows], scores.k, skeleton, dataset


def build_dataset(args):
    """Data set of a config without its pipeline."""
    whole = Config.fromfile(args.data)
    cfg = stage_config(whole, stage_names(whole)[-1] if args.stage is None else args.stage, args.cfg_options)
    key = args.dataset or 'train_dataloader.dataset'
    found = cfg
    for part in key.split('.'):
        if isinstance(found, (list, tuple)) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, (dict, Config)) and found.get(part) is not None:
            found = found[part]
        else:
            raise ValueError(f'{args.data} has no {key}. Name a data set of it, as --dataset test_dataloader.dataset')
    while args.dataset is None and ('datasets' in found or found.get('type') == 'RepeatDataset'):
        found = found.datasets[0] if 'datasets' in found else found.dataset
    if not isinstance(found, dict) or 'type' not in found:
        raise ValueError(f'{key} in {args.data} is no data set: it has no `type`')
    if found.type.startswith('Unlabeled'):
        raise ValueError(f'{key} in {args.data} is unlabelled data; name the labelled one that was scored')
    if 'datasets' not in found and 'dataset' not in found:
        found.pipeline = []
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmposeda')):
        return DATASETS.build(found)


def draw_poses(args):
    """Draw example poses of every bin."""
    poses, scores, bins, k, skeleton, _ = read(args)
    title = f'{int((bins >= 0).sum()):,} poses in {k} bins' if args.title is None else args.title
    return bin_examples(poses.keypoints, poses.visible, scores, bins, skeleton, k, args.examples, title)


def draw_similarity(args):
    """Draw the likeness of bins."""
    poses, _, bins, k, skeleton, _ = read(args)
    triplets = angle_triplets(skeleton)
    theta, mask = pose_angles(poses.keypoints.astype(np.float64), poses.visible, triplets, args.variant == 'signed')
    mean = reference_angles(poses.keypoints.astype(np.float64), poses.visible, triplets)
    if args.save_mean:
        np.savez(args.save_mean, mean_angles=mean)
    if args.variant == 'centred':
        theta = theta - mean
    theta = np.where(mask, theta, np.nan)
    used = int((mask.all(1) & (bins >= 0)).sum())
    title = f'{used:,} of {len(bins):,} poses (with all angles)' if args.title is None else args.title
    return similarity_map(bin_similarity(theta, bins, k), f'mean cosine of joint angles ({args.variant})', title)


def draw_hardest(args):
    """Draw the hardest samples."""
    poses, scores, _, _, skeleton, dataset = read(args)
    scored = np.flatnonzero(np.isfinite(scores))
    picked = scored[np.argsort(-scores[scored], kind='stable')][: args.count]
    paths = None
    if dataset is not None and not args.no_pictures:
        parts = leaves(dataset)
        starts = np.cumsum([0, *map(len, parts)])
        where = np.searchsorted(starts, picked, side='right') - 1
        paths = [parts[p].stored(int(i - starts[p])).get('img_path') for p, i in zip(where, picked)]
        if not all(isinstance(path, str) for path in paths):
            raise ValueError(f'{type(dataset).__name__} has no picture files; draw stick figures with --no-pictures')
    title = f'the {len(picked)} hardest of {len(scored):,} poses' if args.title is None else args.title
    points, visible = poses.keypoints[picked], poses.visible[picked]
    return hardest_sheet(
        points, visible, scores[picked], skeleton, poses.ids[picked], paths, args.count, args.columns, title=title
    )


def draw_bars(args):
    """Draw a metric by bin."""
    methods = {}
    for given in args.files:
        label, equals, path = given.partition('=')
        if not (label and equals and path):
            raise ValueError(f'expected LABEL=FILE, such as RegDA=work_dirs/regda/metrics.json, got {given!r}')
        methods.setdefault(label, []).append(bin_values(path, args.metric))
    for label, rows in methods.items():
        if len({len(row) for row in rows}) > 1:
            raise ValueError(f'the files of {label} have {[len(row) for row in rows]} bins, expected the same number')
    values = {label: np.array(rows) for label, rows in methods.items()}
    return accuracy_bars(values, args.metric, args.tail, args.title or '')


def bin_values(path, metric):
    """Values of a metric by bin from a JSON file of metrics, or one with them under `metrics`."""
    try:
        content = json.loads(Path(path).read_text())
    except ValueError as error:
        raise ValueError(f'{path} is no JSON file: {error}') from None
    content = content.get('metrics', content) if isinstance(content, dict) else {}
    values, others = {}, set()
    for key, value in (content if isinstance(content, dict) else {}).items():
        match = re.fullmatch(r'(.+)_bin_(\d+)', key)
        if match:
            others.add(match[1])
            if match[1] == metric:
                values[int(match[2])] = float('nan') if value is None else float(value)
    if sorted(values) != list(range(len(values))) or not values:
        there = f'there are {", ".join(sorted(others))}' if others else 'evaluate with BinnedMetric in the config'
        raise ValueError(f'{path} has no {metric} by bin; {there}')
    return [values[j] for j in range(len(values))]


DRAW = dict(poses=draw_poses, similarity=draw_similarity, hardest=draw_hardest, bars=draw_bars)


def main(argv=None):
    """Run the command; return the path of the picture."""
    args = parse_args(argv)
    default = 'bars.png' if args.command == 'bars' else f'{Path(args.scores).with_suffix("")}_{args.command}.png'
    out = Path(args.out or default)
    try:
        figure = DRAW[args.command](args)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out)
    except (ValueError, OSError, SampleError) as error:
        raise SystemExit(f'plot_difficulty.py {args.command}: {error}') from error
    print(out)
    return out


if __name__ == '__main__':
    main()
