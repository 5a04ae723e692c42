"""Figures and numbers of non-local relation distillation.

    python tools/plot_relations.py CONFIG CHECKPOINT --out DIR

CONFIG is one of RelationDistillation and CHECKPOINT of its run. DIR gets

- relation_pairs.png: pictures and clips of the unlabelled videos, their poses, and these after each relation, by the
  relation network and by way of the pictures, which should agree;
- latent_walks.png: lines through the spaces of poses and motions;
- predictions.png: poses of test pictures, from two sides and beside the true ones where they are known; without a
  test_dataloader, of frames of the videos;
- non_localness.png: how far relations lead in these spaces, for turns from 0 to 180 degrees;
- relations.json: the numbers of the last one, and how widely latents are spread.

Unlabelled videos are those of the training data with the longest clips. Motion capture is that of mocap_dataset, a
MocapMotionDataset at the top level of the config, seen from all around and with random tilt as in training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate

import mmposeda  # noqa: F401
from mmposeda.engine.drawing import draw_and_write, load_weights
from mmposeda.engine.interventions import spaced
from mmposeda.engine.relation_examples import latent_walks, predictions, relation_pairs
from mmposeda.engine.relations import latent_spread, non_localness, predicted_non_localness
from mmposeda.engine.stages import stage_config, stage_names
from mmposeda.models.motion_views import MotionViews
from mmposeda.registry import DATASETS, MODELS
from mmposeda.structures.relations import Relation
from mmposeda.visualization import non_localness_figure, prediction_sheet, relation_sheet, walk_sheet

#: Turns whose distances are drawn, degrees.
ANGLES = (0, 5, 10, 25, 50, 75, 100, 125, 150, 180)
PARTS = ('student.', 'motion.', 'relations.')


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of RelationDistillation')
    parser.add_argument('checkpoint', help='checkpoint of its run')
    parser.add_argument('--out', default='relations', metavar='DIR', help='folder to write (default: %(default)s)')
    parser.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: adapt, else the last)')
    parser.add_argument('--num', type=int, default=6, help='columns, and rows of predictions (default: %(default)s)')
    parser.add_argument('--num-clips', type=int, default=16, help='videos to predict (default: %(default)s)')
    parser.add_argument('--num-motions', type=int, default=512, help='windows of motion capture (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of views of motion capture, lines and random pairs')
    parser.add_argument('--title', default='', help='above the figures')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
    )
    args = parser.parse_args(argv)
    for name, bound in dict(num=2, num_clips=2, num_motions=2, seed=0).items():
        if getattr(args, name) < bound:
            parser.error(f'--{name.replace("_", "-")} must be at least {bound}, got {getattr(args, name)}')
    return args


def load_model(cfg, args):
    """Model of a config with the weights of the checkpoint.

    Raises:
        ValueError: The checkpoint lacks weights that are needed.
        TypeError: The model is no RelationDistillation.
    """
    model = MODELS.build(cfg.model) if cfg.get('model') else None
    if not hasattr(model, 'relation_list'):
        raise TypeError(
            f'needs a RelationDistillation, got {type(model).__name__} of {args.config}: name its stage with --stage'
        )
    load_weights(model, args.checkpoint, args.config, PARTS)
    return model.to(args.device).eval()


def draw_clips(cfg, args, model):
    """Normalised clips (N, F, 3, h, w) of the unlabelled videos, long enough for all relations.

    Raises:
        ValueError: The training data have none.
    """
    found = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    parts = [part for part in found.get('datasets', [found]) if part.get('type') == 'UnlabeledVideoDataset']
    if not parts:
        raise ValueError(
            f'the training data of {args.config} have no UnlabeledVideoDataset: name the stage that has one with '
            '--stage'
        )
    needed = [relation.window(model.frames) for relation in model.relation_list if relation.level == 'motion']
    part = max(parts, key=lambda part: part.get('frames', 0))
    dataset = DATASETS.build({**part, 'frames': max(part.get('frames', 1), *needed, 1)})
    samples = [dataset[index] for index in spaced(len(dataset), args.num_clips)]
    return model.data_preprocessor(pseudo_collate(samples), True)['inputs']['clip']


def draw_motions(cfg, args, model):
    """Windows of motion capture (N, 2 T, J, 3), mm, in random views, and the meta info of the joints.

    Raises:
        ValueError: The config names none.
    """
    if not cfg.get('mocap_dataset'):
        raise ValueError(
            f'{args.config} has no mocap_dataset: set it at the top level to a MocapMotionDataset, such as that of '
            'the stages before'
        )
    dataset = DATASETS.build({**cfg.mocap_dataset, 'frames': 2 * model.frames})
    motions = dataset.__getitems__(spaced(len(dataset), args.num_motions))['inputs']['motion']
    return MotionViews(model.pose.kinematics.skeleton)(motions), dataset.metainfo


def draw_tests(cfg, args, model, clips):
    """Predictions of test pictures; of frames of the videos where there are none."""
    found = (cfg.get('test_dataloader') or {}).get('dataset')
    if not found:
        return predictions(model, model.seen(clips[spaced(len(clips), args.num), clips.shape[1] // 2]))
    dataset = DATASETS.build(found)
    samples = [dataset[index] for index in spaced(len(dataset), args.num)]
    data = model.data_preprocessor(pseudo_collate(samples), False)
    return predictions(model, data['inputs'], data['data_samples'])


def sweep():
    """Names of the relations whose distances are drawn."""
    for angle in ANGLES:
        yield from (f'inplane({angle})', f'flip_inplane({angle})') if angle else ('identity', 'flip')
        yield from (f'{turn}_backward({angle})' for turn in ('inplane', 'flip_inplane') if angle)
    yield from ('backward', 'flip_backward', 'slow_backward')


def measure(model, clips, motions, seed):
    """Distances in the latent spaces and on predictions, and the spread of latents.

    Both distances are relative to random pairs of motion capture: those of predictions shrink as these collapse.
    """
    own = {relation.name: relation for relation in model.relation_list}
    every = {**{name: Relation.parse(name) for name in sweep()}, **own}
    clips_of = dict(pose=motions[:, :: model.frames], motion=motions)  # neighbours in time are nearly one pose
    numbers = dict(mocap={}, predictions={}, spread={})
    for name, relation in every.items():
        given = clips_of[relation.level]
        found = non_localness(model.pose, model.motion, relation, given, model.frames, seed=seed)
        numbers['mocap'][name] = dict(distance=found.distance, random=found.random, relative=found.relative)
    for name, relation in own.items():
        found = predicted_non_localness(
            model.latents, model.motion, relation, clips, model.size, model.frames, seed=seed
        )
        relative = found.distance / numbers['mocap'][name]['random']
        numbers['predictions'][name] = dict(distance=found.distance, random=found.random, relative=relative)
    with torch.no_grad():
        numbers['spread']['mocap'] = float(latent_spread(model.pose.encode(motions[:, 0].to(clips.device))))
        shown = model.seen(clips[:, clips.shape[1] // 2])
        numbers['spread']['predictions'] = float(latent_spread(model.latents(shown)))
    return numbers


def draw(args):
    """Numbers, and figures by their names."""
    whole = Config.fromfile(args.config)
    names = stage_names(whole)
    stage = ('adapt' if 'adapt' in names else names[-1]) if args.stage is None else args.stage
    cfg = stage_config(whole, stage, args.cfg_options)
    model = load_model(cfg, args)
    motions, info = draw_motions(cfg, args, model)
    clips = draw_clips(cfg, args, model)
    numbers = measure(model, clips, motions, args.seed)

    pairs, heads = {}, {}
    for relation in model.relation_list:
        pairs[relation.name], heads[relation.name] = relation_pairs(model, relation, clips, args.num)
    picked = motions[spaced(len(motions), 5), : model.frames]
    walks = latent_walks(model.pose, model.motion, picked, steps=args.num + 1, seed=args.seed)
    shown = draw_tests(cfg, args, model, clips)
    relative = {
        what: {name: row['relative'] for name, row in numbers[what].items()} for what in ('mocap', 'predictions')
    }
    figures = dict(
        relation_pairs=relation_sheet(pairs, info, heads, args.title),
        latent_walks=walk_sheet(walks.walks, info, walks.heads, args.title),
        predictions=prediction_sheet(shown.pictures, shown.poses, info, shown.truth, shown.points, title=args.title),
        non_localness=non_localness_figure(relative['mocap'], pairs, relative['predictions'], args.title),
    )
    return numbers, figures


def main(argv=None):
    """Run the command; return the folder and the numbers."""
    args = parse_args(argv)
    out = Path(args.out)
    numbers, figures = draw_and_write('plot_relations.py', lambda: draw(args), out, 'relations', args.seed)
    print(f'{"distance of related latents (1: random pairs of motion capture)":64}  mocap  predictions')
    for name, row in numbers['predictions'].items():
        print(f'{name:64}{numbers["mocap"][name]["relative"]:7.3f}{row["relative"]:13.3f}')
    spread = numbers['spread']
    print(f'{"spread of pose latents":64}{spread["mocap"]:7.3f}{spread["predictions"]:13.3f}')
    for name in figures:
        print(out / f'{name}.png')
    return out, numbers


if __name__ == '__main__':
    main()
