"""Runs of the toy lifting task: what they left, how they went on, and whether two are the same."""

import shutil

import torch
from test_resume import equal
from toy_lifting import JOINT, LOOP

PARTS = ('student', 'augmentor', 'disc3d', 'disc2d')
LOOPS = dict(joint=JOINT, loop=LOOP.replace('{warm_up}', '0'), warm_up=LOOP.replace('{warm_up}', '1'))
EVERY = "default_hooks['checkpoint'].update(by_epoch=False, interval=1, max_keep_ckpts=-1)\n"


def load(folder, name):
    return torch.load(folder / f'{name}.pth', map_location='cpu', weights_only=True)


def log_of(folder):
    return ''.join(path.read_text() for path in folder.glob('*/*.log'))


def as_if_killed(run, name, into):
    """Copy what a run had left when it had written checkpoint NAME."""
    into.mkdir()
    shutil.copy(run / f'{name}.pth', into)
    (into / 'last_checkpoint').write_text(str(into / f'{name}.pth'))
    return into


def same_run(first, second):
    """All that goes on, and all that was logged, but not the times."""
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'random_state', 'rank_state'):
        equal(first[key], second[key], key)
    assert first['meta']['iter'] == second['meta']['iter'] and first['meta']['epoch'] == second['meta']['epoch']
    logged = [run['message_hub']['log_scalars'] for run in (first, second)]
    assert logged[0].keys() == logged[1].keys()
    for key in logged[0]:
        if 'loss' in key or key.startswith(('train/aug', 'train/disc')):
            assert logged[0][key].data[0].tolist() == logged[1][key].data[0].tolist(), key


def position(checkpoint):
    return checkpoint['message_hub']['runtime_info']['pose_aug_position']


def moments(run):
    """Names of what was saved right before the end of a phase, and in its middle, and before the end of an epoch."""
    found = {}
    for path in sorted(run.glob('iter_*.pth'), key=lambda path: int(path.stem[5:])):
        at = position(load(run, path.stem))
        if at['epoch'] == 0 and (at['done'] or at['phase'] != 'augment'):
            found.setdefault(f'{at["phase"]}_{min(at["done"], 1)}', path.stem)
    return found
