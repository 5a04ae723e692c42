from dataclasses import replace

import pytest
import torch

from mmposeda.structures.bone_transfer import BoneTransfer
from mmposeda.structures.kinematics import KinematicTree, axis_angle_to_matrix, rotate, split_bones
from mmposeda.structures.skeleton import Skeleton

BODY16, H36M = (Skeleton.from_metainfo(name) for name in ('body16_3d', 'h36m'))


def poses(count, joints=17, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, joints, 3, generator=generator, dtype=torch.float64) * 0.4


def edit(pose, skeleton):
    """Five random edits: turns of all bones, and changed lengths; the root stays."""
    tree = KinematicTree(skeleton)
    bones = tree.bones(pose)
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(5, tree.num_bones, 3, generator=generator, dtype=pose.dtype)
    turned = torch.einsum('nbij,bj->nbi', axis_angle_to_matrix(vectors), bones)
    factor = 0.8 + 0.4 * torch.rand(5, tree.num_bones, 1, generator=generator, dtype=pose.dtype)
    return tree.pose(turned * factor, pose[tree.root, None])


def test_the_edited_pose_itself_becomes_the_edit():
    source = poses(1)
    after = edit(source[0], H36M)
    torch.testing.assert_close(BoneTransfer(H36M, H36M)(source, 0, source[0], after)[:, 0], after, rtol=0, atol=1e-12)


def test_joints_of_the_edit_land_where_it_puts_them():
    """Whatever the order of the joints; the joint it does not know stays on its bone."""
    source = poses(1)
    transfer = BoneTransfer(BODY16, H36M)
    after = edit(source[0, transfer.picks], BODY16)
    moved = transfer(source, 0, source[0, transfer.picks], after)[:, 0]
    torch.testing.assert_close(moved[:, transfer.picks], after, rtol=0, atol=1e-12)
    thorax, neck, head = (H36M.index(name) for name in ('thorax', 'neck_base', 'head'))
    old, new = (p[..., [neck, head], :] - p[..., [thorax], :] for p in (source[0], moved))
    stretch = new[:, 1].norm(dim=-1) / old[1].norm()
    # a rigid piece that grows as a whole: lengths and the angle between them
    torch.testing.assert_close(new.norm(dim=-1), stretch[:, None] * old.norm(dim=-1))
    torch.testing.assert_close((new[:, 0] * new[:, 1]).sum(-1), stretch.square() * old[0].dot(old[1]))


def test_the_turn_of_a_bone_is_the_smallest():
    """What lies across both directions turns by as much as the bone, and what is along their axis not at all."""
    source = poses(1)
    transfer = BoneTransfer(BODY16, H36M)
    after = edit(source[0, transfer.picks], BODY16)
    moved = transfer(source, 0, source[0, transfer.picks], after)[:, 0]
    thorax, neck, head = (H36M.index(name) for name in ('thorax', 'neck_base', 'head'))
    for pose in moved:
        old, new = (split_bones(p[[neck, head]] - p[thorax])[0] for p in (source[0], pose))
        axis = torch.linalg.cross(old[1], new[1])
        angle = torch.atan2(axis.norm(), old[1].dot(new[1]))
        expected = axis_angle_to_matrix(axis / axis.norm() * angle) @ old[0]
        torch.testing.assert_close(new[0], expected, rtol=0, atol=1e-9)


def test_the_frame_is_the_trunk():
    """An edit of a person who then turns round and walks off turns and walks with them."""
    base = poses(1)[0]
    turns = axis_angle_to_matrix(torch.tensor([[0.0, 0, 0], [0, 3, 0], [0.5, -1, 2]], dtype=torch.float64))
    shifts = torch.tensor([[0.0, 0, 0], [1, 2, 3], [-1, 0, 4]], dtype=torch.float64)[:, None]
    clip = rotate(turns, base.expand(3, -1, -1)) + shifts
    after = edit(base, H36M)
    moved = BoneTransfer(H36M, H36M)(clip, 0, base, after)
    expected = rotate(turns, after[:, None].expand(-1, 3, -1, -1)) + shifts
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-9)


def test_lengths_change_alike_in_all_poses_and_roots_stay():
    clip = poses(6)
    transfer = BoneTransfer(BODY16, H36M)
    after = edit(clip[2, transfer.picks], BODY16)
    moved = transfer(clip, 2, clip[2, transfer.picks], after)
    assert moved.shape == (5, 6, 17, 3)
    ratio = transfer.tree.bones(moved).norm(dim=-1) / transfer.tree.bones(clip).norm(dim=-1)
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert torch.equal(moved[:, :, 0], clip[None, :, 0].expand(5, -1, -1))


def test_no_edit_changes_nothing():
    clip = poses(4)
    moved = BoneTransfer(H36M, H36M)(clip, 1, clip[1], clip[1:2])
    torch.testing.assert_close(moved[0], clip, rtol=0, atol=1e-12)


