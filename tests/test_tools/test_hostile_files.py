"""Files of strangers, given to the commands: nothing in them runs, and one line says what is wrong with which."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_adaptation import UDAPE

ROOT = Path(__file__).resolve().parents[2]

ONE_ITERATION = """
train_cfg = dict(max_iters=1, val_interval=1)
default_hooks['checkpoint'] = dict(interval=1)
"""


class Payload:
    """Unpickles into the creation of a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, 'w')


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    # the switch that some installations set to go on loading old checkpoints
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(toy_adaptation, tool, tmp_path):
    """A finished run of one iteration: its config and folder."""
    config = toy_adaptation(UDAPE + ONE_ITERATION)
    tool('train').main([str(config), '--work-dir', str(tmp_path / 'run'), '--no-validate'])
    return str(config), tmp_path / 'run'


@pytest.fixture
def hostile(run, tmp_path):
    """The run's checkpoint with a payload, its digest made to fit; and the file that the payload would create."""
    path, marker = run[1] / 'iter_1.pth', tmp_path / 'ran'
    content = torch.load(path, map_location='cpu', weights_only=True)
    torch.save({**content, 'extra': Payload(marker)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (run[1] / 'iter_1.pth.sha256').write_text(f'{digest}  iter_1.pth\n')
    return str(path), marker


TWO = 'train_cfg.max_iters=2'
COMMANDS = {
    'load_from': ('train', ['{config}', '--work-dir', '{new}', '--cfg-options', 'load_from={path}']),
    'resume a path': ('train', ['{config}', '--work-dir', '{new}', '--resume', '{path}']),
    'resume the latest': ('train', ['{config}', '--work-dir', '{run}', '--resume', '--cfg-options', TWO]),
    'test': ('test', ['{config}', '{path}', '--work-dir', '{new}']),
    'export': ('export', ['{config}', '{path}', '--out', '{new}']),
}


@pytest.mark.parametrize('name', COMMANDS)
def test_a_checkpoint_runs_no_code(run, hostile, tool, tmp_path, name):
    command, arguments = COMMANDS[name]
    places = dict(config=run[0], run=run[1], path=hostile[0], new=tmp_path / 'new')
    with pytest.raises(SystemExit) as caught:
        tool(command).main([argument.format(**places) for argument in arguments])
    assert not hostile[1].exists()
    message = str(caught.value)
    assert hostile[0] in message
    assert '\n' not in message
    if name != 'resume the latest':  # names the reason in a warning, and goes on looking
        assert 'refused: it asks for' in message

    torch.load(hostile[0], weights_only=False)
    assert hostile[1].exists(), 'the payload is a real one'


def test_the_same_checkpoint_without_the_payload_serves_all(run, tool, tmp_path):
    places = dict(config=run[0], run=run[1], path=run[1] / 'iter_1.pth', new=tmp_path / 'new')
    for command, arguments in COMMANDS.values():
        tool(command).main([argument.format(**places) for argument in arguments])


def test_annotations_that_lead_out_of_the_data_folder_stop_training(toy_adaptation, tool, tmp_path):
    config = toy_adaptation(UDAPE)
    labels = json.loads((tmp_path / 'target' / 'labels.json').read_text())
    labels['images'][2]['file_name'] = '../../secret.png'
    (tmp_path / 'target' / 'labels.json').write_text(json.dumps(labels))
    with pytest.raises(SystemExit, match=r'AnnotationError: .*target/labels\.json names a picture outside'):
        tool('train').main([str(config), '--work-dir', str(tmp_path / 'run')])


@pytest.mark.parametrize('workers', [0, 2])
def test_a_broken_picture_ends_training_and_is_named(toy_adaptation, tmp_path, workers):
    """In a process of its own, because it must end: workers that outlive their training would hold it."""
    config = toy_adaptation(UDAPE, workers=workers)
    for picture in tmp_path.glob('*.png'):
        picture.write_bytes(picture.read_bytes()[:40])
    command = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(config), '--work-dir', str(tmp_path / 'run')]
    environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=200)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 1
    last = [line for line in errors.splitlines() if 'SampleError' in line][-1]
    assert re.search(r'CocoDataset sample \d+ failed: picture .*\.png cannot be read', last)
