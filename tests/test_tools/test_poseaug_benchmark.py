"""The benchmark of PoseAug's epoch at a tiny size, beside the authors' code where a clone is given."""

import os
import re
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
TINY = ['--method', 'poseaug', '--poses', '32', '--batch', '16', '--repeats', '1', '--device', 'cpu']
VARIABLE = 'MMPOSEDA_REFERENCE_POSEAUG'


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'benchmarks'))


@pytest.fixture
def speed(path):
    import step_speed

    return step_speed


@pytest.fixture
def clone():
    if not os.environ.get(VARIABLE):
        pytest.skip(f"no clone of the authors' code; set {VARIABLE}")
    return os.environ[VARIABLE]


def ratios(output):
    return {name: float(value) for name, value in re.findall(r'^(\w+ / \w+) +([\d.]+)$', output, re.MULTILINE)}


@pytest.fixture
def small(path, monkeypatch):
    """Epochs of a tiny lifter, three steps of 16 poses each way."""
    import step_poseaug
    from mmengine.registry import init_default_scope

    init_default_scope('mmposeda')

    def build(order='epoch'):
        args = Namespace(lifter='small', poses=48, batch=16, device='cpu', order=order, now=lambda: 0.0)
        return step_poseaug.Epochs(args)

    return build


@pytest.mark.parametrize('order', ['epoch', 'joint'])
def test_prints_poses_a_second_against_the_networks(order, speed, capsys):
    speed.main([*TINY, '--lifter', 'gcn', '--order', order])
    output = capsys.readouterr().out
    assert ratios(output).keys() == {'step / bare'}
    assert re.search(r'^poseaug, gcn, 32 poses, batch 16, .*, cpu, wall time$', output, re.MULTILINE)
    assert len(re.findall(r' \d+ poses/s$', output, re.MULTILINE)) == 2
    assert ('fakes kept 100.0 %' in output) == (order == 'epoch')


def test_an_epoch_goes_through_all_poses_in_each_phase(small):
    epochs = small()
    epochs()
    epochs()
    assert list(epochs.phases.poses.values()) == [96, 96, 96] and list(epochs.phases.steps.values()) == [6, 6, 6]


def test_a_joint_epoch_makes_all_updates_of_each_batch(small):
    epochs = small('joint')
    before = {name: [p.clone() for p in getattr(epochs.model, name).parameters()] for name in ('student', 'augmentor')}
    epochs()
    assert dict(epochs.phases.steps) == {'augmentor and discriminators': 3}
    for name, weights in before.items():
        assert not any(map(torch.equal, weights, getattr(epochs.model, name).parameters()))


def test_the_networks_alone_leave_the_run_as_it_is(small):
    epochs = small()
    before = {key: value.clone() for key, value in epochs.model.state_dict().items()}
    epochs.networks(16)()
    assert all(torch.equal(value, before[key]) for key, value in epochs.model.state_dict().items())


def test_drawn_poses_lie_in_the_picture(path):
    from poseaug_data import DrawnPoses

    from mmposeda.structures.lifting_camera import in_view

    inputs = DrawnPoses(number=500).__getitems__(range(500))['inputs']
    assert in_view(inputs['pose'], inputs['keypoints'], inputs['aspect']).all()


def test_reads_of_the_host_are_counted_by_line(path):
    from poseaug_costs import HostReads

    x = torch.arange(4.0)
    with HostReads('cpu') as reads:
        (x * 2).sum().square()
        x.sum().item()
        x[x > 1]
        for _ in range(3):
            float(x.mean())
    calls = {place.rsplit(' ', 1)[1]: count for place, count in reads.places.items()}
    assert calls == {'item': 1, '__getitem__': 1, '__float__': 3}
    assert all(place.startswith('tests/test_tools/test_poseaug_benchmark.py:') for place in reads.places)


def test_step_numbers_of_an_optimiser_are_no_reads(path):
    from poseaug_costs import HostReads

    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    weight.sum().backward()
    with HostReads('cpu') as reads:
        optimizer.step()
    assert not reads.places and reads.own


def test_the_profile_names_steps_and_lines(small):
    from poseaug_costs import host_waits

    epochs = small()
    report = host_waits(epochs, epochs.phases.steps, 'cpu').splitlines()
    assert report[0].startswith('profiled, in each of 9 steps: ')
    assert re.match(r'read by the host, [\d.]+ times a step and [\d.]+ by optimisers for themselves:$', report[1])
    assert all(re.match(r' +[\d.]+ \S+\.py:\d+ .+, \w+$', line) for line in report[2:])


class Epoch:
    """Holds and adds known memory for each pose."""

    def __init__(self, args):
        self.number = args.poses
        self.held = np.ones(3000 * self.number, np.uint8)

    def __call__(self):
        np.ones(5000 * self.number, np.uint8)


@pytest.mark.skipif(not os.path.exists('/proc/self/clear_refs'), reason='no /proc')
def test_memory_of_a_pose_is_measured(path):
    from poseaug_costs import memory

    report = memory(Epoch, Namespace(), (2000, 10000))
    held, added = map(int, re.search(r'bytes a pose: (\d+) before, an epoch adds (\d+)', report).groups())
    assert held == pytest.approx(3000, rel=0.1) and added == pytest.approx(5000, rel=0.1)


def test_a_folder_that_is_no_clone_is_refused_by_name(speed, tmp_path):
    with pytest.raises(FileNotFoundError, match='is no clone of jfzhang95/PoseAug'):
        speed.main([*TINY, '--reference', str(tmp_path)])


def test_a_smaller_last_batch_is_refused(speed, capsys):
    with pytest.raises(SystemExit):
        speed.main(['--method', 'poseaug', '--poses', '40', '--batch', '16'])
    assert 'must be a multiple of --batch 16' in capsys.readouterr().err


@pytest.mark.parametrize('angle', [0.0, 1.0, np.pi])
def test_the_stand_in_turns_about_the_axis_by_its_norm(angle, path):
    from poseaug_reference import angle_axis_to_rotation_matrix
    from scipy.spatial.transform import Rotation

    vectors = torch.nn.functional.normalize(torch.randn(5, 3), dim=1) * angle
    matrices = angle_axis_to_rotation_matrix(vectors)
    assert matrices.shape == (5, 4, 4) and torch.equal(matrices[:, 3], torch.tensor([0.0, 0, 0, 1]).expand(5, 4))
    expected = torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix()).float()
    torch.testing.assert_close(matrices[:, :3, :3], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('lifter', ['vpose', 'mlp', 'gcn', 'stgcn'])
def test_runs_the_authors_epoch_and_leaves_no_trace_of_it(lifter, speed, clone, capsys):
    finders, search, command, here = list(sys.meta_path), list(sys.path), list(sys.argv), os.getcwd()
    speed.main([*TINY, '--lifter', lifter, '--reference', clone])
    output = capsys.readouterr().out
    assert ratios(output).keys() == {'step / bare', 'reference / step'}
    assert re.search(r'^reference +swap of lengths .* lifter on real .*; fakes kept 100.0 %$', output, re.MULTILINE)
    assert sys.meta_path == finders and sys.path == search and sys.argv == command and os.getcwd() == here
    assert not {'common', 'utils', 'progress', 'torchgeometry', 'tensorboardX'} & sys.modules.keys()
    assert 'int' not in vars(np)