def test_bones_without_length_and_opposite_directions_stay_finite():
    pose = poses(2)
    pose[0, 3] = pose[0, 2]
    after = edit(pose[0], H36M)
    tree = KinematicTree(H36M)
    after = torch.cat([after, tree.pose(-tree.bones(pose[0]), pose[0, :1])[None]])
    moved = BoneTransfer(H36M, H36M)(pose, 0, pose[0], after)
    assert moved.isfinite().all()
    torch.testing.assert_close(moved[-1, 0], after[-1], rtol=0, atol=1e-9)
    length = tree.bones(moved[-1]).norm(dim=-1)
    torch.testing.assert_close(length, tree.bones(pose).norm(dim=-1))


def test_single_precision_is_within_micrometres():
    clip = poses(3)
    transfer = BoneTransfer(BODY16, H36M)
    after = edit(clip[0, transfer.picks], BODY16)
    exact = transfer(clip, 0, clip[0, transfer.picks], after)
    rough = transfer(clip.float(), 0, clip[0, transfer.picks].float(), after.float())
    assert rough.dtype == torch.float32 and (rough - exact).abs().max() < 2e-5


def chain(name, parents, names=None):
    """A joint set of a tree with no mirrored joints."""
    names = tuple(names or map(str, range(len(parents))))
    parents = tuple(-1 if p is None else names.index(p) for p in parents)
    return Skeleton(name, names, parents, tuple(range(len(names))), groups={})


class TestTrees:
    def test_what_hangs_from_a_bone_goes_with_it(self):
        arm = chain('arm', (None, 'shoulder', 'elbow'), ('shoulder', 'elbow', 'wrist'))
        hand = chain(
            'hand',
            (None, 'shoulder', 'elbow', 'wrist', 'shoulder'),
            ('shoulder', 'elbow', 'wrist', 'finger', 'collar'),
        )
        transfer = BoneTransfer(arm, hand)
        source = poses(1, 5)
        after = edit(source[0, :3], arm)
        moved = transfer(source, 0, source[0, :3], after)[:, 0]
        torch.testing.assert_close(moved[:, 4], source[0, 4].expand(5, -1))  # at the root
        angle = [((p[..., 3, :] - p[..., 2, :]) * (p[..., 2, :] - p[..., 1, :])).sum(-1) for p in (source[0], moved)]
        stretch = (after[:, 2] - after[:, 1]).norm(dim=-1) / (source[0, 2] - source[0, 1]).norm()
        torch.testing.assert_close(angle[1], angle[0] * stretch.square())

    def test_a_piece_that_two_bones_share_goes_with_what_is_above(self):
        split = chain('split', (None, 'a', 'b', 'b'), ('a', 'b', 'left', 'right'))
        shared = chain('shared', (None, 'a', 'b', 'between', 'between'), ('a', 'b', 'between', 'left', 'right'))
        transfer = BoneTransfer(split, shared)
        source = poses(1, 5)
        before = source[0, transfer.picks]
        after = edit(before, split)
        moved = transfer(source, 0, before, after)[:, 0]
        only = BoneTransfer(chain('up', (None, 'a'), ('a', 'b')), shared)(source, 0, before[:2], after[:, :2])[:, 0]
        torch.testing.assert_close(moved[:, :3], only[:, :3])

    def test_missing_joints_are_named(self):
        with pytest.raises(ValueError, match="'h36m' are edited, but poses of 'body16_3d' do not hold neck_base"):
            BoneTransfer(H36M, BODY16)

    def test_joints_between_others_do_not_do(self):
        with pytest.raises(ValueError, match="poses of 'coco' do not hold root, spine"):
            BoneTransfer(BODY16, Skeleton.from_metainfo('coco'))

    def test_other_trees_are_refused(self):
        down = chain('down', (None, 'a', 'b'), ('a', 'b', 'c'))
        up = chain('up', ('b', 'c', None), ('a', 'b', 'c'))
        with pytest.raises(ValueError, match="from 'a' to 'b' of 'down' is not along the tree of 'up'"):
            BoneTransfer(down, up)

    def test_clips_need_a_trunk(self):
        bare = replace(H36M, name='bare', parts={})
        transfer = BoneTransfer(bare, bare)
        clip = poses(2)
        transfer(clip[:1], 0, clip[0], clip[:1])
        with pytest.raises(ValueError, match="part 'torso', which joint set 'bare' lacks"):
            transfer(clip, 0, clip[0], clip[:1])


def test_the_trunk_is_made_of_its_inner_joints():
    names = [H36M.joint_names[joint] for joint in BoneTransfer(BODY16, H36M).trunk]
    assert names == [
        *('root', 'right_hip', 'left_hip', 'spine', 'thorax', 'neck_base', 'left_shoulder', 'right_shoulder')
    ]
