"""Trains methods over several seeds and prints what adaptation gains: mean and spread of PCK, share of the gap closed.

    python tools/benchmarks/adaptation.py source_only=A.py udape=B.py oracle=C.py --seeds 0 1 2 --jobs 2

Each (method, seed) is a run of tools/train.py in WORK_DIR/METHOD/seed_S, then of tools/test.py on its last checkpoint.
A stage that two configs share, value for value, is trained once a seed and copied. Started again, it goes on where it
was stopped. Results are WORK_DIR/METHOD/seed_S/result.json, the tables WORK_DIR/table.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from adaptation_runs import Run
from adaptation_tables import render

TOOLS = Path(__file__).resolve().parents[1]
POLL_SECONDS = 0.2
REPORT_SECONDS = 60


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, fromfile_prefix_chars='@'
    )
    parser.add_argument(
        'methods',
        nargs='+',
        metavar='NAME=CONFIG',
        help='rows of the table, in this order, "NAME=CONFIG KEY=VALUE ..." with changes of the config; @FILE: one a '
        'line in FILE',
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/adaptation'))
    parser.add_argument('--jobs', type=int, default=1, help='runs at the same time')
    parser.add_argument('--threads', type=int, help='of each run (default: cores / jobs)')
    parser.add_argument('--pin', action='store_true', help='keep each run on cores of its own (Linux)')
    parser.add_argument('--source', default='source_only', metavar='NAME', help='method at 0 %% of the gap')
    parser.add_argument('--oracle', default='oracle', metavar='NAME', help='method at 100 %% of the gap')
    parser.add_argument(
        '--scores', metavar='FILE', help='of the test set: also evaluate by difficulty, see tools/test.py'
    )
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='merged over every config')
    parser.add_argument('--table', action='store_true', help='only print the table of what is there')
    args = parser.parse_args(argv)
    names, rows = [], {}
    for entry in args.methods:
        row, *options = shlex.split(entry) or ['']
        name, _, config = row.partition('=')
        if not re.fullmatch(r'[\w.-]+', name) or not config or not all('=' in option for option in options):
            parser.error(f'expected NAME=CONFIG, and maybe KEY=VALUE after it, got {entry!r}')
        if not Path(config).is_file():
            parser.error(f'there is no config {config!r} (of {name})')
        names.append(name)
        rows[name] = config, options
    if len(set(names)) < len(names):
        parser.error(f'two methods have one name: {" ".join(names)}')
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {args.jobs}')
    if args.pin and not hasattr(os, 'sched_setaffinity'):
        parser.error('--pin needs Linux: leave it out')
    args.methods = rows
    args.cores = sorted(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else range(os.cpu_count() or 1)
    args.threads = args.threads or max(1, len(args.cores) // args.jobs)
    return args


class Job:
    """A process of train.py or test.py on one of the slots."""

    def __init__(self, run: Run, stage: str | None, slot: int, args: argparse.Namespace, lock: int) -> None:
        self.run, self.stage, self.slot = run, stage, slot
        self.title = f'{run.title} {"evaluation" if stage is None else stage or "training"}'
        command = run.test_command(args.scores) if stage is None else run.train_command(stage)
        self.log = run.folder / f'{"test" if stage is None else stage or "train"}.out'
        self.log.parent.mkdir(parents=True, exist_ok=True)
        threads = dict.fromkeys(('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'), str(args.threads))
        path = os.pathsep.join(filter(None, [str(TOOLS.parent), os.environ.get('PYTHONPATH')]))
        environment = {**os.environ, **threads, 'OMP_WAIT_POLICY': 'passive', 'PYTHONPATH': path}
        options = dict(env=environment, stderr=subprocess.STDOUT)
        if os.name == 'posix':
            options.update(pass_fds=(lock,), start_new_session=True)
        if args.pin:
            first = slot * args.threads
            cores = [args.cores[i % len(args.cores)] for i in range(first, first + args.threads)]
            options.update(preexec_fn=lambda: os.sched_setaffinity(0, cores))
        command = [sys.executable, str(TOOLS / command[0]), *command[1:]]
        with open(self.log, 'a') as file:
            print('$', *command, file=file, flush=True)
            self.process = subprocess.Popen(command, stdout=file, **options)
        self.clock = time.time()

    def count(self) -> None:
        """Add the time since the last call to the stage's."""
        now = time.time()
        if self.stage is not None:
            self.run.add_seconds(self.stage, now - self.clock)
        self.clock = now

    def tail(self, lines: int = 12) -> str:
        """Last lines of its output."""
        return '\n'.join(self.log.read_text(errors='replace').splitlines()[-lines:])

    def progress(self) -> str:
        """Iterations and the time left, as its log says them last."""
        found = re.findall(r'\(train\)\s+((?:\[[^\]]*\])+).*?eta: ([\d:, days]+\d)', self.tail(60))
        return '{} {}, eta {}'.format(self.title, *found[-1]) if found else f'{self.title} starting'

    def stop(self) -> None:
        """End the process and its data workers."""
        if os.name == 'posix':
            try:
                os.killpg(self.process.pid, signal.SIGTERM)
            except ProcessLookupError:
                return
        else:
            self.process.terminate()
        self.process.wait()


