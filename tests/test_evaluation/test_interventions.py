"""Metrics of interventions against closed forms, plain loops and scikit-learn."""

import itertools

import numpy as np
import pytest
import torch
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from sklearn.metrics import silhouette_score

from mmposeda.evaluation import (
    DomainProbe,
    InterventionalError,
    cluster_numbers,
    domain_accuracy,
    interventional_distances,
    pose_leak,
)
from mmposeda.registry import METRICS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

META = parse_pose_metainfo(dict(from_file=metainfo_path('lsp')))
SKELETON = Skeleton.from_metainfo('lsp')


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def error(*batches, **options):
    metric = METRICS.build(dict(type='InterventionalError', **options))
    metric.dataset_meta = META
    metric.process(None, batches)
    return metric.evaluate(0)['intervention/error_mm']


def probe(*batches, **options):
    metric = METRICS.build(dict(type='DomainProbe', **options))
    metric.process(None, batches)
    return metric.evaluate(0)['intervention/domain_accuracy']


class TestInterventionalError:
    def test_equal_predictions_have_none(self, rng):
        poses = rng.normal(size=(3, 1, 14, 3)).repeat(40, 1)
        assert error(dict(intervened_poses=poses)) == 0
        assert error(dict(intervened_poses=torch.tensor(poses)), root=[]) == 0

    def test_is_the_mean_over_pairs_joints_and_poses(self, rng):
        poses = rng.normal(size=(2, 4, 14, 3))
        root = SKELETON.parents.index(-1)
        moved = poses - poses[:, :, root : root + 1]
        wanted = [
            1000 * np.linalg.norm(pose[i, joint] - pose[j, joint])
            for pose in moved
            for i, j in itertools.permutations(range(4), 2)
            for joint in range(14)
        ]
        assert error(dict(intervened_poses=poses)) == pytest.approx(np.mean(wanted), rel=1e-9)
        by_joint = interventional_distances(moved)
        assert by_joint.shape == (2, 14) and by_joint.mean() == pytest.approx(np.mean(wanted))
        assert by_joint[:, root].tolist() == [0, 0]

    def test_two_predictions_are_as_far_apart_as_they_are(self):
        poses = np.zeros((1, 2, 14, 3))
        poses[0, 1, -1] = (0.03, 0, 0.04)
        assert error(dict(intervened_poses=poses), root=[]) == pytest.approx(50 / 14)

    def test_where_a_body_is_makes_no_difference(self, rng):
        poses, shift = rng.normal(size=(2, 5, 14, 3)), rng.normal(size=(2, 5, 1, 3))
        for root in (None, 'left_hip', ['left_hip', 'right_hip']):
            moved = error(dict(intervened_poses=poses + shift), root=root)
            assert moved == pytest.approx(error(dict(intervened_poses=poses), root=root))
        assert error(dict(intervened_poses=poses), root=[]) != pytest.approx(
            error(dict(intervened_poses=poses + shift), root=[])
        )

    def test_order_and_batches_make_no_difference(self, rng):
        poses = rng.normal(size=(4, 6, 14, 3))
        whole = error(dict(intervened_poses=poses))
        shuffled = poses[rng.permutation(4)][:, rng.permutation(6)]
        assert error(dict(intervened_poses=shuffled)) == pytest.approx(whole)
        assert error(*(dict(intervened_poses=poses[i : i + 1]) for i in (2, 0, 1, 3))) == pytest.approx(whole)

    def test_hidden_joints_do_not_count(self, rng):
        poses, visible = rng.normal(size=(2, 3, 14, 3)), np.ones((2, 14))
        visible[0, 3] = 0
        poses[0, :, 3] *= 1e3
        distances = interventional_distances(poses)
        wanted = (distances.sum() - distances[0, 3]) / 27
        assert error(dict(intervened_poses=poses, visible=visible), root=[]) == pytest.approx(wanted)

    def test_padding_counts_once(self, rng):
        poses = rng.normal(size=(3, 3, 14, 3))
        batch = dict(intervened_poses=poses, index=[5, 6, 7])
        padded = dict(intervened_poses=poses[:1], index=[5])
        assert error(batch, padded) == error(batch)

    def test_processes_of_unequal_shares_are_merged(self, rng, monkeypatch):
        poses = rng.normal(size=(3, 3, 14, 3))
        other = InterventionalError(root=[])
        other.process(None, [dict(intervened_poses=poses[1:2]), dict(intervened_poses=poses[2:])])
        share = tuple(np.concatenate(column) for column in zip(*other.results))
        for theirs, wanted in ((share, poses), ((), poses[:1])):
            monkeypatch.setattr('mmengine.evaluator.metric.collect_results', lambda own, *_, x=theirs, **__: [*own, x])
            assert error(dict(intervened_poses=poses[:1]), root=[]) == pytest.approx(
                interventional_distances(wanted).mean()
            )

    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(intervened_poses=np.zeros((2, 14, 3))), r'are \(n, m, K, 3\)'),
            (dict(intervened_poses=np.zeros((2, 3, 13, 3))), "13 joints, but joint set 'lsp' has 14"),
            (dict(intervened_poses=np.zeros((2, 1, 14, 3))), 'got 1 nuisance a pose'),
            (dict(intervened_poses=np.full((2, 3, 14, 3), np.nan)), '2 of 2 are not finite.*diverged'),
            (dict(visible=np.ones((2, 13))), r'visible is \(2, 13\), expected \(2, 14\)'),
            (dict(visible=np.zeros((2, 14))), 'none of the joints of 2 poses is visible'),
            (dict(index=[1]), r'index is \(1,\), expected \(2,\)'),
        ],
    )
    def test_what_does_not_fit_is_refused(self, change, message):
        with pytest.raises(ValueError, match=message):
            error({**dict(intervened_poses=np.zeros((2, 3, 14, 3))), **change})

    def test_nothing_is_refused(self):
        with pytest.raises(ValueError, match='nothing was evaluated'):
            error()
        with pytest.raises(ValueError, match='a batch without intervened_poses; it has poses'):
            error(dict(poses=[]))


