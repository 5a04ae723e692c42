"""Train on rendered people, adapt to unlabelled pictures of another look, show the gain in numbers and pictures.

Runs the project's own commands one after another: tools/render_people.py for the data, tools/train.py for the stages of
the config. What is done already is not repeated, so a demo that was stopped goes on when started again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mmposeda.engine.commands import run_tool, shorten_render, shorten_train  # noqa: E402

COLUMNS = {'source_only': 'source-only', 'udape': 'adapted (UDAPE)'}
THRESHOLDS = ('0.05', '0.1', '0.2')


def parse_args(argv=None):
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', default=str(ROOT / 'configs' / 'demo' / 'clean2shifted_96x96.py'))
    parser.add_argument('--work-dir', help="folder for everything it writes (default: the config's)")
    parser.add_argument(
        '--seed', type=int, default=0, help='other people and another training; needs its own --work-dir'
    )
    parser.add_argument('--workers', type=int, default=min(2, os.cpu_count() or 1), help='rendering processes')
    parser.add_argument('--samples', type=int, default=6, help='rows of the panel')
    return parser.parse_args(argv)


def prepare(args):
    """Write the run's config, with its own seed and folders, to its work_dir; return both."""
    from mmengine.config import Config

    cfg = Config.fromfile(args.config)
    work_dir = Path(args.work_dir or cfg.work_dir).resolve()
    data = f'{work_dir / "data"}/'
    _replace(cfg._cfg_dict, cfg.data_root, data)
    cfg.work_dir = str(work_dir)
    cfg.randomness = dict(seed=args.seed)
    for render in cfg.renders.values():
        render.seed += 1000 * args.seed
    work_dir.mkdir(parents=True, exist_ok=True)
    path = work_dir / 'demo.py'
    cfg.dump(str(path))
    return cfg, path


def _replace(value, old, new):
    """Change the beginning of every string in a nested config."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        if isinstance(item, str) and item.startswith(old):
            value[key] = new + item[len(old) :]
        elif isinstance(item, (dict, list)):
            _replace(item, old, new)


def render(cfg, workers, log):
    """Render the data sets of the config."""
    for number, (name, options) in enumerate(cfg.renders.items()):
        command = [str(ROOT / 'tools' / 'render_people.py'), '--out', str(Path(cfg.work_dir) / 'data' / name)]
        command += [str(c) for key, value in options.items() for c in (f'--{key.replace("_", "-")}', value)]
        if number == 0:
            print('The first use of the body model builds and caches it: one to two minutes without a word.')
        # one process at first: two would both build the body model
        run_tool([*command, '--workers', str(workers if number else 1), '--sheet'], log, shorten_render)


def train(cfg, path, log):
    """Train the stages of the config."""
    command = [str(ROOT / 'tools' / 'train.py'), str(path), '--work-dir', cfg.work_dir, '--resume']
    run_tool(command, log, shorten_train)


def results(cfg):
    """Last validation and checkpoint of the two runs that are compared."""
    out = {}
    for stage in COLUMNS:
        folder = Path(cfg.work_dir) / stage
        marker = json.loads((folder / 'finished.json').read_text())
        out[stage] = dict(marker, checkpoint=str(folder / marker['checkpoint']))
    return out


def format_table(cfg, found):
    """The comparison as text."""
    before = sum(s.train_cfg.max_iters for s in cfg.stages if s.name == 'pretrain')
    title = f'PCK (%) on {cfg.renders.target_test.num} pictures of the shifted look that no run has seen'
    lines = [title, f'{"":18}' + ''.join(f'{"@" + t:>8}' for t in THRESHOLDS) + '   iterations']
    rows = {c: [found[s]['metrics'][f'PCK/all@{t}'] for t in THRESHOLDS] for s, c in COLUMNS.items()}
    for stage, name in COLUMNS.items():
        count = f'{before} + {found[stage]["iterations"]}'
        lines.append(f'{name:18}' + ''.join(f'{v:8.1f}' for v in rows[name]) + f'   {count}')
    low, high = rows.values()
    return '\n'.join([*lines, f'{"gain":18}' + ''.join(f'{b - a:+8.1f}' for a, b in zip(low, high))])


def write_panel(cfg, found, samples):
    """Draw the first pictures of the test part with both predictions, and the source beside; return the path."""
    import cv2
    import numpy as np
    from mmengine.registry import DefaultScope

    from mmposeda.engine.prediction import predict_samples
    from mmposeda.engine.stages import stage_config
    from mmposeda.registry import DATASETS
    from mmposeda.structures.skeleton import Skeleton
    from mmposeda.visualization import prediction_panel

    def load(path):
        return cv2.imread(path)[..., ::-1]

    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        source = DATASETS.build(cfg.train_dataloader.dataset)
    examples = [source.get_data_info(i) for i in range(samples)]
    columns = {'source, labelled': ([load(e['img_path']) for e in examples], [e['keypoints'][0] for e in examples])}
    for stage, name in COLUMNS.items():
        predicted = predict_samples(stage_config(cfg, stage), found[stage]['checkpoint'], range(samples))
        images = [load(p.img_path) for p in predicted]
        columns.setdefault('target, held out', (images, None))
        columns[name] = (images, [p.pred_instances.keypoints[0] for p in predicted])
    truth = [p.gt_instances for p in predicted]
    columns['ground truth'] = (images, [t.keypoints[0] for t in truth])
    shown = {'ground truth': [np.asarray(t.keypoints_visible[0]) > 0 for t in truth]}
    panel = prediction_panel(columns, Skeleton.from_metainfo(source.metainfo), shown)
    path = Path(cfg.work_dir) / 'panel.png'
    cv2.imwrite(str(path), panel[..., ::-1])
    return path


def main(argv=None):
    """Run the demo."""
    args = parse_args(argv)
    cfg, path = prepare(args)
    log, start = Path(cfg.work_dir) / 'demo.log', time.time()
    render(cfg, args.workers, log)
    train(cfg, path, log)
    found = results(cfg)
    table = format_table(cfg, found)
    panel = write_panel(cfg, found, args.samples)
    (Path(cfg.work_dir) / 'table.txt').write_text(table + '\n')
    print(f'\n{table}\n\nPictures: {os.path.relpath(panel)}   log: {os.path.relpath(log)}')
    print(f'Time: {(time.time() - start) / 60:.1f} min')


if __name__ == '__main__':
    main()
