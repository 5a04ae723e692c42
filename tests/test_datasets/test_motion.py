"""Windows of motion capture against the files they are cut from."""

import numpy as np
import pytest
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader

from mmposeda.datasets import MocapMotionDataset, take_batch
from mmposeda.datasets.mocap import JOINT_NAMES, TOES, read_pack
from mmposeda.engine.resumable_loader import ResumableLoader
from mmposeda.registry import DATASETS


def write_pack(path, lengths=(9, 5), names=('01_01', '02_01'), toes=False, fps=30, scale=1000.0):
    """Clips whose joint j of frame f of clip c is at (f, j, 10 c) of a metre."""
    joints = JOINT_NAMES + TOES if toes else JOINT_NAMES
    count, ends = sum(lengths), np.cumsum(lengths)
    poses = np.zeros((count, len(joints), 3), np.float32)
    poses[..., 0] = np.concatenate([np.arange(n) for n in lengths])[:, None] / 100
    poses[..., 1] = np.arange(len(joints)) / 10
    poses[..., 2] = np.repeat(np.arange(len(lengths)), lengths)[:, None] / 10
    np.savez(
        path, poses=poses * scale, clip_start=ends - lengths, clip_len=np.array(lengths), clip_id=np.array(names),
        subject=np.array([name[:2] for name in names]), action=np.array(['walk', 'run', 'jump'][: len(lengths)]),
        fps=fps, joint_names=np.array(joints),
    )  # fmt: skip
    return str(path)


def build(path, **kwargs):
    return DATASETS.build(dict(type='MocapMotionDataset', files=path, **kwargs))


@pytest.mark.parametrize(
    'frames, stride, starts', [(1, 1, [*range(14)]), (4, 1, [*range(6), 9, 10]), (5, 2, [0, 2, 4, 9])]
)
def test_windows_never_leave_their_clip(tmp_path, frames, stride, starts):
    dataset = build(write_pack(tmp_path / 'a.npz'), frames=frames, stride=stride)
    assert len(dataset) == len(starts) and dataset.starts.tolist() == starts
    motion = dataset.__getitems__(list(range(len(dataset))))['inputs']['motion']
    assert motion.shape == (len(starts), frames, 15, 3) and motion.dtype == torch.float32
    steps = motion[..., 0, 0].diff(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 10))  # mm a frame
    assert (motion[..., 2] == motion[:, :1, :1, 2]).all()
    assert [dataset.clip_names[c] for c in dataset.clip] == ['01_01' if s < 9 else '02_01' for s in starts]


def test_axes_are_those_of_a_camera_in_front_and_joints_are_mapped_by_name(tmp_path):
    path = write_pack(tmp_path / 'a.npz', toes=True)
    dataset = build(path, skeleton='nlrd17')
    pose = dataset[9]['inputs']['motion'][0, 0]  # first frame of the second clip
    own = dict(pelvis='root', neck='thorax', head_top='head', right_ankle='right_foot', right_foot='right_toe')
    own.update(left_ankle='left_foot', left_foot='left_toe')
    for name, place in zip(dataset.skeleton.joint_names, pose):
        row = (JOINT_NAMES + TOES).index(own.get(name, name))
        torch.testing.assert_close(place, torch.tensor([0.0, -100.0 * row, -100.0]))
    assert dataset.metainfo['dataset_name'] == 'nlrd17'
    assert dataset[9]['data_samples']['index'].tolist() == [9]


def test_other_joint_sets(tmp_path):
    path = write_pack(tmp_path / 'a.npz')
    assert build(path, skeleton='h36m').poses.shape == (14, 17, 3)
    short = build(path, skeleton='nlrd15')
    long = build(write_pack(tmp_path / 'b.npz', toes=True), skeleton='nlrd17')
    at = [long.skeleton.index(name) for name in short.skeleton.joint_names]
    torch.testing.assert_close(short.poses, long.poses[:, at], rtol=0, atol=0)


@pytest.mark.parametrize('fps', [60, 30, 15, 20, 45])
def test_other_frame_rates_keep_the_speed(tmp_path, fps):
    dataset = build(write_pack(tmp_path / 'a.npz', lengths=(61,), names=('01_01',), fps=30), fps=fps, frames=2)
    assert len(dataset) == 2 * fps  # 2 seconds
    motion = dataset.__getitems__(list(range(len(dataset))))['inputs']['motion']
    step = motion[:, 1, 0, 0] - motion[:, 0, 0, 0]
    torch.testing.assert_close(step, torch.full_like(step, 10 * 30 / fps), rtol=1e-4, atol=1e-3)


def test_clips_are_chosen_by_name(tmp_path):
    path = write_pack(tmp_path / 'a.npz')
    assert build(path, clips=['02_01']).clip_names == ['02_01'] and len(build(path, subjects=['01'])) == 9
    assert build(path, actions=['run']).clip_names == ['02_01']
    with pytest.raises(ValueError, match='got actions=.*expected a list of run, walk; unknown: fly'):
        build(path, actions=['fly'])
    with pytest.raises(ValueError, match='no clip of clips'):
        build(path, actions=['run'], subjects=['01'])