class TestDomainProbe:
    def test_separable_domains_are_told(self, rng):
        features = rng.normal(size=(60, 8))
        features[:30, 2] += 20
        assert probe(dict(features=features[:30], domain='a'), dict(features=features[30:], domain='b')) == 1.0

    def test_equal_domains_are_guessed(self, rng):
        values = [domain_accuracy(rng.normal(size=(200, 16)), np.arange(200) % 2) for _ in range(5)]
        assert np.mean(values) == pytest.approx(0.5, abs=0.06)

    def test_features_that_hold_nothing_are_guessed(self):
        assert domain_accuracy(np.ones((40, 4)), np.arange(40) % 2) == 0.5
        assert domain_accuracy(np.ones((40, 4)), np.arange(40) % 4) == 0.25

    def test_what_is_told_in_part_lies_between(self, rng):
        # normal distributions two deviations apart: the best line is right at Phi(1)
        domains = np.arange(4000) % 2
        features = rng.normal(size=(4000, 1)) + 2 * domains[:, None]
        assert domain_accuracy(features, domains) == pytest.approx(0.8413, abs=0.02)

    def test_domains_count_alike(self, rng):
        # the larger one alone would give 0.9
        domains = np.arange(400) % 10 == 0
        assert domain_accuracy(rng.normal(size=(400, 2)), domains) == pytest.approx(0.5, abs=0.12)

    def test_several_domains(self, rng):
        features = np.eye(3)[np.arange(60) % 3] + 0.01 * rng.normal(size=(60, 3))
        assert probe(dict(features=features, domain=np.arange(60) % 3)) == 1.0

    def test_order_scale_and_names_make_no_difference(self, rng):
        features, domains = rng.normal(size=(80, 6)), np.arange(80) % 2
        features[:, 0] += domains
        order = rng.permutation(80)
        wanted = domain_accuracy(features, domains)
        assert 0.5 < wanted < 1
        assert domain_accuracy(features[order], domains[order]) == wanted
        assert domain_accuracy(1000 * features + 5, domains) == pytest.approx(wanted, abs=0.03)
        named = np.where(domains == 1, 'target', 'source')
        batches = [dict(features=torch.tensor(features[i : i + 20]), domain=named[i : i + 20]) for i in (40, 0, 60, 20)]
        assert probe(*batches) == wanted

    def test_a_sample_counts_once_in_its_domain(self, rng):
        features = rng.normal(size=(40, 3))
        batches = [dict(features=features[i : i + 20], domain=i, index=range(20)) for i in (0, 20)]
        padding = [dict(batches[0], index=range(20))] * 3
        assert probe(*batches, *padding) == probe(*batches)

    @pytest.mark.parametrize(
        'batch, message',
        [
            (dict(features=np.zeros((8, 2)), domain='a'), 'all 8 samples are of domain a'),
            (dict(features=np.zeros((8, 2)), domain=[0] * 5 + [1] * 3), 'domain 1 has 3 samples, and 5 folds'),
            (dict(features=np.zeros((8, 2)), domain=[0] * 5), r'got \(8, 2\) and \(5,\)'),
            (dict(features=np.zeros((8, 2, 2)), domain=0), r'\(8, 2, 2\)'),
            (dict(features=np.full((12, 2), np.inf), domain=np.arange(12) % 2), 'features: 12 of 12 are not finite'),
        ],
    )
    def test_what_does_not_fit_is_refused(self, batch, message):
        with pytest.raises(ValueError, match=message):
            probe(batch)

    def test_folds_are_two_at_least(self):
        with pytest.raises(ValueError, match='folds must be at least 2, got 1'):
            DomainProbe(folds=1)


