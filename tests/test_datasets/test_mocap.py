"""Motion files against the packs made from them by other code."""

from __future__ import annotations

import numpy as np
import pytest

from mmposeda.datasets import npz
from mmposeda.datasets.mocap import JOINT_NAMES, TOES, at_rate, load_mocap, read_acclaim, read_bvh, read_pack
from mmposeda.datasets.mocap_files import write_pack


def pack_clip(folder, name):
    """Joints (F, 17, 3) of one clip of the CMU pack, capture world, mm, 30 frames a second."""
    with np.load(folder / 'cmu_h36m17_30fps.npz') as data:
        k = [str(c) for c in data['clip_id']].index(name)
        part = slice(data['clip_start'][k], data['clip_start'][k] + data['clip_len'][k])
        return data['poses'][part] + data['root'][part, None]


@pytest.mark.parametrize('name', ['02_01', '05_06', '131_03'])
def test_bvh_agrees_with_the_pack(shared_data, name):
    pytest.importorskip('pybvh', reason='reading BVH needs the extra synth (pybvh)')
    folder = shared_data / 'cmu_mocap'
    joints, fps = read_bvh(folder / 'raw' / f'{name}.bvh')
    assert round(fps) == 120
    theirs = pack_clip(folder, name)
    error = np.linalg.norm(joints[::4][: len(theirs)] - theirs, axis=-1).max(0)
    exact = [k for k, j in enumerate(JOINT_NAMES) if not (j == 'head' and name == '05_06')]
    assert error[exact].max() < 0.1  # mm
    assert error.max() < 5  # the file without a head end


def test_acclaim_agrees_with_known_measures(shared_data):
    raw = shared_data / 'cmu_mocap' / 'raw'
    joints, fps = read_acclaim(raw / '01.asf', raw / '01_01_first600.amc')
    assert joints.shape == (600, 17, 3) and fps == 120
    at = {n: joints[0, k] for k, n in enumerate(JOINT_NAMES)}
    assert abs(np.linalg.norm(at['thorax'] - at['root']) - 451) < 1
    assert abs(np.linalg.norm(at['left_shoulder'] - at['right_shoulder']) - 367) < 1
    shin = np.linalg.norm(joints[:, JOINT_NAMES.index('left_knee')] - joints[:, JOINT_NAMES.index('left_foot')], axis=1)
    assert np.ptp(shin) < 0.01


@pytest.mark.parametrize('name', ['02_01.bvh', '05_06.bvh', '01.asf'])
def test_toes_come_on_request_for_every_naming_habit(shared_data, name):
    raw = shared_data / 'cmu_mocap' / 'raw'
    if name.endswith('bvh'):
        pytest.importorskip('pybvh', reason='reading BVH needs the extra synth (pybvh)')
        plain, with_toes = (read_bvh(raw / name, toes=toes)[0] for toes in (False, True))
    else:
        plain, with_toes = (read_acclaim(raw / name, raw / '01_01_first600.amc', toes=toes)[0] for toes in (0, 1))
    assert with_toes.shape[1] == 19
    np.testing.assert_array_equal(with_toes[:, :17], plain)
    for number, toe in enumerate(TOES, 17):
        foot = JOINT_NAMES.index(toe.replace('toe', 'foot'))
        length = np.linalg.norm(with_toes[:, number] - with_toes[:, foot], axis=-1)
        assert length.min() > 110 and length.max() < 145 and np.ptp(length) < 0.01  # mm, from ankle to ball


def test_the_whole_feet_of_the_same_clip_agree(shared_data):
    """Toes of a BVH file lie as far from the ankle as its own skeleton says."""
    pytest.importorskip('pybvh', reason='reading BVH needs the extra synth (pybvh)')
    joints, _ = read_bvh(shared_data / 'cmu_mocap' / 'raw' / '02_01.bvh', toes=True)
    length = np.linalg.norm(joints[:, JOINT_NAMES.index('left_foot')] - joints[:, 18], axis=-1)
    offset = np.linalg.norm([0.19704, -0.54136, 2.14581]) * 25.4 / 0.45
    np.testing.assert_allclose(length, offset, atol=1e-2)


def test_packs_with_toes_serve_both(tmp_path):
    poses = np.random.default_rng(0).normal(0, 300, (5, 19, 3)).astype('f4')
    np.savez(tmp_path / 'a.npz', **pack(poses=poses, joint_names=np.array(JOINT_NAMES + TOES)))
    np.testing.assert_array_equal(load_mocap([tmp_path / 'a.npz']).poses, poses[:, :17])
    np.testing.assert_array_equal(load_mocap([tmp_path / 'a.npz'], toes=True).poses, poses)
    np.savez(tmp_path / 'b.npz', **pack())
    with pytest.raises(ValueError, match=r"b\.npz: this pack has no toes.*skeleton='nlrd15'"):
        load_mocap([tmp_path / 'a.npz', tmp_path / 'b.npz'], toes=True)
    np.savez(tmp_path / 'c.npz', **pack(joint_names=np.array(JOINT_NAMES + TOES)))
    with pytest.raises(ValueError, match=r'poses \(5, 17, 3\) and .*expected \(F, 19, 3\)'):
        read_pack(tmp_path / 'c.npz')


