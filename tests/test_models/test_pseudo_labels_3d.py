"""3D masks and their combination against loops over joints, closed forms and the course of a run."""

import pytest
import torch

from mmposeda.models import pseudo_labels_3d
from mmposeda.models.networks import DepthBranch
from mmposeda.models.pseudo_labels_3d import (
    BoneStatistics,
    KinematicScorer,
    MaskCombiner,
    ScoredJoints,
    mask_overlap,
    select_stable,
)
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

HAND = Skeleton.from_metainfo('hand21')


def poses(batch, seed=0, noise=0.05):
    """Hands of one shape, a little off each, turned at random, from the middle knuckle in lengths of the palm."""
    generator = torch.Generator().manual_seed(seed)
    one = torch.randn(21, 3, generator=torch.Generator().manual_seed(99))
    joints = one + noise * torch.randn(batch, 21, 3, generator=generator)
    turn = torch.linalg.qr(torch.randn(batch, 3, 3, generator=generator)).Q
    branch = DepthBranch(HAND, 'middle_finger1', ('wrist', 'middle_finger1'))
    return branch.relative(100 * joints @ turn)


def bone_lengths(joints):
    pairs = [(joint, parent) for joint, parent in enumerate(HAND.parents) if parent >= 0]
    return torch.stack([(joints[:, joint] - joints[:, parent]).norm(dim=-1) for joint, parent in pairs], 1)