class TestClusters:
    def test_as_scikit_learn_says(self, rng):
        features = rng.normal(size=(5, 7, 4)) + 2 * rng.normal(size=(5, 1, 4))
        numbers = cluster_numbers(features)
        wanted = silhouette_score(features.reshape(35, 4), np.arange(5).repeat(7))
        assert numbers['silhouette'] == pytest.approx(wanted)
        flat, pose = features.reshape(35, 4), np.arange(5).repeat(7)
        pairs = list(itertools.combinations(range(35), 2))
        for name, same in (('within', True), ('between', False)):
            lengths = [np.linalg.norm(flat[i] - flat[j]) for i, j in pairs if (pose[i] == pose[j]) == same]
            assert numbers[name] == pytest.approx(np.mean(lengths))

    def test_points_by_pose_give_one(self, rng):
        numbers = cluster_numbers(rng.normal(size=(4, 1, 3)).repeat(6, 1))
        assert numbers['silhouette'] == 1 and numbers['within'] == 0 < numbers['between']

    def test_poses_that_mix_give_nothing(self, rng):
        assert cluster_numbers(rng.normal(size=(6, 32, 64)))['silhouette'] == pytest.approx(0, abs=0.02)
        assert cluster_numbers(np.ones((3, 4, 2)))['silhouette'] == 0

    def test_order_makes_no_difference(self, rng):
        features = rng.normal(size=(4, 5, 3))
        shuffled = features[rng.permutation(4)][:, rng.permutation(5)]
        assert cluster_numbers(shuffled) == pytest.approx(cluster_numbers(features))

    @pytest.mark.parametrize('shape', [(1, 4, 2), (4, 1, 2), (4, 2)])
    def test_one_pose_or_nuisance_is_refused(self, shape):
        with pytest.raises(ValueError, match='two poses at least under two nuisances'):
            cluster_numbers(np.zeros(shape))


class TestPoseLeak:
    def test_a_pose_that_is_a_map_of_the_nuisance_leaks_wholly(self, rng):
        nuisances = rng.normal(size=(200, 8))
        assert pose_leak(nuisances, nuisances @ rng.normal(size=(8, 12)) + 3) == pytest.approx(1, abs=1e-3)

    def test_a_nuisance_of_its_own_tells_nothing(self, rng):
        value = pose_leak(rng.normal(size=(200, 100)), rng.normal(size=(200, 12)))
        assert -0.1 < value < 0.03

    def test_half_of_the_variance(self, rng):
        nuisances = rng.normal(size=(2000, 5))
        assert pose_leak(nuisances, nuisances + rng.normal(size=(2000, 5))) == pytest.approx(0.5, abs=0.05)

    def test_order_and_scale_make_no_difference(self, rng):
        nuisances, order = rng.normal(size=(60, 4)), rng.permutation(60)
        poses = nuisances[:, :2] + rng.normal(size=(60, 2))
        wanted = pose_leak(nuisances, poses)
        assert pose_leak(nuisances[order], poses[order]) == pytest.approx(wanted, abs=1e-12)
        assert pose_leak(1e3 * nuisances - 7, poses) == pytest.approx(wanted, abs=0.05)

    def test_poses_that_do_not_differ_give_no_number(self, rng):
        assert np.isnan(pose_leak(rng.normal(size=(20, 4)), np.ones((20, 6))))

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(ValueError, match='got 9 poses, and 5 folds need 10 at least'):
            pose_leak(np.zeros((9, 2)), np.zeros((9, 2)))
        with pytest.raises(ValueError, match=r'got \(9, 2\) and \(8, 2\)'):
            pose_leak(np.zeros((9, 2)), np.zeros((8, 2)))
        with pytest.raises(ValueError, match='nuisances: 20 of 20 are not finite'):
            pose_leak(np.full((20, 2), np.nan), np.zeros((20, 2)))
