"""Training a pose VAE, scoring with it, and what becomes of bad poses and bad files."""

import math
import resource

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.difficulty import DifficultyScores, PoseArray
from mmposeda.engine import random_state
from mmposeda.engine.checkpoints import CheckpointError
from mmposeda.engine.difficulty import (
    VAEReport,
    examine_pose_vae,
    rate_poses,
    score_poses,
    size_correlation,
    support_correlation,
    train_pose_vae,
)
from mmposeda.engine.hooks.non_finite_hook import NonFiniteError
from mmposeda.engine.pose_vae_file import check_joints, joint_names, load_pose_vae, save_pose_vae, vae_hash
from mmposeda.models.networks.pose_vae import PoseVAE
from mmposeda.structures.pose2d import normalize_pose2d

JOINTS = 16


@pytest.fixture(autouse=True, scope='module')
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def array(keypoints, visible=None):
    """A pose array with boxes around the joints."""
    keypoints = np.asarray(keypoints, np.float32)
    visible = np.ones(keypoints.shape[:2], np.float32) if visible is None else visible
    boxes = np.concatenate([keypoints.min(1), keypoints.max(1)], 1)
    return PoseArray(np.arange(len(keypoints)) + 100, keypoints, visible, boxes)


def toy_poses(count=2000, off=0.05, seed=0):
    """Poses on a smooth surface of two parameters, and a share off it that is as large; place and size are random."""
    rng = np.random.default_rng(seed)
    base, *ways = rng.normal(size=(5, JOINTS, 2))
    a, b = 0.6 * rng.normal(size=(2, count, 1, 1))
    poses = base + a * ways[0] + b * ways[1] + a * b * ways[2] + (a**2 - b**2) / 2 * ways[3]
    strange = rng.permutation(count)[: int(off * count)]
    poses[strange] = rng.normal(size=(len(strange), JOINTS, 2)) * poses.std()
    size, place = rng.uniform(10, 40, (count, 1, 1)), rng.uniform(50, 200, (count, 1, 2))
    is_strange = np.zeros(count, bool)
    is_strange[strange] = True
    return array(size * poses + place), is_strange


@pytest.fixture
def said(monkeypatch):
    """Messages of the module under test."""
    lines = []
    monkeypatch.setattr('mmposeda.engine.difficulty.print_log', lambda text, **kwargs: lines.append(text))
    return lines


QUICK = dict(epochs=1, min_steps=40, batch_size=128)


@pytest.fixture(scope='module')
def trained():
    """The toy, which of its poses are off the surface, and a VAE trained on it."""
    poses, strange = toy_poses()
    return poses, strange, train_pose_vae(poses, min_steps=600, max_steps=600, batch_size=256)


class TestToy:
    def test_vae_has_learnt(self, trained):
        poses, _, vae = trained
        report = examine_pose_vae(vae, poses)
        assert report.problem == '' and report.kl > 2 and report.reconstruction < 0.2 * report.mean_pose

    def test_poses_off_the_surface_fall_into_the_last_bins(self, trained):
        poses, strange, vae = trained
        scores = rate_poses(vae, poses)
        assert (scores.bins[strange] >= 23).mean() > 0.9
        means = [scores.scores[scores.bins == j].mean() for j in range(25)]
        assert means == sorted(means)

    def test_score_does_not_go_with_size(self, trained):
        poses, _, vae = trained
        assert abs(size_correlation(score_poses(vae, poses), poses)) < 0.3

    def test_hard_poses_are_far_from_their_neighbours(self, trained):
        poses, _, vae = trained
        flat = normalize_pose2d(*map(torch.from_numpy, poses[1:3]))[0].flatten(1)
        distance = torch.cdist(flat, flat).kthvalue(11, 1).values.numpy()
        scores = score_poses(vae, poses)
        assert spearmanr(scores, distance)[0] > 0.5
        assert support_correlation(vae, scores, poses) == pytest.approx(spearmanr(scores, distance)[0])
        assert math.isnan(support_correlation(vae, scores[:11], PoseArray(*(field[:11] for field in poses))))


