"""Errors of predicted poses that are given the true bone lengths."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from scipy.spatial.transform import Rotation

from mmposeda.registry import METRICS
from mmposeda.structures.kinematics import KinematicTree
from mmposeda.structures.local_pose import LocalPose
from mmposeda.structures.skeleton import Skeleton, metainfo_path

SETS = ['nlrd15', 'nlrd17', 'h36m', 'mpi_inf_3dhp', 'coco', 'hand21']
MODES = ('mpjpe', 'pa-mpjpe', 'n-mpjpe', 'pck', 'auc')


def build(name, **kwargs):
    metric = METRICS.build(dict(type='LiftingMetric', **{'modes': MODES, **kwargs}))
    metric.dataset_meta = parse_pose_metainfo(dict(from_file=metainfo_path(name)))
    return metric


def batch(predicted, poses, visible=None):
    return dict(
        pred_poses=torch.tensor(predicted),
        poses=torch.tensor(poses),
        visible=torch.ones(poses.shape[:2]) if visible is None else torch.tensor(visible),
        index=torch.arange(len(poses)),
        action=torch.zeros(len(poses), dtype=torch.long),
    )


def score(name, *poses, bone_lengths='gt', **kwargs):
    """Values over all frames by the result's bare name."""
    metric = build(name, bone_lengths=bone_lengths, **kwargs)
    metric.process(None, [batch(*poses)])
    got = metric.evaluate(len(poses[0]))
    end = '-GT-BONES/frames' if bone_lengths == 'gt' else '/frames'
    return {key[8 : -len(end)]: value for key, value in got.items() if key.endswith(end)}


def people(name, count=20, seed=0, noise=0.1):
    """Predictions and labels, metres."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(0, 0.4, (count, Skeleton.from_metainfo(name).num_joints, 3)) + rng.normal(0, 2, (count, 1, 3))
    return poses + rng.normal(0, noise, poses.shape), poses


def outwards(skeleton):
    """Joints but the root, each after its parent."""
    order = [skeleton.parents.index(-1)]
    for joint in order:
        order += [child for child, parent in enumerate(skeleton.parents) if parent == joint]
    return order[1:]


def resized(poses, like, name, visible=None):
    """Bone by bone: directions of poses, lengths of others where both ends are seen."""
    skeleton, out = Skeleton.from_metainfo(name), poses.copy()
    for joint in outwards(skeleton):
        parent = skeleton.parents[joint]
        for i in range(len(poses)):
            bone = poses[i, joint] - poses[i, parent]
            if visible is None or visible[i, joint] and visible[i, parent]:
                bone = bone / np.linalg.norm(bone) * np.linalg.norm(like[i, joint] - like[i, parent])
            out[i, joint] = out[i, parent] + bone
    return out


@pytest.mark.parametrize('name', SETS)
def test_predictions_that_differ_in_bone_lengths_alone_have_no_error(name):
    _, poses = people(name)
    skeleton, rng = Skeleton.from_metainfo(name), np.random.default_rng(1)
    predicted = poses.copy()
    for joint in outwards(skeleton):
        parent = skeleton.parents[joint]
        stretch = rng.uniform(0.3, 3, (len(poses), 1))
        predicted[:, joint] = predicted[:, parent] + stretch * (poses[:, joint] - poses[:, parent])
    assert score(name, predicted, poses, bone_lengths='predicted')['MPJPE'] > 100
    for moved in (predicted, predicted + [3, -1, 2]):
        got = score(name, moved, poses)
        assert [got[mode] for mode in ('MPJPE', 'PA-MPJPE', 'N-MPJPE')] == pytest.approx([0] * 3, abs=1e-9)
        assert got['PCK@150'] == 100 and got['AUC'] == pytest.approx(100 * 30 / 31)


@pytest.mark.parametrize('name', SETS)
def test_values_are_those_of_poses_resized_bone_by_bone(name):
    predicted, poses = people(name)
    want = score(name, resized(predicted, poses, name), poses, bone_lengths='predicted')
    assert score(name, predicted, poses) == pytest.approx(want)
    # where the root stays tells where the pose is
    want = score(name, resized(predicted, poses, name), poses, bone_lengths='predicted', root=[])
    assert score(name, predicted, poses, root=[]) == pytest.approx(want)


def test_bones_with_a_hidden_end_keep_their_length():
    predicted, poses = people('h36m', 60)
    visible = np.random.default_rng(2).random(poses.shape[:2]) > 0.2
    visible[:, 0] = True
    wanted = resized(predicted, poses, 'h36m', visible)
    want = score('h36m', wanted, poses, visible, bone_lengths='predicted')
    poses[~visible] = np.nan
    assert score('h36m', predicted, poses, visible) == pytest.approx(want)
    # a hidden prediction that is no number takes the length of no bone away
    spoiled, leaf = predicted.copy(), Skeleton.from_metainfo('h36m').index('left_wrist')
    spoiled[~visible[:, leaf], leaf] = np.nan
    assert score('h36m', spoiled, poses, visible) == pytest.approx(want)


def test_a_joint_that_is_no_number_is_told_where_it_counts_alone():
    predicted, poses = people('h36m')
    wrist = Skeleton.from_metainfo('h36m').index('left_wrist')
    want = score('h36m', predicted, poses, joints=['head', 'left_elbow'])
    predicted[3, wrist] = np.nan
    assert score('h36m', predicted, poses, joints=['head', 'left_elbow']) == pytest.approx(want)
    with pytest.raises(ValueError, match='1 of 20 predicted poses .* the first is sample 3'):
        score('h36m', predicted, poses)


def test_predictions_of_true_lengths_change_no_value():
    predicted, poses = people('nlrd17')
    kinematics = LocalPose('nlrd17').double()
    lengths = kinematics.bone_lengths(torch.tensor(poses))
    predicted = kinematics.canonical(torch.tensor(predicted), lengths).numpy()
    assert score('nlrd17', predicted, poses) == pytest.approx(
        score('nlrd17', predicted, poses, bone_lengths='predicted')
    )


def test_bones_that_are_too_long_are_never_better():
    """At the root, where no other bone's error is added: the best length is at most the true one, by its cosine."""
    predicted, poses = people('nlrd15', 200)
    root = poses[:, :1]
    for joint in range(1, 15):
        true, bone = (np.linalg.norm(x[:, [joint]] - root, axis=-1)[..., None] for x in (poses, predicted))
        stretch = np.random.default_rng(joint).uniform(1, 2, true.shape)
        predicted[:, [joint]] = root + (predicted[:, [joint]] - root) * true / bone * stretch
    predicted[:, :1] = root
    for joint in ('neck', 'left_hip', 'right_hip'):
        for i in range(200):
            pair = predicted[[i]], poses[[i]]
            one = dict(joints=[joint], modes='mpjpe')
            told = score('nlrd15', *pair, **one)['MPJPE']
            assert told <= score('nlrd15', *pair, bone_lengths='predicted', **one)['MPJPE'] + 1e-9