def test_short_clips_are_left_out_and_counted(tmp_path, caplog):
    path = write_pack(tmp_path / 'a.npz')
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    assert build(path, frames=6).clip_names == ['01_01']
    logger.removeHandler(caplog.handler)
    assert '1 of 2 clips are left out, as they are shorter than a window of 6 frames' in caplog.text
    with pytest.raises(ValueError, match='the longest of 2 clips has 9 frames at 30 a second, fewer than'):
        build(path, frames=10)


def test_what_cannot_be_read_says_why(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'gone\.npz does not exist\. CMU'):
        build('gone.npz', data_root=str(tmp_path))
    pack = write_pack(tmp_path / 'a.npz')
    with pytest.raises(ValueError, match=r"a\.npz: this pack has no toes.*skeleton='nlrd15'"):
        build(pack, skeleton='nlrd17')
    with pytest.raises(ValueError, match='does not give spine1.* of .smpl24.'):
        build(write_pack(tmp_path / 'toes.npz', toes=True), skeleton='smpl24')
    with pytest.raises(ValueError, match='people span 1.6 where millimetres'):
        build(write_pack(tmp_path / 'metres.npz', scale=1.0))
    for wrong in (dict(frames=0), dict(frames=2.0), dict(stride=0), dict(fps=0)):
        with pytest.raises(ValueError, match=f'MocapMotionDataset got {next(iter(wrong))}='):
            build(pack, **wrong)
    with pytest.raises(ValueError, match='names no motion file'):
        build([])


def test_a_loader_gives_whole_batches_and_resumes(tmp_path):
    dataset = build(write_pack(tmp_path / 'a.npz'), frames=3)

    def batches(start, count):
        loader = DataLoader(dataset, 4, sampler=InfiniteSampler(dataset, seed=0), collate_fn=take_batch)
        loader = ResumableLoader(loader, seed=0, endless=True)
        loader.begin(start)
        found = iter(loader)
        return [next(found) for _ in range(count)]

    whole = batches(0, 7)
    assert [batch['inputs']['motion'].shape for batch in whole] == 7 * [(4, 3, 15, 3)]
    again = batches(5, 2)
    assert [b['data_samples']['index'].tolist() for b in again] == [
        b['data_samples']['index'].tolist() for b in whole[5:]
    ]
    indices = whole[0]['data_samples']['index']
    for row, index in zip(whole[0]['inputs']['motion'], indices):
        torch.testing.assert_close(row, dataset[int(index)]['inputs']['motion'][0])
    assert [len(dataset[i]['inputs']['motion']) for i in (-1, 0)] == [1, 1] and len([*dataset]) == len(dataset)


def test_real_motion_is_upright_before_the_camera_and_smooth(shared_data):
    folder = shared_data / 'cmu_mocap'
    if not (folder / 'cmu_h36m17_30fps.npz').is_file():
        pytest.skip(f'no motion packs in {folder}')
    dataset = MocapMotionDataset(data_root=str(folder), frames=60, actions=['walk'])
    joints, pack = dataset.skeleton, read_pack(folder / 'cmu_h36m17_30fps.npz')
    poses = dataset.poses
    assert len(poses) <= len(pack.poses) and poses[:, joints.index('pelvis')].abs().max() < 1e-3
    assert (poses[:, joints.index('head_top'), 1] < -500).all()  # y points down
    assert (poses[:, joints.index('left_ankle'), 1] > 300).all()
    motion = dataset.__getitems__(list(range(0, len(dataset), 50)))['inputs']['motion']
    assert motion.diff(dim=1).norm(dim=-1).max() < 300  # 9 m/s
    shin = (motion[:, :, joints.index('left_knee')] - motion[:, :, joints.index('left_ankle')]).norm(dim=-1)
    assert (shin - shin[:, :1]).abs().max() < 0.1


def test_real_toes_lie_before_the_ankles(shared_data):
    raw = shared_data / 'cmu_mocap' / 'raw'
    if not (raw / '01.asf').is_file():
        pytest.skip(f'no ASF and AMC files in {raw}')
    dataset = MocapMotionDataset([('01.asf', '01_01_first600.amc')], str(raw), 'nlrd17', frames=30)
    assert dataset.poses.shape == (150, 17, 3)  # 120 frames a second on disk
    for side in ('left', 'right'):
        ankle, foot = (dataset.poses[:, dataset.skeleton.index(f'{side}_{name}')] for name in ('ankle', 'foot'))
        length = (foot - ankle).norm(dim=-1)
        assert (length - 136).abs().max() < 5 and np.ptp(length.numpy()) < 0.01  # 2.4 units of CMU's
        assert ((foot - ankle)[:, 1] > 0).float().mean() > 0.9  # the ball of the foot lies below the ankle