class Benchmark:
    """Runs whatever is not finished, ``jobs`` at a time.

    Args:
        runs: All of them, in the order in which they are started.
        args: The command line.
        lock: Descriptor of the work folder's lock, which the processes inherit: it is free when all have ended.
    """

    def __init__(self, runs: list[Run], args: argparse.Namespace, lock: int) -> None:
        self.runs, self.args, self.lock = runs, args, lock
        self.active: dict[int, Job] = {}
        self.failed: dict[str, str] = {}  # fingerprint of a stage, or title of a run -> why

    def work(self) -> int:
        """Run to the end; the number of runs without a result."""
        reported = time.time()
        try:
            while self._start() or self.active:
                time.sleep(POLL_SECONDS)
                for slot, job in list(self.active.items()):
                    if job.process.poll() is not None:
                        self._end(self.active.pop(slot))
                if time.time() - reported > REPORT_SECONDS:
                    reported = time.time()
                    for job in self.active.values():
                        job.count()
                        say(job.progress())
        finally:
            for job in self.active.values():
                job.count()
                job.stop()
        return sum(not self._done(run) for run in self.runs)

    def _done(self, run: Run) -> bool:
        return run.has_result(binned=self.args.scores is not None)

    def _start(self) -> bool:
        """Start what can be; whether any run has something left to do."""
        waiting = False
        busy = [job.run for job in self.active.values()]
        for run in self.runs:
            if run in busy or self._done(run) or run.title in self.failed:
                continue
            stage = self._next_stage(run)
            if run.title in self.failed:
                continue
            waiting = True
            free = [slot for slot in range(self.args.jobs) if slot not in self.active]
            if not free or (stage is not None and self._in_work(run.fingerprints[stage])):
                continue
            if stage is not None:
                run.note_settings(stage)
            job = self.active[free[0]] = Job(run, stage, free[0], self.args, self.lock)
            say(f'{job.title} started')
        return waiting

    def _next_stage(self, run: Run) -> str | None:
        """First unfinished stage, after copying those that another run has finished; None if none is left."""
        for stage in run.stages:
            if run.finished(stage):
                continue
            mark = run.fingerprints[stage]
            if mark in self.failed:
                self._fail(run, f'{run.title} needs stage {stage!r}, which failed in {self.failed[mark]}')
                return stage
            # its record is written a little before the process ends
            if stage and not self._in_work(mark):
                twins = [other for other in self.runs if other.finished(stage) and other.fingerprints[stage] == mark]
                if twins:
                    run.adopt(stage, twins[0])
                    say(f'{run.title} {stage} copied from {twins[0].title}')
                    continue
            return stage
        return None

    def _in_work(self, fingerprint: str) -> bool:
        return any(
            job.stage is not None and job.run.fingerprints[job.stage] == fingerprint for job in self.active.values()
        )

    def _end(self, job: Job) -> None:
        job.count()
        run, code = job.run, job.process.returncode
        if code:
            if job.stage is not None:
                self.failed[run.fingerprints[job.stage]] = run.title
            self._fail(run, f'{job.title} failed with exit code {code}; the end of {job.log}:\n{job.tail()}')
        elif job.stage is not None:
            run.note_end(job.stage)
            say(f'{job.title} finished')
        else:
            run.store(machine(self.args))
            say(f'{run.title} done, {sum(map(self._done, self.runs))} of {len(self.runs)}')

    def _fail(self, run: Run, why: str) -> None:
        self.failed[run.title] = why
        say(why)


def say(text: str) -> None:
    """Print with the time of day."""
    print(time.strftime('[%H:%M:%S]'), text, flush=True)


def machine(args: argparse.Namespace) -> dict:
    """What the times depend on."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return dict(cores=len(args.cores), threads=args.threads, jobs=args.jobs, torch=torch.__version__, device=device)


def lock_folder(folder: Path) -> int:
    """Take the folder for this process and the ones it starts.

    Raises:
        SystemExit: Another benchmark, or a run that one left behind, is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / '.lock', os.O_RDWR | os.O_CREAT)
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows: no guard
        pass
    except OSError as error:
        raise SystemExit(f'a benchmark, or a run that one has started, is at work in {folder}') from error
    return descriptor


def main(argv=None) -> int:
    """Run the command; the exit status is 1 if a run has failed."""
    args = parse_args(argv)
    runs = [
        Run(name, config, seed, args.work_dir / name / f'seed_{seed}', [*args.cfg_options, *options])
        for seed in args.seeds
        for name, (config, options) in args.methods.items()
    ]
    missing = 0
    if not args.table:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        lock = lock_folder(args.work_dir)
        try:
            for run in runs:
                run.check()
            say(f'{len(runs)} runs, {args.jobs} at a time with {args.threads} threads each; logs in {args.work_dir}')
            missing = Benchmark(runs, args, lock).work()
        finally:
            os.close(lock)
    results = [json.loads(run.result_file.read_text()) for run in runs if run.result_file.is_file()]
    if not results:
        print(f'no result in {args.work_dir} yet')
        return 1
    text = render(results, list(args.methods), args.source, args.oracle)
    if not args.table:
        (args.work_dir / 'table.md.tmp').write_text(text)
        os.replace(args.work_dir / 'table.md.tmp', args.work_dir / 'table.md')
    print(text)
    return int(bool(missing))


if __name__ == '__main__':
    sys.exit(main())
