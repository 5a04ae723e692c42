"""Figures of what an adaptation does, drawn of a checkpoint and the training data of its run.

    python tools/plot_adaptation.py views CONFIG CHECKPOINT                    # UDAPE: what student and teacher see
    python tools/plot_adaptation.py labels CONFIG CHECKPOINT                   # CC-SSL: pseudo-labels by confidence
    python tools/plot_adaptation.py maps CONFIG CHECKPOINT --joint NAME        # RegDA: maps of both heads
    python tools/plot_adaptation.py features before=CONFIG CHECKPOINT after=CONFIG CHECKPOINT    # DDC, DAN, DANN, any

views has a row a picture: source, source painted as the target, target, teacher's view, student's view with a frame
around what hides a joint from it, and the pseudo-labels there, green if kept and red if thrown away. labels shows the
target pictures whose pseudo-labels are the surest, in the middle and the least sure, and a histogram of confidence.
maps has a joint's map by the main and by the adversarial head, and what the latter is driven towards. features draws
pooled backbone features of source and target pictures, each model in a plane of its own, with the accuracy of a linear
probe that tells the domains apart. It needs but the weights of the estimator: of source-only training, of the stage
before or of another method, give the checkpoint with the config of an adaptation, whose training data has both domains.

No label of the target is read. The weights are those of the checkpoint, as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from mmengine.config import DictAction

import mmposeda  # noqa: F401
from mmposeda.engine.adaptation import domain_features, head_maps, preview, pseudo_labels
from mmposeda.engine.drawing import draw_to_file, load_weights, read_stage
from mmposeda.engine.interventions import check_model
from mmposeda.registry import DATASETS, MODELS
from mmposeda.visualization import adaptation_panel, domain_maps, label_sheet, map_panel
from mmposeda.visualization.plane import METHODS


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    views = kinds.add_parser('views', help='what student and teacher see, and the pseudo-labels')
    labels = kinds.add_parser('labels', help='pseudo-labels of the whole target by their confidence')
    maps = kinds.add_parser('maps', help='maps of a joint by the main and the adversarial head')
    features = kinds.add_parser('features', help='features of both domains, a panel a model')
    for kind in (views, labels, maps):
        kind.add_argument('config', help='config of an adapter')
        kind.add_argument('checkpoint', help='checkpoint of its run')
    features.add_argument(
        'runs', nargs='+', metavar='[LABEL=]CONFIG CHECKPOINT', help='models, each by config and checkpoint'
    )
    views.add_argument('--num', type=int, default=4, help='rows (default: %(default)s)')
    views.add_argument(
        '--num-pictures', type=int, default=32, help='of each domain in the step that is shown (default: %(default)s)'
    )
    labels.add_argument('--num', type=int, default=6, help='pictures in a row (default: %(default)s)')
    maps.add_argument('--num', type=int, default=4, help='rows (default: %(default)s)')
    maps.add_argument('--joint', required=True, metavar='NAME', help='joint whose maps are drawn, such as left_wrist')
    for kind, cell in ((views, 150), (maps, 220)):
        kind.add_argument('--cell', type=int, default=cell, help='width of a picture, pixels (default: %(default)s)')
    features.add_argument('--num-pictures', type=int, default=256, help='of each domain (default: %(default)s)')
    features.add_argument('--by', choices=METHODS, default='tsne', help='way into the plane (default: %(default)s)')
    for kind in (labels, features):
        kind.add_argument('--title', default='', help='above the figure')
    for name, kind in kinds.choices.items():
        kind.add_argument(
            '--out', default=f'{name}.png', metavar='FILE', help='picture to write (default: %(default)s)'
        )
        kind.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: the last)')
        kind.add_argument('--seed', type=int, default=0, help='of all that is drawn at random')
        kind.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
        kind.add_argument(
            '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
        )
    args = parser.parse_args(argv)
    for name, least in dict(num=1, num_pictures=5, cell=16, seed=0).items():
        if getattr(args, name, least) < least:
            parser.error(f'--{name.replace("_", "-")} must be at least {least}, got {getattr(args, name)}')
    if len(getattr(args, 'runs', ())) % 2:
        parser.error(f'features wants pairs of CONFIG CHECKPOINT, got {len(args.runs)} paths')
    return args


def read(args, config, checkpoint, needed=None):
    """Model of a config with the weights of the checkpoint, and the data set of its training.

    Args:
        args: Of the command line.
        config (str): Path.
        checkpoint (str): Path.
        needed (Callable, optional): Gives how the names of the weights begin that the model must get; all by default.

    Raises:
        ValueError: There is no model or no training data, or the checkpoint lacks weights.
    """
    cfg = read_stage(config, args.stage, args.cfg_options)
    found = (cfg.get('train_dataloader') or {}).get('dataset')
    for name, value in (('model', cfg.get('model')), ('train_dataloader with a dataset', found)):
        if not value:
            raise ValueError(f'{config} has no {name}')
    model = MODELS.build(cfg.model)
    check_model(model, f'plot_adaptation.py {args.kind}')
    load_weights(model, checkpoint, config, *([needed(model)] if needed else []))
    return model.to(args.device).eval(), DATASETS.build(found)


def draw_views(args):
    """RGB picture of what one step shows."""
    model, dataset = read(args, args.config, args.checkpoint)
    shown, pre = preview(model, dataset, args.num_pictures, args.seed), model.data_preprocessor
    return adaptation_panel(shown, pre.mean, pre.std, dataset.metainfo['skeleton_links'], args.num, args.cell)


def draw_labels(args):
    """Figure of pseudo-labels by confidence."""
    model, dataset = read(args, args.config, args.checkpoint)
    groups = pseudo_labels(model, dataset, args.num)
    table = model.table
    return label_sheet(groups, table.confidence.cpu(), table.keep.cpu(), dataset.metainfo, args.title)


def draw_maps(args):
    """RGB picture of maps of both heads."""
    model, dataset = read(args, args.config, args.checkpoint)
    return map_panel(head_maps(model, dataset, args.joint, args.num, args.seed), args.joint, args.cell)


def draw_features(args):
    """Figure of features of both domains."""
    found = {}
    for given, checkpoint in zip(args.runs[::2], args.runs[1::2]):
        label, _, config = given.rpartition('=')
        model, dataset = read(args, config, checkpoint, lambda model: [f'{model.predict_with}.'])
        label = label or f'{type(model).__name__}, {Path(checkpoint).stem}'
        if label in found:
            raise ValueError(f'two models are named {label!r}: give each its own as LABEL=CONFIG')
        found[label] = domain_features(model, dataset, args.num_pictures, args.seed)
        print(f'{label}: a linear probe tells {100 * found[label].accuracy:.1f} % of the pictures right')
    return domain_maps(found, args.by, seed=args.seed, title=args.title)


def main(argv=None):
    """Run the command; return the path of the picture."""
    args = parse_args(argv)
    out = Path(args.out)
    draw = dict(views=draw_views, labels=draw_labels, maps=draw_maps, features=draw_features)[args.kind]
    draw_to_file(f'plot_adaptation.py {args.kind}', lambda: draw(args), out, args.seed)
    print(out)
    return out


if __name__ == '__main__':
    main()
