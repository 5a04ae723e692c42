"""Figures on the augmentation of poses.

    python tools/plot_poseaug.py augmentations CONFIG CHECKPOINT           # source poses, each step and the projection
    python tools/plot_poseaug.py distributions CONFIG CHECKPOINT           # views and bone angles before and after
    python tools/plot_poseaug.py errors work_dirs/cmu_walk2others --apart walk       # a metric by test set

CONFIG is one of PoseAug, CHECKPOINT of its run; the random control needs none. Poses are the training data's, in
batches as in training, with their own bone lengths (PoseAug exchanges them within a batch). The folders of errors are
searched for the result.json files of tools/benchmarks/adaptation.py; methods named NETWORK_VARIANT get a panel a
network. Bars are means over the seeds, whiskers standard deviations.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope

import mmposeda  # noqa: F401
from mmposeda.datasets.lifting import LiftingDataset
from mmposeda.datasets.lifting_streams import PoseStreams
from mmposeda.datasets.transforms.trained_augmentor import PREFIX, build_augmentor
from mmposeda.engine.checkpoints import check, read
from mmposeda.engine.failures import MENDABLE
from mmposeda.engine.stages import stage_config, stage_names
from mmposeda.registry import DATASETS, MODELS
from mmposeda.structures.lifting_camera import in_view, project_h36m
from mmposeda.visualization import augmentation_sheet, distribution_figure, error_by_action

#: Orders of the benchmark; what else there is follows by name
NETWORKS, VARIANTS = ('vpose', 'mlp', 'gcn', 'stgcn'), ('supervised', 'random', 'no_feedback', 'poseaug')
#: Poses that are made for one in the picture before giving up
TRIES = 50


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    sheet = commands.add_parser('augmentations', help='source poses, each step of their augmentation, the projection')
    sheet.add_argument('--num', type=int, default=6, help='rows')
    spread = commands.add_parser('distributions', help='views and bone angles before and after, and of the test sets')
    spread.add_argument('--num', type=int, default=2000, help='poses of each set')
    spread.add_argument('--sets', nargs='+', metavar='NAME', help='test sets to show (default: all)')
    errors = commands.add_parser('errors', help='a metric by test set, for several methods side by side')
    errors.add_argument('folders', nargs='+', type=Path, metavar='WORK_DIR', help="the benchmark's, or some runs'")
    errors.add_argument('--metric', default='MPJPE', help='of LiftingMetric, such as PA-MPJPE or PCK@150')
    errors.add_argument('--within', metavar='SET', help='by action of this test set (needs per_action in the metric)')
    errors.add_argument('--sets', nargs='+', metavar='NAME', help='test sets or actions to show, in this order')
    errors.add_argument('--apart', nargs='+', default=[], metavar='NAME', help='first, and not in the means')
    errors.add_argument('--networks', nargs='+', metavar='NAME', help='panels to show, in this order')
    errors.add_argument('--variants', nargs='+', metavar='NAME', help='bars to show, in this order')
    for command in (sheet, spread):
        command.add_argument('config', help='config of PoseAug or of its random control')
        command.add_argument('checkpoint', nargs='?', help='checkpoint of its run')
        command.add_argument('--seed', type=int, default=0, help='of the choice of poses and of the augmentation')
        command.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: the last)')
        command.add_argument(
            '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
        )
    for command in (sheet, spread, errors):
        command.add_argument('--out', metavar='FILE', help='picture to write (default: COMMAND.png)')
        command.add_argument('--title', default=None)
    args = parser.parse_args(argv)
    if getattr(args, 'num', 1) < 1:
        parser.error(f'--num must be at least 1, got {args.num}')
    return args


class Augmentation:
    """The training data of a config, and the augmentor of a checkpoint as in training.

    Args:
        cfg (Config): Of a stage.
        args: The command line.

    Attributes:
        pairs (LiftingDataset): The poses.
        made, seen (int): How many were augmented, and how many of them lie in the picture.

    Raises:
        ValueError: The config has no augmentor, or no data for it; what else the data and the checkpoint give rise to.
    """

    def __init__(self, cfg, args):
        config, data = cfg.model.get('augmentor'), cfg.get('train_dataloader')
        if config is None or not data:
            lacking = 'train_dataloader' if config else f'augmentor in its model, a {cfg.model.type}'
            raise ValueError(f'{args.config} has no {lacking}: give a config of PoseAug or of its random control')
        self.pairs = PoseStreams(data.dataset.get('dataset', data.dataset)).datasets[0]
        quotas = (data.get('sampler') or {}).get('quotas') or [0]
        self.size = min(len(self.pairs), quotas[0] or data.batch_size)
        skeleton, checkpoint = self.pairs.skeleton, args.checkpoint
        if checkpoint is not None:
            check(checkpoint)
            if not MODELS.build({'skeleton': skeleton, **config}).state_dict() and not has_augmentor(checkpoint):
                checkpoint = None  # of a run of the random control
        self.augmentor = build_augmentor(config, checkpoint, skeleton).train()
        self.rng = np.random.default_rng(args.seed)
        self.made = self.seen = 0

    @torch.no_grad()
    def batch(self):
        """Examples for ``augmentation_sheet``, and which of them lie in the picture (B,)."""
        rows = self.rng.choice(len(self.pairs), self.size, replace=False)
        source = self.pairs.__getitems__(rows)['inputs']
        pose = self.augmentor(source['pose'])
        points = project_h36m(pose.rt, source['camera'])
        seen = in_view(pose.rt, points, source['aspect'])
        self.made, self.seen = self.made + len(seen), self.seen + int(seen.sum())
        examples = dict(source=source['pose'], ba=pose.ba, bl=pose.bl, rt=pose.rt, projected=points)
        return dict(**examples, aspect=source['aspect']), seen


def has_augmentor(checkpoint):
    """Whether there are weights of an augmentor in a checkpoint."""
    return any(key.startswith(PREFIX) for key in read(checkpoint).get('state_dict', ()))


def config_of(args):
    """Config of the stage."""
    whole = Config.fromfile(args.config)
    return stage_config(whole, stage_names(whole)[-1] if args.stage is None else args.stage, args.cfg_options)


def title_of(args, what=''):
    """The one that is asked for, or which checkpoint of which run it is."""
    names = [Path(args.config).stem, *([Path(args.checkpoint).name] if args.checkpoint else [])]
    return f'{", ".join(names)}{what}' if args.title is None else args.title


def draw_augmentations(args):
    """Draw single poses."""
    augmentation = Augmentation(config_of(args), args)
    batches = [augmentation.batch()[0] for _ in range(0, args.num, augmentation.size)]
    examples = {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}
    return augmentation_sheet(examples, augmentation.pairs.metainfo, args.num, title_of(args))


def draw_distributions(args):
    """Draw how poses are spread."""
    cfg = config_of(args)
    augmentation, tests, kept = Augmentation(cfg, args), test_sets(cfg, args), []
    while augmentation.seen < args.num and augmentation.made < TRIES * args.num:
        examples, seen = augmentation.batch()
        kept.append(examples['rt'][seen].numpy())
    if not augmentation.seen:
        raise ValueError(f'none of {augmentation.made:,} augmented poses lies in the picture: train the augmentor on')
    sets = dict(source=some(augmentation.pairs, args), augmented=np.concatenate(kept)[: args.num])
    sets.update({name: some(part, args) for name, part in tests.items()})
    share = 100 * augmentation.seen / augmentation.made
    title = title_of(args, f': {share:.0f} % of the augmented poses lie in the picture and are shown')
    return distribution_figure(sets, augmentation.pairs.skeleton, 'augmented', title=title)


def test_sets(cfg, args):
    """Name -> data set, of the test sets of a config."""
    found = (cfg.get('test_dataloader') or {}).get('dataset')
    parts = found.get('datasets') if found else {}
    parts = {name: part for name, part in parts.items() if part} if isinstance(parts, dict) else dict(test=found)
    names = chosen_names('test set', parts, args.sets, args.config)
    built = {name: DATASETS.build(parts[name]) for name in names}
    for name, part in built.items():
        if not isinstance(part, LiftingDataset):
            raise ValueError(f'test set {name!r} of {args.config} is a {type(part).__name__}, expected 2D-3D poses')
    return built


def some(dataset, args):
    """Some poses (n, J, 3) of a data set, NaN where a joint is not to be counted."""
    number = min(args.num, len(dataset))
    rows = np.sort(np.random.default_rng(args.seed).choice(len(dataset), number, replace=False))
    poses = dataset.poses[rows]
    return poses if dataset.visible is None else np.where(dataset.visible[rows, :, None], poses, np.nan)


def draw_errors(args):
    """Draw a metric by test set."""
    results = read_results(args)
    where = ' '.join(map(str, args.folders))
    prefix = f'{args.metric}/{args.within}/' if args.within else f'{args.metric}/'
    values = {method: {s: by_set(metrics, prefix) for s, metrics in runs.items()} for method, runs in results.items()}
    there = list(dict.fromkeys(name for runs in values.values() for run in runs.values() for name in run))
    if not there:
        known = sorted({key for runs in results.values() for metrics in runs.values() for key in metrics})
        raise ValueError(f'no result in {where} has {prefix}..., but {", ".join(known) or "nothing"}')
    what = 'action' if args.within else 'test set'
    chosen_names(what, there, args.apart, where)
    shown = chosen_names(what, there, args.sets, where)
    sets = [*args.apart, *(name for name in shown if name not in args.apart)]

    split = {method: method.partition('_')[::2] if '_' in method else ('', method) for method in values}
    networks = chosen_names('network', [network for network, _ in split.values()], args.networks, where, NETWORKS)
    variants = chosen_names('variant', [variant for _, variant in split.values()], args.variants, where, VARIANTS)
    panels, seeds = {}, set()
    for network in networks:
        of = {variant: values[method] for method, (own, variant) in split.items() if own == network}
        bars = {variant: of[variant] for variant in variants if variant in of}
        seeds.update(tuple(sorted(runs)) for runs in bars.values())
        if bars:
            panels[network] = {
                variant.replace('_', ' '): np.array([[run.get(name, np.nan) for name in sets] for run in runs.values()])
                for variant, runs in bars.items()
            }
    if not panels:
        raise ValueError(f'no method in {where} is one of networks {", ".join(networks)} and {", ".join(variants)}')
    unit = 'mm' if args.metric.endswith('MPJPE') else '%'
    title = title_of_seeds(seeds) if args.title is None else args.title
    return error_by_action(panels, sets, f'{args.metric} ({unit})', title, len(args.apart))


def read_results(args):
    """Method -> seed -> metrics, of all result files below the folders."""
    found, results = {}, {}
    for folder in args.folders:
        if not folder.is_dir():
            raise ValueError(f'there is no folder {folder}')
        for path in sorted(folder.rglob('result.json')):
            try:
                content = json.loads(path.read_text())
                run, metrics = (content['method'], content['seed']), dict(content['metrics'])
            except (ValueError, TypeError, KeyError) as error:
                reason = f'it has no {error}' if isinstance(error, KeyError) else error
                raise ValueError(f'{path} is no result of tools/benchmarks/adaptation.py: {reason}') from None
            if found.setdefault(run, path.resolve()) != path.resolve():
                raise ValueError(f'{path} and {found[run]} are both of {run[0]}, seed {run[1]}: give one of the two')
            results.setdefault(run[0], {})[run[1]] = metrics
    if not results:
        raise ValueError(
            f'there is no result.json in {" or ".join(map(str, args.folders))}; tools/benchmarks/adaptation.py writes '
            'them to METHOD/seed_S in its --work-dir'
        )
    return results


def by_set(metrics, prefix):
    """Name -> value of what is told by test set, or by action, and is no mean over them."""
    named = {re.fullmatch(rf'(?:.+/)?{re.escape(prefix)}([^/]+)', key): value for key, value in metrics.items()}
    return {found[1]: value for found, value in named.items() if found and found[1] not in ('frames', 'actions')}


def title_of_seeds(seeds):
    """What bars and whiskers are, from the seeds of each method."""
    if len(seeds) > 1:
        numbers = sorted(map(len, seeds))
        return f'mean and standard deviation over {numbers[0]} to {numbers[-1]} seeds'
    (seeds,) = seeds
    names = ', '.join(map(str, seeds))
    return f'mean and standard deviation over seeds {names}' if len(seeds) > 1 else f'seed {names}'


def chosen_names(what, there, wanted, where, first=()):
    """``wanted``, or else what is there, in the order of ``first`` and then its own.

    Raises:
        ValueError: Something is not there.
    """
    there = list(dict.fromkeys(there))
    missing = [name for name in wanted or () if name not in there]
    if missing:
        raise ValueError(f'there is no {what} {missing[0]!r} in {where}, but {", ".join(there) or "none"}')
    if wanted is not None:
        return list(dict.fromkeys(wanted))
    return [name for name in first if name in there] + [name for name in there if name not in first]


DRAW = dict(augmentations=draw_augmentations, distributions=draw_distributions, errors=draw_errors)


def main(argv=None):
    """Run the command; return the path of the picture."""
    args = parse_args(argv)
    out = Path(args.out or f'{args.command}.png')
    try:
        with DefaultScope.overwrite_default_scope('mmposeda'), torch.random.fork_rng(devices=[]):
            torch.manual_seed(getattr(args, 'seed', 0))
            figure = DRAW[args.command](args)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out)
    except (*MENDABLE, ValueError, TypeError, OSError) as error:
        raise SystemExit(f'plot_poseaug.py {args.command}: {error}') from error
    print(out)
    return out


if __name__ == '__main__':
    main()
