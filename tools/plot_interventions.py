"""Figures and numbers of generative causal interventions.

    python tools/plot_interventions.py CONFIG CHECKPOINT --out DIR

CONFIG is one of CausalIntervention and CHECKPOINT of its run: DIR gets features.png (features of some poses under many
nuisances, in the plane), reconstructions.png (what the autoencoder keeps of pictures of every data set),
sensitivity.png (how far predicted poses move with the nuisance) and interventions.json, the numbers that are printed
too. Pictures are those of the training data, by their own pipelines, drawn with a fixed seed.

Of a checkpoint without a generator, such as one of SourceOnly, DDC, DAN or DANN, or of a stage before, there is but the
accuracy of a linear probe that tells labelled from unlabelled pictures by their features (0.5 is chance). --of test
compares the labelled pictures with those of the test set in place of the training's unlabelled ones, also for
generalisation, whose training has seen none of them; they go through the pipeline of the unlabelled pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from mmengine.config import DictAction

import mmposeda  # noqa: F401
from mmposeda.engine.drawing import draw_and_write, load_weights, read_stage, weight_names
from mmposeda.engine.interventions import check_model, draw_pictures, intervenes, look, measure, reconstructions
from mmposeda.registry import DATASETS, MODELS
from mmposeda.visualization import feature_map, reconstruction_rows, sensitivity_figure

MEANINGS = dict(
    domain_accuracy='of a linear probe, labelled against other pictures; 0.5 is chance',
    error_mm='mean distance of predictions of one pose under two nuisances, mm',
    silhouette='of generated features by pose; above 0: poses keep apart',
    within='mean distance of generated features of one pose',
    between='mean distance of generated features of two poses',
    pose_leak='R^2 of poses by the nuisances of their pictures; 0: none leaks',
)


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of an adapter')
    parser.add_argument('checkpoint', help='checkpoint of its run')
    parser.add_argument('--out', default='interventions', metavar='DIR', help='folder to write (default: %(default)s)')
    parser.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: the last)')
    parser.add_argument('--of', choices=['train', 'test', 'val'], default='train', help='set of the other pictures')
    parser.add_argument('--num-pictures', type=int, default=256, help='of each kind (default: %(default)s)')
    parser.add_argument('--num-poses', type=int, default=6, help='poses, 2 to 8 (default: %(default)s)')
    parser.add_argument('--num-nuisances', type=int, default=100, help='nuisances of each pose (default: %(default)s)')
    parser.add_argument('--num-columns', type=int, default=8, help='pictures in a row (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help="of the pictures' pipelines, the nuisances and the map")
    parser.add_argument('--title', default='', help='above the figures')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
    )
    args = parser.parse_args(argv)
    least = dict(num_pictures=10, num_poses=2, num_nuisances=2, num_columns=1, seed=0)
    for name, bound in least.items():
        if getattr(args, name) < bound:
            parser.error(f'--{name.replace("_", "-")} must be at least {bound}, got {getattr(args, name)}')
    if args.num_poses > 8:
        parser.error(f'--num-poses must be at most 8, which have a colour each, got {args.num_poses}')
    return args


def load_model(cfg, args):
    """Model of a config with the weights of the checkpoint, and whether they hold a generator.

    Raises:
        ValueError: The checkpoint lacks weights that are needed.
        TypeError: The model is no adapter.
    """
    if not cfg.get('model'):
        raise ValueError(f'{args.config} has no model')
    model = MODELS.build(cfg.model)
    check_model(model, 'plot_interventions.py')
    generated = intervenes(model) and any(key.startswith('generator.') for key in weight_names(args.checkpoint))
    parts = ('student.', 'generator.', 'vae.') if generated else ('student.',)
    load_weights(model, args.checkpoint, args.config, parts)
    return model.eval(), generated


def data_config(cfg, args):
    """Config of the training data, with another set in place of the unlabelled parts where --of says so.

    Raises:
        ValueError: There is no such set, or no unlabelled part.
    """
    found = (cfg.get('train_dataloader') or {}).get('dataset')
    if not found:
        raise ValueError(f'{args.config} has no train_dataloader with a dataset')
    parts = found.get('datasets', [found])
    others = [part for part in parts if part.type == 'UnlabeledDataset']
    if args.of == 'train':
        return found
    pictures = (cfg.get(f'{args.of}_dataloader') or {}).get('dataset')
    if not pictures:
        raise ValueError(f'{args.config} has no {args.of}_dataloader; take other pictures with --of')
    if not others:
        raise ValueError(
            f'the training data of {args.config} have no UnlabeledDataset, whose pipeline is for pictures without '
            'labels: take those of training with --of train'
        )
    other = dict(others[0], dataset=dict(pictures, pipeline=others[0].dataset.pipeline))
    return dict(found, datasets=[*(part for part in parts if part not in others), other])


def draw(args):
    """Numbers, and figures by their names."""
    cfg = read_stage(args.config, args.stage, args.cfg_options)
    model, generated = load_model(cfg, args)
    dataset = DATASETS.build(data_config(cfg, args))
    pictures = draw_pictures(dataset, args.num_pictures, args.seed)
    if all(pictures.labelled):
        raise ValueError(
            f'the training data of {args.config} have no unlabelled part to tell from the labelled one: name a stage '
            'that has one with --stage'
        )
    found = look(model, pictures, args.num_poses, args.num_nuisances, args.seed, intervene=generated)
    numbers, figures = measure(found), {}
    if generated:
        poses, info = dict(poses=found.truth, visible=found.visible), dataset.metainfo
        figures['features'] = feature_map(found.generated, metainfo=info, seed=args.seed, title=args.title, **poses)
        kept = reconstructions(model, pictures, args.num_columns)
        figures['reconstructions'] = reconstruction_rows(kept, title=args.title)
        if found.predicted is not None:
            figures['sensitivity'] = sensitivity_figure(found.predicted, metainfo=info, title=args.title, **poses)
    return numbers, figures


def main(argv=None):
    """Run the command; return the folder and the numbers."""
    args = parse_args(argv)
    out = Path(args.out)
    numbers, figures = draw_and_write('plot_interventions.py', lambda: draw(args), out, 'interventions', args.seed)
    for name, value in numbers.items():
        print(f'{name:16}{value:9.3f}  {MEANINGS[name]}')
    if not figures:
        print(f'{args.checkpoint} has no weights generator.*: there is nothing to draw, and but the probe to measure')
    for name in figures:
        print(out / f'{name}.png')
    return out, numbers


if __name__ == '__main__':
    main()
