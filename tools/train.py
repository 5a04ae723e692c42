"""Train a model from a config, in one run or in stages."""

import argparse
import os
import os.path as osp

from mmengine.config import Config, DictAction
from mmengine.device import get_device

import mmposeda  # noqa: F401
from mmposeda.engine.failures import one_line
from mmposeda.engine.training import train


def parse_args(argv=None):
    """Parse the command line; the flags are those of MMPose's tools/train.py, and ``--stage``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='train config file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/<config name>)')
    parser.add_argument('--stage', metavar='NAME', help='run this stage of a staged config alone')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or from the latest one of the (unfinished stage of the) run',
    )
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate during training')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate with the total batch size'
    )
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--interval', type=int, default=1, help='show every INTERVAL-th sample')
    parser.add_argument('--wait-time', type=float, default=1, help='seconds a window is shown')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='values merged over the config (over every stage); lists as key="[a,b]", one stage as stages.0.key=value',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def apply_flags(cfg, args):
    """Write the flags into the config of a run or of one stage, in place.

    Raises:
        SystemExit: If a flag asks for something the config or the machine does not have.
    """
    cfg.launcher = args.launcher
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        if get_device() == 'cpu':
            raise SystemExit('--amp needs a GPU, but torch sees none here. Leave the flag out.')
        if 'constructor' in cfg.optim_wrapper:
            raise SystemExit(
                f'--amp works with one optimiser, but {cfg.optim_wrapper.constructor} makes several. '
                'Leave the flag out, or give it to other stages by --stage.'
            )
        kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
        if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
            raise SystemExit(f'--amp works with optim_wrapper.type OptimWrapper, got {kind}. Leave the flag out.')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if not cfg.get('auto_scale_lr', {}).get('base_batch_size'):
            raise SystemExit('--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=N) in the config.')
        cfg.auto_scale_lr.enable = True
    if args.show or args.show_dir is not None:
        set_visualization(cfg, args)


def set_visualization(cfg, args):
    """Switch the hook that draws predictions on."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise SystemExit(
            "--show and --show-dir need default_hooks.visualization=dict(type='PoseVisualizationHook') in the config."
        )
    hook.update(enable=True, show=args.show, out_dir=args.show_dir, interval=args.interval)
    if args.show:
        hook.wait_time = args.wait_time


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    cfg = Config.fromfile(args.config)
    # a folder on the command line goes before the config's own, and that before the config's name
    default = cfg.get('work_dir') or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    with one_line(args.config):
        train(
            cfg,
            args.work_dir or default,
            only=args.stage,
            resume=args.resume,
            options=args.cfg_options,
            prepare=lambda stage_cfg: apply_flags(stage_cfg, args),
        )


if __name__ == '__main__':
    main()