@pytest.mark.parametrize('bone_lengths', ['gt', 'predicted'])
def test_the_error_after_alignment_does_not_change_with_a_similarity(bone_lengths):
    predicted, poses = people('nlrd17')
    turn = Rotation.random(len(poses), random_state=0).as_matrix()
    want = score('nlrd17', predicted, poses, bone_lengths=bone_lengths)
    for scale in (1.0, 0.3):
        moved = scale * predicted @ turn.transpose(0, 2, 1) + [1.0, -2.0, 5.0]
        got = score('nlrd17', moved, poses, bone_lengths=bone_lengths)
        assert got['PA-MPJPE'] == pytest.approx(want['PA-MPJPE']) and got['MPJPE'] > want['MPJPE'] + 50
    # the size alone is of no account where the lengths are told
    got = score('nlrd17', 0.3 * predicted, poses, bone_lengths=bone_lengths)
    assert (got == pytest.approx(want)) == (bone_lengths == 'gt')


def test_both_protocols_go_into_one_evaluator_under_their_names(monkeypatch):
    printed = []
    monkeypatch.setattr('mmposeda.evaluation.lifting_metric.print_log', lambda text, **_: printed.append(text))
    predicted, poses = people('nlrd15')
    both = Evaluator([build('nlrd15'), build('nlrd15', bone_lengths='gt')])
    both.process([batch(predicted, poses)])
    got = both.evaluate(20)
    assert len(got) == 20 and got['lifting/PCK@150-GT-BONES/actions'] != got['lifting/PCK@150/actions']
    head, *lines = printed[1].splitlines()[1:]
    assert len({len(line) for line in (head, *lines)}) == 1
    assert head.split() == [f'{mode}-GT-BONES' for mode in ('MPJPE', 'PA-MPJPE', 'N-MPJPE', 'PCK@150', 'AUC')]


def test_an_unknown_protocol_is_refused():
    with pytest.raises(ValueError, match="bone_lengths='true', expected one of predicted, gt"):
        build('nlrd15', bone_lengths='true')


class TestTree:
    @pytest.mark.parametrize('dtype, tolerance', [(torch.float32, 1e-5), (torch.float64, 1e-12)])
    def test_bones_have_the_lengths_that_they_are_given(self, dtype, tolerance):
        tree = KinematicTree(Skeleton.from_metainfo('nlrd17'))
        pose = torch.randn(4, 3, 17, 3, dtype=dtype, generator=torch.Generator().manual_seed(0))
        lengths = torch.rand(4, 3, 16, dtype=dtype) + 0.5
        lengths[..., 2] = torch.nan
        got = tree.with_lengths(pose, lengths)
        want = torch.where(lengths.isnan(), tree.bones(pose).norm(dim=-1), lengths)
        assert torch.allclose(tree.bones(got).norm(dim=-1), want, atol=tolerance)
        before, after = (torch.nn.functional.normalize(tree.bones(x), dim=-1) for x in (pose, got))
        assert torch.allclose(before, after, atol=10 * tolerance) and got.dtype == dtype
        assert torch.equal(got[..., tree.root, :], pose[..., tree.root, :])

    def test_a_bone_without_length_or_number_stays(self):
        tree = KinematicTree.from_parents([-1, 0, 1, 0])
        pose = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 1, 0], [torch.nan, 0, 0]])
        got = tree.with_lengths(pose, torch.full((3,), 2.0))
        assert got[:3].tolist() == [[0, 0, 0], [0, 0, 0], [0, 2, 0]] and got[3, 0].isnan()
