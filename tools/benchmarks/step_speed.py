"""Time of an adaptation step against the bare networks, and against the authors' own step.

Prints medians and their ratios, all measured in one process, in turn. The step is everything between two batches; what
the bare time holds is said in step_udape.py, step_regda.py, step_causal.py, step_relation.py, step_reconstruction.py,
where a step is that of the pairs alone, and step_poseaug.py, where it is an epoch.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time

import torch
from mmengine.registry import init_default_scope
from step_common import seconds

import mmposeda  # noqa: F401  (makes MMPose importable)

LIFTERS, ORDERS = ('vpose', 'mlp', 'gcn', 'stgcn'), ('epoch', 'joint')
CLOCKS = dict(wall=time.perf_counter, processor=time.process_time)
METHODS = dict(
    udape='VisionLearningGroup/UDA_PoseEstimation',
    regda='thuml/Transfer-Learning-Library',
    poseaug='jfzhang95/PoseAug',
    reconstruction=None,  # there is no code of the authors
    causal=None,
    relation=None,  # TensorFlow 1
)


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    clones = ' or '.join(f'{repository} ({method})' for method, repository in METHODS.items() if repository)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--method', choices=METHODS, default='udape')
    parser.add_argument('--reference', help=f'clone to run beside ours: {clones}')
    parser.add_argument('--depth', type=int, default=18, help='of the ResNet; the papers use 101')
    parser.add_argument('--size', type=int, default=128, help='input side, pixels; the papers use 256')
    parser.add_argument(
        '--batch',
        type=int,
        help='samples per domain, 16; the papers use 32. poseaug: poses, 1024. reconstruction: pairs, 8. '
        'relation: clips, 2',
    )
    parser.add_argument('--repeats', type=int, help='7, or 3 epochs of poseaug')
    parser.add_argument('--style', choices=('none', 'statistics', 'adain'), default='none', help='transfer of UDAPE')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument(
        '--clock', choices=CLOCKS, default='wall', help='processor: of this process alone, where others run beside it'
    )
    pairs = parser.add_argument_group('--method reconstruction')
    pairs.add_argument('--width', type=int, default=16, help='of both networks; the paper has 64')
    pairs.add_argument('--features', choices=('pyramid_l1', 'vgg19'), default='pyramid_l1', help='of the loss')
    pairs.add_argument('--memory-batch', type=int, default=8, help='pairs of the step whose memory is measured')
    pairs.add_argument('--memory-size', type=int, default=256, help='side of their pictures, pixels')
    lifting = parser.add_argument_group('--method poseaug')
    lifting.add_argument('--poses', type=int, default=16384, help='in an epoch')
    lifting.add_argument('--lifter', choices=LIFTERS, default='vpose')
    lifting.add_argument('--order', choices=ORDERS, default='epoch', help='phases of an epoch, or all in each step')
    lifting.add_argument('--workers', type=int, help="of the authors' loaders: 2, but 0 where processor time counts")
    lifting.add_argument('--profile', action='store_true', help='count where our host waits for the device, too')
    lifting.add_argument('--memory', action='store_true', help='measure what an epoch holds of each pose, too')
    args = parser.parse_args(arguments)
    if args.clock == 'processor' and args.device != 'cpu':
        parser.error('--clock processor does not see what a GPU does: leave it out, or add --device cpu')
    if args.method != 'udape' and args.style != 'none':
        parser.error(f'--style is for --method udape; {args.method} has no style transfer')
    args.now = CLOCKS[args.clock]
    if args.reference and not METHODS[args.method]:
        parser.error(f'there is no public code of the authors of --method {args.method}: leave --reference out')
    epochs = args.method == 'poseaug'
    args.batch = args.batch or dict(poseaug=1024, reconstruction=8, relation=2).get(args.method, 16)
    args.repeats = args.repeats or (3 if epochs else 7)
    if args.workers is None:  # what other processes do, this one's clock does not see
        args.workers = 0 if args.clock == 'processor' else 2
    if epochs and args.poses % args.batch:
        parser.error(
            f'--poses {args.poses} must be a multiple of --batch {args.batch}: we leave out a smaller last batch'
        )
    return args


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    args = parse_args(arguments)
    init_default_scope('mmposeda')
    torch.manual_seed(0)
    contest = importlib.import_module(f'step_{args.method}').contest(args)
    contestants = dict(step=contest.step, bare=contest.bare)
    if contest.reference:
        contestants['reference'] = contest.reference
    if contest.note:
        print(contest.note)
    for function in contestants.values():  # warms up
        function()
    if contest.compare:
        print(contest.compare())
    times = {name: [] for name in contestants}
    for _ in range(args.repeats):
        for name, function in contestants.items():
            times[name].append(seconds(function, args.device, args.now))
    medians = {name: statistics.median(values) for name, values in times.items()}
    style = f', style {args.style}' if args.method == 'udape' else ''
    title = contest.title or f'ResNet-{args.depth}, {args.size} px, {args.batch} + {args.batch}{style}'
    print(f'{args.method}, {title}, {args.device}, {args.clock} time')
    for name, value in medians.items():
        low, high = min(times[name]), max(times[name])
        rate = f', {contest.poses / value:.0f} poses/s' if contest.poses else ''
        print(f'{name:10s} {1000 * value:8.1f} ms (min {1000 * low:.1f}, max {1000 * high:.1f}){rate}')
    print(f'step / bare      {medians["step"] / medians["bare"]:.2f}')
    if contest.reference:
        print(f'reference / step {medians["reference"] / medians["step"]:.2f}')
    if contest.details:
        print(contest.details())


if __name__ == '__main__':
    main()
