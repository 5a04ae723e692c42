"""Running the project's own commands one after another, with all they say in a log and the gist on the console."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_PACKED = Path(__file__).resolve().parents[1] / '.mim'
#: Where ``tools`` and ``configs`` are: in the source tree, or in an installed package.
ROOT = _PACKED if _PACKED.is_dir() else _PACKED.parents[1]


def run_tool(command: Sequence[str], log: str | Path, shorten: Callable[[str], str | None]) -> None:
    """Run a Python file: everything goes to the log, what ``shorten`` makes of a line to the console.

    Raises:
        SystemExit: The command failed; the end of its output is shown.
    """
    print('$ python ' + ' '.join(os.path.relpath(c) if os.path.isabs(c) else c for c in command), flush=True)
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])])
    lines = []
    env = dict(os.environ, PYTHONPATH=path)
    pipe = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with open(log, 'a') as file, subprocess.Popen([sys.executable, *command], env=env, **pipe) as process:
        for line in process.stdout:
            file.write(line)
            lines = [*lines[-29:], line]
            short = shorten(line)
            if short:
                print(f'  {short}', flush=True)
    if process.returncode:
        raise SystemExit(f'{"".join(lines)}\n{command[0]} failed; all of its output is in {log}')


def shorten_render(line: str) -> str | None:
    """What of ``tools/render_people.py``'s output a console shows: every tenth line of its progress."""
    progress = re.match(r'(\d+)/(\d+) pictures', line)
    if progress and int(progress[1]) % 320 and progress[1] != progress[2]:
        return None
    return line.strip() if progress or 'pictures are there' in line else None


def shorten_train(line: str) -> str | None:
    """What of ``tools/train.py``'s output a console shows: iterations with their loss, stages and signs of collapse."""
    step = re.search(r'Iter\(train\) (\[.*?\]).*?(eta: \S+).*?\b(loss: \S+)', line)
    if step:
        return ' '.join(step.groups())
    found = re.search(r"Stage '.*", line) or re.search(r'Sign of collapse.*', line)
    return os.path.normpath(found[0]) if found else None