class TestTraining:
    def test_is_a_function_of_its_arguments(self):
        poses, _ = toy_poses(300)
        torch.manual_seed(1)
        state = random_state.take()
        first = train_pose_vae(poses, **QUICK)
        assert repr(random_state.take()) == repr(state)
        torch.manual_seed(2)
        assert vae_hash(first) == vae_hash(train_pose_vae(poses, **QUICK))
        assert vae_hash(first) != vae_hash(train_pose_vae(poses, **QUICK, seed=1))
        assert vae_hash(first) != vae_hash(train_pose_vae(poses, **QUICK, rotation=30))
        assert not first.training and first.kl_ratio == 1

    @pytest.mark.parametrize(
        'settings, steps',
        [
            (dict(epochs=3, batch_size=128, min_steps=1), 9),
            (dict(epochs=3, batch_size=128, min_steps=20), 20),
            (dict(epochs=3, batch_size=128, min_steps=20, max_steps=5), 5),
        ],
    )
    def test_number_of_steps(self, settings, steps):
        told = []
        train_pose_vae(toy_poses(300)[0], **settings, progress=lambda *args: told.append(args))
        assert told[-1] == (steps, steps)

    def test_poses_with_few_visible_joints_are_left_out(self):
        poses, _ = toy_poses(300)
        clean = train_pose_vae(poses, **QUICK)
        hidden = poses.visible.copy()
        hidden[:50, 3:] = 0
        keypoints = poses.keypoints.copy()
        keypoints[:50] = np.nan
        more = train_pose_vae(poses._replace(keypoints=keypoints, visible=hidden), **QUICK)
        less = train_pose_vae(PoseArray(*(values[50:] for values in poses)), **QUICK)
        assert vae_hash(more) == vae_hash(less) != vae_hash(clean)

    @pytest.mark.parametrize('mode', ['bbox', 'root', 'image'])
    def test_any_normalisation_learns(self, mode):
        poses, _ = toy_poses(500, off=0)
        vae = train_pose_vae(poses, dict(type='PoseVAE', root=3), mode, min_steps=200, batch_size=256, rotation=5)
        report = examine_pose_vae(vae, poses)
        assert report.reconstruction < report.mean_pose and math.isfinite(report.kl)
        assert np.isfinite(score_poses(vae, poses)).all()

    def test_collapse_is_warned_of(self, said):
        train_pose_vae(toy_poses(300)[0], dict(kl_weight=100.0), **QUICK)
        assert len(said) == 1 and 'posterior collapse' in said[0] and 'smaller kl_weight' in said[0]

    def test_report_says_what_collapse_is(self):
        assert VAEReport(2.0, 0.1, 0.3).problem == ''
        assert 'hold 0.30 nat' in VAEReport(0.3, 0.1, 0.3).problem
        assert '0.2 against 0.3' in VAEReport(2.0, 0.2, 0.3).problem

    def test_report_is_a_hand_sum(self):
        poses, _ = toy_poses(60)
        poses.visible[::3, 2] = 0
        vae = PoseVAE(JOINTS).eval()
        y, v, _ = (torch.from_numpy(values) for values in poses[1:])
        target = normalize_pose2d(y, v)[0].numpy()
        error = 0.0
        for k in range(JOINTS):
            seen = poses.visible[:, k] > 0
            error += ((target[seen, k] - target[seen, k].mean(0)) ** 2).sum()
        report = examine_pose_vae(vae, poses)
        assert report.mean_pose == pytest.approx(error / 60, rel=1e-4)
        unscaled = vae.score(y, v).numpy() * poses.visible.sum(1) / JOINTS
        assert report.reconstruction == pytest.approx(unscaled.mean(), rel=1e-4)

    def test_bad_poses_are_named(self):
        poses, _ = toy_poses(300)
        poses.keypoints[7, 3] = np.nan
        poses.keypoints[9, 0, 1] = np.inf
        with pytest.raises(AnnotationError, match='2 poses have visible joints at NaN or infinite places: 107, 109'):
            train_pose_vae(poses, **QUICK)
        with pytest.raises(AnnotationError, match='2 poses have visible joints .*: 107, 109'):
            score_poses(PoseVAE(JOINTS), poses)

    def test_poses_without_boxes_are_named_where_boxes_matter(self):
        poses, _ = toy_poses(300)
        poses.boxes[5] = np.nan
        assert np.isfinite(score_poses(PoseVAE(JOINTS), poses)).all()
        with pytest.raises(AnnotationError, match="1 poses have no box, which norm_mode='image' needs: 105"):
            train_pose_vae(poses, norm_mode='image', **QUICK)
        with pytest.raises(AnnotationError, match='no box'):
            score_poses(PoseVAE(JOINTS, norm_mode='image'), poses)

    def test_divergence_names_the_farthest_poses(self):
        poses, _ = toy_poses(300)
        poses.boxes[11, 2:] = poses.boxes[11, :2] + 1e-5
        with pytest.raises(NonFiniteError, match=r'not finite after .* steps.*: 111 \(.*smaller lr'):
            train_pose_vae(poses, norm_mode='image', lr=1e30, **QUICK)

    @pytest.mark.parametrize('name', ['epochs', 'max_steps', 'batch_size', 'lr'])
    def test_settings_are_checked(self, name):
        with pytest.raises(ValueError, match=f'{name}=0'):
            train_pose_vae(toy_poses(10)[0], **{name: 0})

    def test_other_networks_are_refused(self):
        with pytest.raises(ValueError, match="'ResNet'"):
            train_pose_vae(toy_poses(10)[0], dict(type='ResNet'))

    def test_nothing_to_learn_from_is_said(self):
        poses, _ = toy_poses(10)
        with pytest.raises(AnnotationError, match='none of 10 poses has 4 visible joints'):
            train_pose_vae(poses._replace(visible=poses.visible * 0))


