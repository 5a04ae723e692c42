"""Pictures a second of rendered people or hands, once warm.

Every process renders on its own, as data-loader workers do. Goals on two cores: 60 a second at 128 pixels and 25 at
256. Besides pictures a second of wall time, the processor time of a picture is printed, which other work on the machine
does not change much.

Example:
    python tools/benchmarks/render_speed.py --workers 2 --poses cmu_h36m17_30fps.npz --backgrounds FOLDER
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
sys.path[:0] = [str(Path(__file__).resolve().parents[n]) for n in (2, 1)]
GOALS = {128: 60, 256: 25}


def work(job):
    """Warm up, wait for the others, render; returns (seconds, processor seconds)."""
    import cv2
    from render_people import figure_class

    what, kwargs, first, num, batch, gate = job
    cv2.setNumThreads(1)
    figures = figure_class(what)(**kwargs)
    figures._others  # noqa: B018  (drawn once a process)
    figures.render(range(batch))
    gate.wait()
    begin, used = time.perf_counter(), time.process_time()
    for start in range(first, first + num, batch):
        figures.render(range(start, start + batch))
    return time.perf_counter() - begin, time.process_time() - used


def main():
    """Measure and print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--what', default='person', choices=('person', 'hand'))
    parser.add_argument('--sizes', type=int, nargs='*', default=[128, 256])
    parser.add_argument('--num', type=int, default=200, help='pictures a process')
    parser.add_argument('--batch', type=int, default=8, help='pictures drawn at once; 1 is what a data loader does')
    parser.add_argument('--workers', type=int, default=2)
    parser.add_argument('--look', default='sport')
    parser.add_argument('--poses', nargs='*', default=[])
    parser.add_argument('--backgrounds')
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    context = multiprocessing.get_context('spawn')
    for size in args.sizes:
        kwargs = dict(size=size, look=args.look, backgrounds=args.backgrounds, device=args.device)
        if args.what == 'person':
            kwargs['poses'] = dict(files=args.poses)
        with context.Manager() as manager, context.Pool(args.workers) as pool:
            gate = manager.Barrier(args.workers)
            jobs = [(args.what, kwargs, k * args.num, args.num, args.batch, gate) for k in range(args.workers)]
            times = pool.map(work, jobs, chunksize=1)
        rate = args.num * args.workers / max(t for t, _ in times)
        cpu = 1000 * sum(c for _, c in times) / (args.num * args.workers)
        goal = f' (goal {GOALS[size]})' if size in GOALS and args.workers == 2 else ''
        print(f'{size} px, {args.workers} processes: {rate:.1f} pictures/s{goal}, {cpu:.1f} ms of a core a picture')


if __name__ == '__main__':
    main()