@pytest.mark.parametrize('toes', [False, True])
def test_a_pack_written_is_the_pack_read(shared_data, tmp_path, toes):
    raw = shared_data / 'cmu_mocap' / 'raw'
    clips = load_mocap([(raw / '01.asf', raw / '01_01_first600.amc')] * 2, toes=toes, fps=30)
    write_pack(tmp_path / 'a.npz', clips)
    again = load_mocap([tmp_path / 'a.npz'], toes=toes)
    assert again.poses.shape == (300, 19 if toes else 17, 3)
    for key in ('poses', 'root', 'starts', 'lengths'):
        np.testing.assert_array_equal(getattr(again, key), getattr(clips, key))
    assert (again.fps, again.names, again.subjects) == (30, 2 * ['01_01_first600'], 2 * ['01'])
    assert load_mocap([tmp_path / 'a.npz']).poses.shape == (300, 17, 3)


@pytest.mark.parametrize('fps, step', [(30, 1), (15, 2), (10, 3), (29.99, 1)])
def test_whole_steps_leave_frames_out_untouched(tmp_path, fps, step):
    poses = np.random.default_rng(0).normal(size=(30, 17, 3))
    np.savez(tmp_path / 'a.npz', **pack(poses=poses, clip_start=np.array([0, 20]), clip_len=np.array([20, 10])))
    clips = at_rate(read_pack(tmp_path / 'a.npz'), fps)
    np.testing.assert_array_equal(clips.poses, np.concatenate([poses[:20:step], poses[20::step]]))
    assert clips.lengths.tolist() == [len(range(0, 20, step)), len(range(0, 10, step))] and clips.fps == fps
    assert clips.starts.tolist() == [0, clips.lengths[0]]


@pytest.mark.parametrize('fps', [12, 25, 50, 100])
def test_other_rates_agree_with_interpolation_in_time(tmp_path, fps):
    poses = np.random.default_rng(0).normal(size=(30, 17, 3))
    np.savez(tmp_path / 'a.npz', **pack(poses=poses, clip_start=np.array([0, 20]), clip_len=np.array([20, 10])))
    clips = at_rate(read_pack(tmp_path / 'a.npz'), fps)
    for number, (first, length) in enumerate(((0, 20), (20, 10))):
        times = np.arange(clips.lengths[number]) / fps
        assert times[-1] <= (length - 1) / 30 + 1e-9 < times[-1] + 1 / fps
        got = clips.poses[clips.starts[number] :][: clips.lengths[number], 5, 1]
        want = np.interp(times, np.arange(length) / 30, poses[first : first + length, 5, 1])
        np.testing.assert_allclose(got, want, atol=1e-5)


def test_packs_and_files_come_together(shared_data):
    folder = shared_data / 'cmu_mocap'
    pack = read_pack(folder / 'deepmimic_h36m17_30fps.npz')
    pair = (folder / 'raw' / '01.asf', folder / 'raw' / '01_01_first600.amc')
    both = load_mocap([folder / 'deepmimic_h36m17_30fps.npz', pair])
    assert len(both.poses) == len(pack.poses) + 150 and len(both.starts) == len(pack.starts) + 1
    rng = np.random.default_rng(0)
    chosen = both.draw(rng, 500)
    assert chosen.max() < len(both.poses)
    clip = both.draw_clip(rng, 40)
    assert len(clip) == 40 and np.abs(np.diff(clip)).max() == 1


def test_bad_motion_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.bvh'):
        load_mocap([tmp_path / 'gone.bvh'])
    (tmp_path / 'a.csv').write_text('1')
    with pytest.raises(ValueError, match='npz packs'):
        load_mocap([tmp_path / 'a.csv'])
    np.savez(tmp_path / 'b.npz', poses=np.zeros((2, 17, 3)))
    with pytest.raises(ValueError, match='not a motion pack.*clip_len'):
        load_mocap([tmp_path / 'b.npz'])


def pack(**changes):
    arrays = dict(poses=np.zeros((5, 17, 3)), clip_start=np.array([0, 3]), clip_len=np.array([3, 2]), fps=30)
    return {**arrays, 'joint_names': np.array(JOINT_NAMES), **changes}


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(poses=np.zeros((5, 16, 3))), 'poses .*expected'),
        (dict(root=np.zeros((4, 3))), 'root .*expected'),
        (dict(clip_len=np.array([3, 9])), 'beyond its 5 poses'),
        (dict(clip_start=np.array([-1, 3])), 'beyond its 5 poses'),
        (dict(poses=np.full((5, 17, 3), np.nan)), 'not finite'),
        (dict(fps=np.inf), 'not finite'),
    ],
)
def test_packs_that_contradict_themselves(tmp_path, changes, message):
    np.savez(tmp_path / 'a.npz', **pack())
    assert len(read_pack(tmp_path / 'a.npz').poses) == 5
    np.savez(tmp_path / 'a.npz', **pack(**changes))
    with pytest.raises(ValueError, match=rf'a\.npz: .*{message}'):
        read_pack(tmp_path / 'a.npz')


class Payload:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, 'w')


def test_hostile_packs_are_refused_by_name(tmp_path, monkeypatch):
    path, marker = tmp_path / 'a.npz', tmp_path / 'ran'
    np.savez(path, **pack(joint_names=np.array([Payload(marker)] * 17, object)))
    with pytest.raises(ValueError, match=r'a\.npz is no usable npz file: Object arrays'):
        read_pack(path)
    assert not marker.exists()
    np.savez(path, **pack())
    content = path.read_bytes()
    for broken in (b'', b'junk', content[:-30], content[:400] + b'x' * 60 + content[460:]):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r'a\.npz is no usable npz file'):
            read_pack(path)
    np.savez_compressed(path, **pack(other=np.zeros(2**20)))
    assert path.stat().st_size < 2**14
    monkeypatch.setattr(npz, 'MAX_BYTES', 2**20)
    with pytest.raises(ValueError, match='unpacks to .* more than'):
        read_pack(path)