class TestScores:
    def test_blocks_make_no_difference(self, monkeypatch):
        poses, _ = toy_poses(300)
        poses.visible[4, 3:] = 0
        vae = PoseVAE(JOINTS).eval()
        whole = score_poses(vae, poses)
        monkeypatch.setattr('mmposeda.engine.difficulty.BLOCK', 64)
        told = []
        parts = score_poses(vae, poses, progress=lambda *args: told.append(args))
        np.testing.assert_allclose(parts, whole, rtol=1e-5)
        assert np.flatnonzero(np.isnan(whole)).tolist() == [4] and whole.dtype == np.float32
        assert told == [(64, 300), (128, 300), (192, 300), (256, 300), (300, 300)]

    def test_order_of_poses_makes_no_difference(self):
        poses, _ = toy_poses(300)
        vae = PoseVAE(JOINTS).eval()
        order = np.random.default_rng(0).permutation(300)
        np.testing.assert_allclose(
            score_poses(vae, PoseArray(*(values[order] for values in poses))), score_poses(vae, poses)[order], rtol=1e-5
        )

    def test_file_knows_its_vae(self, tmp_path):
        poses, _ = toy_poses(300)
        vae = train_pose_vae(poses, **QUICK)
        rate_poses(vae, poses, k=10).save(str(tmp_path / 'scores.npz'))
        scores = DifficultyScores.load(str(tmp_path / 'scores.npz'))
        assert scores.vae_hash == vae_hash(vae) and scores.norm_mode == 'bbox' and scores.k == 10
        assert np.bincount(scores.bins).tolist() == [30] * 10
        assert scores.rows(poses, 'scores.npz').tolist() == list(range(300))

    def test_size_correlation_is_spearmans(self):
        sides = np.arange(1, 21, dtype=np.float32)
        square = np.array([[0, 0], [1, 0], [0, 1], [9, 9]])
        poses = array(square * sides[:, None, None], np.tile([1, 1, 1, 0], (20, 1)))
        assert size_correlation(sides**3, poses) == pytest.approx(1)
        assert size_correlation(-sides, poses) == pytest.approx(-1)
        with_gap = sides.copy()
        with_gap[3] = np.nan
        assert size_correlation(with_gap, poses) == pytest.approx(1)
        assert math.isnan(size_correlation(np.ones(20), poses))

    def test_scores_that_go_with_size_are_warned_of(self, said):
        poses, _ = toy_poses(300)
        vae = PoseVAE(JOINTS)
        ranks = np.argsort(np.argsort(score_poses(vae, poses)))
        size = poses.keypoints.max(1) - poses.keypoints.min(1)
        grown = array(poses.keypoints / size.max(1)[:, None, None] * (1 + ranks[:, None, None]))
        rate_poses(vae, grown)
        assert len(said) == 1 and 'correlation of score and size in the picture is 1.00' in said[0]

    @pytest.mark.slow
    def test_a_million_poses_take_bounded_memory(self):
        keypoints = np.random.default_rng(0).random((1_000_000, JOINTS, 2), np.float32)
        poses = PoseArray(
            np.arange(len(keypoints)),
            keypoints,
            np.ones(keypoints.shape[:2], np.float32),
            np.zeros((len(keypoints), 4), np.float32),
        )
        vae = PoseVAE(JOINTS).eval()
        score_poses(vae, PoseArray(*(values[:100_000] for values in poses)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        scores = score_poses(vae, poses)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert np.isfinite(scores).all()
        assert grown < 30_000, f'{grown} KiB for 1e6 scores, which are 4 MB'


class TestFile:
    def test_comes_back_as_it_was(self, tmp_path):
        poses, _ = toy_poses(200)
        vae = train_pose_vae(poses, dict(latent=5, root=[2, 3], joint_names=list('abcdefghijklmnop')), 'root', **QUICK)
        path = str(tmp_path / 'new' / 'vae.pth')
        digest = save_pose_vae(vae, path)
        twin = load_pose_vae(path)
        assert digest == vae_hash(vae) == vae_hash(twin)
        assert (twin.latent, twin.norm_mode, twin.root, twin.joint_names[:2]) == (5, 'root', (2, 3), ('a', 'b'))
        assert not twin.training
        np.testing.assert_array_equal(score_poses(vae, poses), score_poses(twin, poses))

    def test_reads_with_weights_only(self, tmp_path):
        path = str(tmp_path / 'vae.pth')
        save_pose_vae(PoseVAE(JOINTS), path)
        assert torch.load(path, weights_only=True)['pose_vae']['num_keypoints'] == JOINTS

    @pytest.mark.parametrize('case', ['missing', 'short', 'other', 'edited', 'resized'])
    def test_bad_files_are_named(self, tmp_path, case):
        path = tmp_path / 'vae.pth'
        save_pose_vae(PoseVAE(JOINTS), str(path))
        if case == 'missing':
            path.unlink()
        elif case == 'short':
            path.write_bytes(path.read_bytes()[:2000])
        elif case == 'other':
            torch.save(dict(state_dict={}), path)
        else:
            content = torch.load(path, weights_only=True)
            if case == 'edited':
                content['state_dict']['mean_head.bias'] += 1
            else:
                content['pose_vae']['latent'] = 3
            torch.save(content, path)
        with pytest.raises(CheckpointError, match='vae.pth'):
            load_pose_vae(str(path))

    def test_hash_follows_weights_and_settings(self):
        torch.manual_seed(0)
        vae = PoseVAE(JOINTS)
        before = vae_hash(vae)
        vae.norm_mode = 'image'
        assert vae_hash(vae) != before
        vae.norm_mode = 'bbox'
        assert vae_hash(vae) == before
        with torch.no_grad():
            vae.decoder[0].weight[0, 0] += 1e-3
        assert vae_hash(vae) != before


class TestJoints:
    NAMES = tuple('abcdefghijklmnop')

    def test_the_same_joints_pass(self):
        check_joints(PoseVAE(JOINTS, joint_names=self.NAMES), JOINTS, self.NAMES)
        check_joints(PoseVAE(JOINTS, joint_names=self.NAMES), JOINTS)
        check_joints(PoseVAE(JOINTS), JOINTS, self.NAMES)

    def test_others_are_refused(self):
        with pytest.raises(AnnotationError, match='trained on 16 joints, the poses have 14: give both the same'):
            check_joints(PoseVAE(JOINTS), 14)
        mirrored = self.NAMES[::-1]
        with pytest.raises(AnnotationError, match=r'16 joints \(a, b.*LSPDataset have 16 \(p, o'):
            check_joints(PoseVAE(JOINTS, joint_names=self.NAMES), JOINTS, mirrored, 'LSPDataset')
        with pytest.raises(AnnotationError, match='trained on 16 joints'):
            score_poses(PoseVAE(JOINTS), array(np.random.default_rng(0).random((5, 14, 2))))

    def test_names_are_read_from_a_data_set(self, domain_pair):
        from mmposeda.registry import DATASETS

        names = joint_names(DATASETS.build(domain_pair['source']))
        assert len(names) == 14 and 'right_ankle' in names
        assert joint_names(object()) == ()