class TestBoneStatistics:
    def test_of_batches_are_those_of_all_poses(self):
        statistics, all_poses = BoneStatistics('hand21'), poses(100)
        for part in all_poses.split([1, 30, 69]):
            statistics.update(part)
        lengths = bone_lengths(all_poses)
        torch.testing.assert_close(statistics.mean, lengths.mean(0), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(statistics.deviation, lengths.std(0), atol=1e-5, rtol=1e-4)
        assert (statistics.count == 100).all()

    def test_bones_with_an_unlabelled_end_do_not_count(self):
        statistics, labelled = BoneStatistics(HAND), poses(50)
        tip = HAND.index('thumb4')
        weights = torch.ones(50, 21)
        weights[:40, tip] = 0
        labelled[:40, tip] = torch.nan
        statistics.update(labelled, weights)
        torch.testing.assert_close(statistics.mean[tip - 1], bone_lengths(labelled)[40:, tip - 1].mean())
        assert statistics.count[tip - 1] == 10 and statistics.mean.isfinite().all()

    def test_few_lengths_have_no_deviation_and_none_no_mean(self):
        statistics = BoneStatistics(HAND)
        statistics.update(poses(3), torch.zeros(3, 21))
        assert statistics.mean.abs().max() == 0 and statistics.deviation.abs().max() == 0
        statistics.update(poses(1))
        assert statistics.deviation.abs().max() == 0

    def test_are_saved(self):
        statistics, other = BoneStatistics(HAND), BoneStatistics(HAND)
        statistics.update(poses(20))
        other.load_state_dict(statistics.state_dict())
        for s in (statistics, other):
            s.update(poses(20, seed=1))
        assert torch.equal(statistics.mean, other.mean) and torch.equal(statistics.deviation, other.deviation)

    def test_processes_are_pooled(self, monkeypatch):
        """Two processes with the same poses: twice the count, the same mean."""
        monkeypatch.setattr(pseudo_labels_3d, 'get_world_size', lambda: 2)
        monkeypatch.setattr(pseudo_labels_3d, 'all_reduce', lambda x: x.mul_(2))
        statistics = BoneStatistics(HAND)
        for seed in (0, 1):
            statistics.update(poses(30, seed=seed))
        lengths = bone_lengths(torch.cat([poses(30), poses(30), poses(30, 1), poses(30, 1)]))
        assert (statistics.count == 120).all()
        torch.testing.assert_close(statistics.mean, lengths.mean(0), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(statistics.deviation, lengths.std(0), atol=1e-5, rtol=1e-4)

    def test_poses_of_other_joints_are_refused(self):
        with pytest.raises(ValueError, match=r"\(B, 21, 3\) of joint set 'hand21', got \(2, 16, 3\)"):
            BoneStatistics(HAND).update(torch.zeros(2, 16, 3))
        with pytest.raises(ValueError, match=r'weights must be \(2, 21\), got \(2, 16\)'):
            BoneStatistics(HAND).update(torch.zeros(2, 21, 3), torch.zeros(2, 16))
        with pytest.raises(ValueError, match="'dots' has no bones"):
            BoneStatistics(Skeleton('dots', ('a', 'b'), (-1, -1), (0, 1), {}))


@pytest.fixture(scope='module')
def scorer():
    scorer = KinematicScorer('hand21')
    scorer.update(poses(400))
    return scorer


class TestKinematicScorer:
    def test_joints_are_valid_if_all_their_bones_are_of_a_usual_length(self, scorer):
        joints = poses(40, seed=5, noise=0.12)
        valid = scorer(joints, torch.stack([joints, joints])).valid
        lengths, mean, deviation = bone_lengths(joints), scorer.bones.mean, scorer.bones.deviation
        for b in range(40):
            for k in range(21):
                usual = [
                    abs(lengths[b, j - 1] - mean[j - 1]) <= 3 * deviation[j - 1] + 1e-3 * mean[j - 1]
                    for j in range(1, 21)
                    if k in (j, HAND.parents[j])
                ]
                assert valid[b, k] == all(usual)
        assert 0 < valid.float().mean() < 1

    def test_poses_like_those_of_the_source_are_nearly_all_valid(self, scorer):
        joints = poses(200, seed=6)
        assert scorer(joints, torch.stack([joints, joints])).valid.float().mean() > 0.97

    def test_one_stretched_bone_takes_both_its_ends_and_no_others(self, scorer):
        joints = poses(1, noise=0.0)
        bone = joints[:, HAND.index('pinky_finger4')] - joints[:, HAND.index('pinky_finger3')]
        joints[:, HAND.index('pinky_finger4')] += bone
        valid = scorer(joints, torch.stack([joints, joints])).valid[0]
        wrong = {HAND.joint_names[k] for k in (~valid).nonzero()[:, 0].tolist()}
        assert wrong == {'pinky_finger3', 'pinky_finger4'}

    def test_score_of_two_views_is_minus_their_distance(self, scorer):
        first, second = poses(4, seed=1), poses(4, seed=2)
        score = scorer(first, torch.stack([first, second])).score
        torch.testing.assert_close(score, -(first - second).norm(dim=-1))

    def test_score_of_more_views_is_their_spread(self, scorer):
        views = torch.stack([poses(4, seed=seed) for seed in range(3)])
        score = scorer(views[0], views).score
        middle = views.mean(0)
        by_hand = sum((view - middle).norm(dim=-1) for view in views) / 3
        torch.testing.assert_close(score, -2 * by_hand)
        torch.testing.assert_close(scorer(views[0], views.flip(0)).score, score)

    def test_without_statistics_nothing_is_refused_but_nan(self):
        joints = poses(2)
        joints[1, 20, 2] = torch.nan
        scored = KinematicScorer(HAND)(joints, torch.stack([joints, joints]))
        assert scored.valid[0].all()
        assert {HAND.joint_names[k] for k in (~scored.valid[1]).nonzero()[:, 0].tolist()} == {
            HAND.joint_names[20],
            HAND.joint_names[HAND.parents[20]],
        }

    def test_no_graph_is_kept(self, scorer):
        joints = poses(2).requires_grad_()
        assert not scorer(joints, torch.stack([joints, joints])).score.requires_grad

    def test_wrong_arguments_are_named(self, scorer):
        with pytest.raises(ValueError, match='must not be negative'):
            KinematicScorer(HAND, num_deviations=-1)
        for views in (poses(2)[None], torch.zeros(2, 3, 21, 3)):
            with pytest.raises(ValueError, match=r'views must be \(V, 2, 21, 3\) with V of 2 or more'):
                scorer(poses(2), views)

    def test_is_in_the_registry(self):
        built = MODELS.build(dict(type='KinematicScorer', skeleton='mpii', num_deviations=2.0))
        assert built.bones.num_bones == 15 and built.num_deviations == 2


class TestSelectStable:
    scored = ScoredJoints(-torch.arange(20.0).view(4, 5), torch.ones(4, 5, dtype=torch.bool))

    def test_keeps_the_surest_share_of_all_that_may_be_used(self):
        assert select_stable(self.scored).flatten().tolist() == [True] * 10 + [False] * 10
        assert select_stable(self.scored, 0.8).sum() == 4 and select_stable(self.scored, 0.0).all()
        assert select_stable(self.scored, 0.5, 'joint').sum(0).tolist() == [2] * 5

    def test_what_may_not_be_used_makes_no_room_for_others(self):
        valid = self.scored.valid.clone()
        valid[0] = False
        keep = select_stable(ScoredJoints(self.scored.score, valid))
        assert keep.flatten().tolist() == [False] * 5 + [True] * 5 + [False] * 10

    def test_follows_the_order_of_the_samples_and_nan_is_never_kept(self):
        order = torch.tensor([2, 0, 3, 1])
        turned = ScoredJoints(self.scored.score[order], self.scored.valid[order])
        assert torch.equal(select_stable(turned), select_stable(self.scored)[order])
        score = self.scored.score.clone()
        score[0, 0] = torch.nan
        keep = select_stable(ScoredJoints(score, score.isfinite()))
        assert not keep[0, 0] and keep.sum() == 10

    def test_wrong_arguments_are_named(self):
        with pytest.raises(ValueError, match="got 'image'"):
            select_stable(self.scored, scope='image')
        with pytest.raises(ValueError, match=r'in \[0, 1\), got 1'):
            select_stable(self.scored, 1.0)


def masks(overlap, size=1000):
    """Two masks of ``size`` pairs whose intersection over union is ``overlap``: a union of 200 entries."""
    first, second = torch.zeros(2, size, dtype=torch.bool)
    common = round(200 * overlap)
    first[:200] = True
    second[:common] = True
    return first.view(-1, 10), second.view(-1, 10)


class TestOverlap:
    def test_of_known_masks(self):
        some, none = torch.tensor([[True, False, True]]), torch.zeros(1, 3, dtype=torch.bool)
        assert mask_overlap(some, some) == 1 and mask_overlap(some, ~some) == 0 and mask_overlap(none, none) == 0
        assert mask_overlap(*masks(0.4)) == pytest.approx(0.4)

    def test_of_independent_halves_is_a_third(self):
        first, second = torch.rand(2, 1000, 100, generator=torch.Generator().manual_seed(0)) > 0.5
        assert mask_overlap(first, second) == pytest.approx(1 / 3, abs=0.005)


class TestMaskCombiner:
    def test_goes_over_to_the_union_above_the_threshold_and_stays(self):
        combiner = MaskCombiner()
        for overlap, merged in ((0.4, False), (0.79, False), (0.8, False), (0.81, True), (0.3, True)):
            first, second = masks(overlap)
            combiner(first, second)
            assert combiner.end_epoch() == pytest.approx(overlap, abs=1e-6)
            for_2d, for_3d = combiner(first, second)
            combiner.counts.zero_()
            wanted = (first | second,) * 2 if merged else (first, second)
            assert torch.equal(for_2d, wanted[0]) and torch.equal(for_3d, wanted[1])
        combiner = MaskCombiner(latch=False)
        for overlap in (0.9, 0.3):
            combiner(*masks(overlap))
            combiner.end_epoch()
        assert not combiner.merged

    def test_overlap_is_that_of_an_epoch_and_not_a_mean_of_batches(self):
        combiner = MaskCombiner()
        combiner(torch.ones(1, 10, dtype=torch.bool), torch.ones(1, 10, dtype=torch.bool))
        combiner(*masks(0.5))
        assert combiner.end_epoch() == pytest.approx(110 / 210)
        assert combiner.end_epoch() == 0

    def test_does_not_change_within_an_epoch(self):
        combiner = MaskCombiner()
        for _ in range(3):
            first, second = masks(0.95)
            assert torch.equal(combiner(first, second)[1], second)
        combiner.end_epoch()
        assert torch.equal(combiner(first, second)[1], first | second)

    @pytest.mark.parametrize('strategy', ['independent', 'union'])
    def test_fixed_strategies_never_change(self, strategy):
        combiner = MaskCombiner(strategy)
        for overlap in (0.2, 0.95, 0.95):
            first, second = masks(overlap)
            got = combiner(first, second)
            assert combiner.end_epoch() == pytest.approx(overlap, abs=1e-6)
            wanted = (first | second,) * 2 if strategy == 'union' else (first, second)
            assert torch.equal(got[0], wanted[0]) and torch.equal(got[1], wanted[1])

    def test_goes_on_where_it_was_saved(self):
        combiner, other = MaskCombiner(), MaskCombiner()
        combiner(*masks(0.9))
        combiner.end_epoch()
        combiner(*masks(0.2))
        other.load_state_dict(combiner.state_dict())
        assert other.merged and other.end_epoch() == combiner.end_epoch()

    def test_processes_are_pooled(self, monkeypatch):
        monkeypatch.setattr(pseudo_labels_3d, 'get_world_size', lambda: 2)
        monkeypatch.setattr(pseudo_labels_3d, 'all_reduce', lambda x: x.add_(torch.tensor([0, 100])))
        combiner = MaskCombiner()
        combiner(*masks(1.0))
        assert combiner.end_epoch() == pytest.approx(200 / 300)

    def test_wrong_arguments_are_named(self):
        with pytest.raises(ValueError, match="one of .*got 'both'"):
            MaskCombiner('both')
        with pytest.raises(ValueError, match=r'in \[0, 1\], got 80'):
            MaskCombiner(overlap_threshold=80)
        mask = torch.ones(2, 3, dtype=torch.bool)
        with pytest.raises(TypeError, match='must be boolean, got torch.bool and torch.float32'):
            MaskCombiner()(mask, mask.float())
        with pytest.raises(ValueError, match=r'\(2, 3\) and \(1, 3\)'):
            MaskCombiner()(mask, mask[:1])

    def test_is_in_the_registry(self):
        assert MODELS.build(dict(type='MaskCombiner', strategy='union')).strategy == 'union'
