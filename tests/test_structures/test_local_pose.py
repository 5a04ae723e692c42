"""Local vectors and forward kinematics of bodies."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mmposeda.structures.local_pose import CANONICAL_LENGTHS, LocalPose
from mmposeda.structures.skeleton import Skeleton

SETS = ('nlrd17', 'nlrd15')


def some_poses(kinematics, count=64, seed=0):
    """Random poses in float64, joints anywhere."""
    generator = torch.Generator().manual_seed(seed)
    pose = torch.randn(count, kinematics.num_joints, 3, generator=generator, dtype=torch.float64)
    return pose - pose[:, kinematics.root, None]


@pytest.fixture(params=[(name, torso) for name in SETS for torso in ('hips', 'shoulders')], ids='-'.join)
def kinematics(request):
    name, torso = request.param
    return LocalPose(name, torso).double()


def test_own_lengths_give_the_pose_back(kinematics):
    pose = some_poses(kinematics)
    back = kinematics.pose(kinematics.local(pose), kinematics.bone_lengths(pose))
    torch.testing.assert_close(back, pose, atol=1e-9, rtol=0)


def test_local_vectors_of_canonical_poses_are_those_put_in(kinematics):
    local = kinematics.local(some_poses(kinematics))
    torch.testing.assert_close(kinematics.local(kinematics.pose(local)), local, atol=1e-9, rtol=0)


def test_canonical_poses_stay(kinematics):
    once = kinematics.canonical(some_poses(kinematics))
    torch.testing.assert_close(kinematics.canonical(once), once, atol=1e-12, rtol=0)
    torch.testing.assert_close(kinematics.pose(kinematics.local(once)), once, atol=1e-9, rtol=0)


def test_lengths_are_those_of_the_table(kinematics):
    found = kinematics.bone_lengths(kinematics.canonical(some_poses(kinematics)))
    names = kinematics.skeleton.joint_names
    wanted = [CANONICAL_LENGTHS.get(name.split('_', 1)[-1] if name[0] in 'lr' else name, 0.0) for name in names]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64).expand_as(found))
    assert wanted[names.index('head_top')] == 2.0
    assert wanted[names.index('left_knee')] == 4.2


def test_the_view_is_in_the_torso_alone(kinematics):
    pose = some_poses(kinematics)
    turn = torch.from_numpy(Rotation.random(random_state=0).as_matrix())
    before, after = kinematics.local(pose), kinematics.local(pose @ turn.T)
    torso = [joint for joint, name in enumerate(kinematics.skeleton.joint_names) if name in ('neck', 'pelvis')]
    torso += kinematics.skeleton.index_all(['left_hip', 'right_hip'])
    if (after - before)[:, kinematics.skeleton.index('left_shoulder')].abs().max() > 1e-3:
        torso += kinematics.skeleton.index_all(['left_shoulder', 'right_shoulder'])
    rest = [joint for joint in range(kinematics.num_joints) if joint not in torso]
    assert len(rest) >= kinematics.num_joints - 6
    torch.testing.assert_close(after[:, rest], before[:, rest], atol=1e-9, rtol=0)
    torch.testing.assert_close(after[:, torso], before[:, torso] @ turn.T, atol=1e-9, rtol=0)


def test_flipping_and_re_posing_commute(kinematics):
    pose = some_poses(kinematics)
    mirror = torch.tensor([-1.0, 1, 1], dtype=torch.float64)

    def flip(x):
        return x[:, kinematics.skeleton.flip_indices, :] * mirror

    torch.testing.assert_close(flip(kinematics.canonical(pose)), kinematics.canonical(flip(pose)), atol=1e-12, rtol=0)


def test_the_elbow_bends_in_the_frame_of_the_shoulders():
    """Computed by hand for a person who stands upright and reaches forward with the left upper arm."""
    kinematics = LocalPose('nlrd15').double()
    names = kinematics.skeleton.joint_names
    place = dict(
        neck=(0, -4.0, 0),
        left_hip=(1, 0, 0),
        right_hip=(-1, 0, 0),
        left_shoulder=(1, -4, 0),
        right_shoulder=(-1, -4, 0),
        left_elbow=(1, -4, -2),
        right_elbow=(-1, -2, 0),
    )
    pose = torch.randn(len(names), 3, dtype=torch.float64)
    for name, xyz in place.items():
        pose[names.index(name)] = torch.tensor(xyz, dtype=torch.float64)
    pose[kinematics.root] = 0
    local = kinematics.local(pose)
    # axes: to the left, up along the spine, and right x up = away from the camera's front: (1,0,0) x (0,-1,0) = -z
    torch.testing.assert_close(local[names.index('left_elbow')], torch.tensor([0.0, 0, 1]).double())
    torch.testing.assert_close(local[names.index('right_elbow')], torch.tensor([0.0, -1, 0]).double())
    torch.testing.assert_close(local[names.index('left_shoulder')], torch.tensor([1.0, 0, 0]).double())


def degenerate(kinematics):
    """Poses with parallel or missing bones: straight limbs, hips along the spine, all joints in one point."""
    count, names = kinematics.num_joints, list(kinematics.skeleton.joint_names)
    line = torch.arange(count, dtype=torch.float64)[:, None] * torch.tensor([0.3, 0.5, 0.81], dtype=torch.float64)
    line = line - line[kinematics.root]
    along_spine = some_poses(kinematics, 1)[0]
    along_spine[names.index('left_hip')] = along_spine[names.index('neck')] * 0.5
    along_spine[names.index('right_hip')] = -along_spine[names.index('neck')] * 0.5
    same_hips = some_poses(kinematics, 1, seed=1)[0]
    same_hips[names.index('left_hip')] = same_hips[names.index('right_hip')]
    return dict(line=line, along_spine=along_spine, same_hips=same_hips)


@pytest.mark.parametrize('which', ['line', 'along_spine', 'same_hips'])
def test_degenerate_poses_come_back_with_finite_gradients(kinematics, which):
    pose = degenerate(kinematics)[which].requires_grad_()
    lengths = kinematics.bone_lengths(pose)
    back = kinematics.pose(kinematics.local(pose), lengths)
    torch.testing.assert_close(back, pose, atol=1e-6, rtol=0)
    back.square().sum().backward()
    assert pose.grad.isfinite().all()


def test_a_pose_in_one_point_is_finite(kinematics):
    pose = torch.zeros(2, kinematics.num_joints, 3, dtype=torch.float64, requires_grad=True)
    out = kinematics.pose(kinematics.local(pose))
    out.sum().backward()
    assert out.isfinite().all()
    assert pose.grad.isfinite().all()


def test_sequences_are_poses_one_by_one():
    kinematics = LocalPose('nlrd17')
    pose = torch.randn(2, 5, 17, 3)
    together = kinematics.pose(kinematics.local(pose))
    single = torch.stack([torch.stack([kinematics.pose(kinematics.local(frame)) for frame in clip]) for clip in pose])
    torch.testing.assert_close(together, single, atol=1e-5, rtol=0)


def test_other_bodies_are_refused():
    with pytest.raises(ValueError, match="skeleton 'h36m' is not the body"):
        LocalPose('h36m')
    with pytest.raises(ValueError, match='torso must be one of'):
        LocalPose('nlrd17', 'spine')


def test_without_toes_the_rest_is_the_same():
    whole, less = Skeleton.from_metainfo('nlrd17'), Skeleton.from_metainfo('nlrd15')
    assert less.joint_names == tuple(name for name in whole.joint_names if 'foot' not in name)
    pose = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 17, 3)))
    kept = whole.map_to(less).indices.tolist()
    torch.testing.assert_close(LocalPose(less).local(pose[:, kept]), LocalPose(whole).local(pose)[:, kept])
