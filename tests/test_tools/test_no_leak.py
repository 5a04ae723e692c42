"""Target labels reach nothing: with any labels, or none, a whole training run ends with bitwise the same weights."""

import json

import numpy as np
import pytest
import torch
from toy_adaptation import CAUSAL, CCSSL, DAN, DANN, DDC, RECONSTRUCTION, REGDA, SELF_PAIRS, UDAPE

from mmposeda.models.networks.adain import _encoder

STYLE = """
model = dict(_delete_=True, type='StyleTraining', data_preprocessor=_base_.estimator['data_preprocessor'],
             style=dict(type='AdaINStyleNet', encoder_weights='{folder}/vgg.pth'))
"""
#: Name -> changes to the toy adaptation's config. An adapter is added here.
ADAPTERS = dict(
    SourceOnly='',
    UDAPE=UDAPE,
    StyleTraining=STYLE,
    DDC=DDC,
    DAN=DAN,
    DANN=DANN,
    RegDA=REGDA,
    CCSSL=CCSSL,
    GeometricReconstruction=RECONSTRUCTION,
    GeometricReconstruction_of_still_pictures=RECONSTRUCTION + SELF_PAIRS,
    CausalIntervention=CAUSAL,
)
RUN = """
train_cfg = dict(max_iters=3, val_interval=3)
default_hooks['checkpoint'] = dict(interval=3)
"""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def train(toy_adaptation, tool, tmp_path):
    """Return a function that trains an adapter with what the label files hold now; it returns the checkpoint."""
    torch.manual_seed(0)
    torch.save(_encoder().state_dict(), tmp_path / 'vgg.pth')
    runs = []

    def run(adapter, workers):
        if not runs:
            more = ADAPTERS[adapter].replace('{folder}', str(tmp_path))
            hooks = '' if 'default_hooks' in more else 'default_hooks = {}\n'
            runs.append(str(toy_adaptation(more + hooks + RUN, workers=workers)))
        folder = tmp_path / f'run{len(runs)}'
        tool('train').main([runs[0], '--work-dir', str(folder), '--no-validate'])
        runs.append(folder)
        return torch.load(folder / 'iter_3.pth', map_location='cpu', weights_only=True)

    return run


def poison(path):
    """Spoil each annotation in another way: joints of someone else, no numbers, hidden, absurd, a wrong count, none."""
    content = json.loads(path.read_text())
    annotations = content['annotations']
    joints = [a['keypoints'] for a in annotations]
    for i, a in enumerate(annotations):
        a['keypoints'] = joints[i - 3]
        kind = i % 7
        if kind == 1:
            a.update(keypoints=[float('nan')] * 6, area=float('nan'), num_keypoints=float('nan'))
        elif kind == 2:
            a.update(keypoints=[v if k % 3 < 2 else 2 - v for k, v in enumerate(a['keypoints'])], num_keypoints=0)
        elif kind == 3:
            a.update(keypoints=[1e30, -1e30, 2, 0, 0, 2])
        elif kind == 4:
            a.update(keypoints=[3, 3, 2])
        elif kind == 5:
            del a['keypoints'], a['num_keypoints']
        elif kind == 6:
            a.update(keypoints=[0] * 6, num_keypoints=0)
    path.write_text(json.dumps(content))


def tensors(checkpoint):
    """Weights, buffers and optimizer state by name: student, teacher and all else that is saved."""
    state = {f'weights {name}': value for name, value in checkpoint['state_dict'].items()}
    optimizers = checkpoint['optimizer']
    for part, optimizer in optimizers.items() if 'state' not in optimizers else [('', optimizers)]:
        for number, values in optimizer['state'].items():
            for key, value in values.items():
                state[f'optimizer {part} {number} {key}'] = torch.as_tensor(value)
    return state


def differing(a, b):
    a, b = tensors(a), tensors(b)
    assert a.keys() == b.keys()
    return [name for name in a if a[name].dtype != b[name].dtype or not torch.equal(a[name], b[name])]


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('adapter', ADAPTERS)
def test_poisoned_target_labels_change_no_weight(train, tmp_path, adapter, workers):
    clean = train(adapter, workers)
    poison(tmp_path / 'target' / 'labels.json')
    assert differing(clean, train(adapter, workers)) == []
    kinds = {name.split('.')[0] for name in tensors(clean)}
    assert ('weights teacher' in kinds) == adapter.startswith(('UDAPE', 'Geometric'))
    assert any(name.startswith('optimizer') for name in kinds)


@pytest.mark.parametrize('adapter', ['SourceOnly', 'UDAPE'])
def test_source_labels_do_change_the_weights(train, tmp_path, adapter):
    """Else the test above could not fail."""
    clean = train(adapter, 0)
    path = tmp_path / 'labels.json'
    content = json.loads(path.read_text())
    joints = [a['keypoints'] for a in content['annotations']]
    for i, a in enumerate(content['annotations']):
        a['keypoints'] = joints[i - 1]
    path.write_text(json.dumps(content))
    changed = differing(clean, train(adapter, 0))
    assert any(name.startswith('weights student') for name in changed)
    assert adapter != 'UDAPE' or any(name.startswith('weights teacher') for name in changed)


@pytest.mark.parametrize('kind', ['nan', 'absurd'])
def test_such_labels_of_the_source_are_refused(toy_adaptation, tool, tmp_path, kind):
    """They are ignored in the target because they are never looked at, not because they would do no harm."""
    config = toy_adaptation()
    path = tmp_path / 'labels.json'
    content = json.loads(path.read_text())
    content['annotations'][1]['keypoints'][0] = dict(nan=float('nan'), absurd=1e30)[kind]
    path.write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=r'AnnotationError: .*annotation 2 of .*labels\.json'):
        tool('train').main([str(config), '--work-dir', str(tmp_path / 'run'), '--no-validate'])


def test_the_poison_changes_what_a_labelled_run_would_see(toy_adaptation, tmp_path):
    toy_adaptation()
    path = tmp_path / 'target' / 'labels.json'
    before = json.loads(path.read_text())['annotations']
    poison(path)
    after = json.loads(path.read_text())['annotations']
    assert [a['bbox'] for a in before] == [a['bbox'] for a in after]
    same = [np.array_equal(b['keypoints'], a.get('keypoints', [])) for b, a in zip(before, after)]
    assert not any(same)
