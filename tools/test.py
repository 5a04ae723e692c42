"""Evaluate a checkpoint with the test set and metrics of a config."""

import argparse
import os
import os.path as osp

import mmengine
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import mmposeda  # noqa: F401
from mmposeda.compat.distributed import prepare_cpu_launch
from mmposeda.engine.checkpoints import check
from mmposeda.engine.failures import one_line
from mmposeda.engine.stages import stage_config, stage_names


def parse_args(argv=None):
    """Parse the command line; the flags are those of MMPose's tools/test.py, and ``--stage``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='test config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder of the log (default: work_dirs/<config name>)')
    parser.add_argument('--stage', metavar='NAME', help='stage of a staged config (default: the last)')
    parser.add_argument('--out', metavar='FILE', help='write the metrics to this .json, .yaml or .pkl file')
    parser.add_argument('--dump', metavar='FILE', help='write the predictions to this .pkl file')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config'
    )
    parser.add_argument(
        '--scores',
        metavar='FILE',
        help='score file of the evaluated set: GroupedPCK and EvalPose by difficulty bin, too',
    )
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='show every INTERVAL-th sample')
    parser.add_argument('--wait-time', type=float, default=1, help='seconds a window is shown')
    parser.add_argument('--badcase', action='store_true', help='collect the worst samples (BadCaseAnalysisHook)')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(argv)
    if args.dump is not None and not args.dump.endswith(('.pkl', '.pickle')):
        parser.error(f'--dump writes a pickle, expected a name ending in .pkl or .pickle, got {args.dump}')
    if args.out is not None and not args.out.endswith(('.json', '.yaml', '.yml', '.pkl', '.pickle')):
        parser.error(f'--out expects a name ending in .json, .yaml or .pkl, got {args.out}')
    if args.scores is not None and not osp.isfile(args.scores):
        parser.error(f'there is no file of scores {args.scores}; tools/score_poses.py makes it')
    if not osp.isfile(args.checkpoint) and '://' not in args.checkpoint:
        parser.error(f'there is no checkpoint {args.checkpoint}')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def apply_flags(cfg, args):
    """Write the flags into the config, in place."""
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif not cfg.get('work_dir'):
        cfg.work_dir = osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    hooks = cfg.get('default_hooks', {})
    if args.show_dir is not None or (args.show and not args.badcase):
        enable_hook(hooks, 'visualization', 'PoseVisualizationHook', args, show=args.show and not args.badcase)
        hooks.visualization.out_dir = args.show_dir
    if args.badcase:
        enable_hook(hooks, 'badcase', 'BadCaseAnalysisHook', args, show=args.show)
        is_loss = hooks.badcase.get('metric_type', 'loss') == 'loss'
        if not hooks.badcase.get('metric'):
            estimator = cfg.model.get('estimator', cfg.model)
            hooks.badcase.metric = estimator.head.loss if is_loss else cfg.test_evaluator
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, (list, tuple)) else [cfg.test_evaluator]
    if args.scores is not None:
        evaluators = by_difficulty(evaluators, args.scores)
    if args.dump is not None:
        evaluators = [*evaluators, dict(type='DumpResults', out_file_path=args.dump)]
    cfg.test_evaluator = evaluators


def by_difficulty(evaluators, scores):
    """Give the clean PCK of all limbs and EvalPose by difficulty bin, too."""
    keys = dict(GroupedPCK=['all@*'], EvalPose=['raw', 'centred*'])
    binned = [
        dict(type='BinnedMetric', score_file=scores, metric=metric, keys=keys[metric['type']])
        if metric['type'] in keys and metric.get('mode', 'image') == 'image'
        else metric
        for metric in evaluators
    ]
    if binned == list(evaluators):
        raise SystemExit(f"--scores needs {' or '.join(keys)} in the config's test_evaluator")
    return binned


def enable_hook(hooks, key, kind, args, show):
    """Switch one of the drawing hooks on."""
    if key not in hooks:
        raise SystemExit(f"this needs default_hooks.{key}=dict(type='{kind}') in the config")
    hooks[key].update(enable=True, show=show, interval=args.interval)
    if args.show:
        hooks[key].wait_time = args.wait_time


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    cfg = Config.fromfile(args.config)
    with one_line(args.config):
        cfg = stage_config(cfg, stage_names(cfg)[-1] if args.stage is None else args.stage, args.cfg_options)
        apply_flags(cfg, args)
        prepare_cpu_launch(cfg)
        if '://' not in args.checkpoint:
            check(args.checkpoint)
        runner = Runner.from_cfg(cfg)
        metrics = runner.test()
    if args.out is not None and runner.rank == 0:
        mmengine.dump(metrics, args.out)
    return metrics


if __name__ == '__main__':
    main()
