"""Figures on the geometric reconstruction.

    python tools/plot_reconstruction.py pairs CONFIG CHECKPOINT            # what becomes of held-out pairs
    python tools/plot_reconstruction.py quality work_dirs/both work_dirs/pseudo    # pseudo-labels over time

CONFIG is one of GeometricReconstruction, CHECKPOINT of its run. Held-out pairs are made of the test set by the rule by
which the training pairs are made of theirs; where it has no sequences, --still deforms its pictures. The folders of
quality are searched for the files of PseudoLabelQualityHook. A folder is a method, by its own name or as LABEL=FOLDER;
a label given several times stands for several seeds, and so do folders METHOD/seed_S below it, as tools/benchmarks/
makes them. Lines are means over the seeds, bands standard deviations.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import torch
from mmengine.config import DictAction
from mmengine.dataset import pseudo_collate
from mmengine.runner import load_checkpoint

import mmposeda  # noqa: F401
from mmposeda.engine.drawing import draw_to_file, read_stage, weight_names
from mmposeda.engine.label_quality import FILE_NAME
from mmposeda.registry import DATASETS, MODELS
from mmposeda.visualization import quality_curves, reconstruction_panel

PAIRS = ('PairSequenceDataset', 'SelfPairDataset')


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    pairs = commands.add_parser('pairs', help='base, driving, warped and redrawn pictures, regions, motion, trust')
    pairs.add_argument('config', help='config of GeometricReconstruction')
    pairs.add_argument('checkpoint', help='checkpoint of its run')
    pairs.add_argument('--num', type=int, default=6, help='rows')
    pairs.add_argument('--of', choices=['test', 'val', 'train'], default='test', help='set to take pairs of')
    pairs.add_argument(
        '--still', action='store_true', help='of a set without sequences: pictures and deformations of them'
    )
    pairs.add_argument('--seed', type=int, default=0, help="of the choice of driving pictures and of the pairs' views")
    pairs.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: the last)')
    pairs.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
    )
    quality = commands.add_parser('quality', help='quality of the pseudo-labels over time, a line a method')
    quality.add_argument('folders', nargs='+', metavar='[LABEL=]WORK_DIR', help='a run, or several of a benchmark')
    quality.add_argument('--group', default='', metavar='NAME', help='of joints, such as Fin (default: all joints)')
    quality.add_argument('--title', default='')
    for command in (pairs, quality):
        command.add_argument('--out', metavar='FILE', help='picture to write (default: COMMAND.png)')
    args = parser.parse_args(argv)
    if getattr(args, 'num', 1) < 1:
        parser.error(f'--num must be at least 1, got {args.num}')
    return args


@torch.no_grad()
def draw_pairs(args):
    """Draw what becomes of pairs; returns an RGB picture."""
    cfg = read_stage(args.config, args.stage, args.cfg_options)
    if cfg.model.get('reconstruction') is None:
        raise ValueError(f'the model of {args.config}, a {cfg.model.type}, has no reconstruction to show')
    if not any(key.startswith('reconstruction.') for key in weight_names(args.checkpoint)):
        raise ValueError(
            f'{args.checkpoint} has no weights reconstruction.*: give one of a run of GeometricReconstruction, after '
            'its generator was trained'
        )
    model = MODELS.build(cfg.model)
    load_checkpoint(model, args.checkpoint, map_location='cpu', logger='silent')
    pairs = DATASETS.build(pairs_config(cfg, args))
    number = min(args.num, len(pairs))
    batch = pseudo_collate([pairs[len(pairs) * i // number] for i in range(number)])
    preview = model.eval().preview_pair(model.data_preprocessor(batch, True)['inputs'])
    return reconstruction_panel(preview, pairs.metainfo)


def pairs_config(cfg, args):
    """Config of the data set of pairs.

    Raises:
        ValueError: The training data have no pairs, or there is no such set.
    """
    found = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    own = [part for part in found.get('datasets', [found]) if part.get('type') in PAIRS]
    if not own:
        raise ValueError(f'the training data of {args.config} have no {" or ".join(PAIRS)}, whose rule makes pairs')
    if args.of == 'train' and not args.still:
        return own[0]
    pictures = own[0].dataset if args.of == 'train' else (cfg.get(f'{args.of}_dataloader') or {}).get('dataset')
    if not pictures:
        raise ValueError(f'{args.config} has no {args.of}_dataloader; take other pairs with --of')
    return dict(type='SelfPairDataset', dataset=pictures) if args.still else {**own[0], 'dataset': pictures}


def draw_quality(args):
    """Draw the quality of pseudo-labels over time."""
    methods = {}
    for given in args.folders:
        label, _, folder = given.rpartition('=')
        for name, path in find_files(Path(folder), label):
            runs = methods.setdefault(name, {})
            runs.setdefault(path.resolve(), read_rows(path))
    return quality_curves({name: list(runs.values()) for name, runs in methods.items()}, args.group, args.title)


def find_files(folder, label=''):
    """Method and path of every file below a folder.

    Raises:
        ValueError: There is no folder, or no file.
    """
    if not folder.is_dir():
        raise ValueError(f'there is no folder {folder}')
    paths = sorted(folder.rglob(FILE_NAME))
    if not paths:
        raise ValueError(
            f'there is no {FILE_NAME} in {folder}: train with '
            "custom_hooks=[dict(type='PseudoLabelQualityHook', dataset=...)]"
        )
    for path in paths:
        below = path.parent.resolve().relative_to(folder.resolve()).parts
        names = [folder.resolve().name, *below]
        seeds = [i for i, name in enumerate(names) if re.fullmatch(r'seed_\d+', name)]
        if seeds and seeds[0]:
            own = names[seeds[0] - 1]
        elif seeds:
            own = folder.resolve().parent.name
        else:
            own = names[0] if len(paths) == 1 else '/'.join(names)
        yield label or own, path


def read_rows(path):
    """Measurements in a file.

    Raises:
        ValueError: It is none of the hook's.
    """
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        if not rows or not all(isinstance(row['iter'], int) for row in rows):
            raise ValueError('no `iter` in a line' if rows else 'it is empty')
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{path} is no file of PseudoLabelQualityHook: {error}') from None
    return rows


def main(argv=None):
    """Run the command; return the path of the picture."""
    args = parse_args(argv)
    out = Path(args.out or f'{args.command}.png')
    draw = dict(pairs=draw_pairs, quality=draw_quality)[args.command]
    draw_to_file(f'plot_reconstruction.py {args.command}', lambda: draw(args), out, getattr(args, 'seed', 0))
    print(out)
    return out


if __name__ == '__main__':
    main()
