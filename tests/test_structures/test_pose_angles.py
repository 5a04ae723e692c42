import numpy as np
import pytest
import torch

from mmposeda.structures.pose_angles import (
    angle_triplets,
    bin_similarity,
    eval_pose,
    pose_angles,
    reference_angles,
)
from mmposeda.structures.skeleton import Skeleton

TRIPLETS = angle_triplets(Skeleton.from_metainfo('lsp'))
ELBOW = [(0, 1, 2), (0, 1, 3), (0, 1, 4)]


def poses(count, seed=0, hidden=0.0, size=200.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, size, (count, 14, 2)), (rng.random((count, 14)) >= hidden).astype(np.float32)


def score(p, q, variant='raw', vp=None, vq=None, mean=None):
    seen = np.ones(p.shape[:2])
    return eval_pose(p, q, seen if vp is None else vp, seen if vq is None else vq, TRIPLETS, variant, mean)


def mean_of(p):
    return reference_angles(p, np.ones(p.shape[:2]), TRIPLETS)


def rotate(p, degrees):
    t = np.deg2rad(degrees)
    return p @ np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])


def loop_angles(y, v, triplets):
    """The paper's form, an arccos, one angle at a time."""
    out = np.full((len(y), len(triplets)), np.nan)
    for n, pose in enumerate(y):
        for j, (a, c, e) in enumerate(triplets):
            if v[n, a] and v[n, c] and v[n, e]:
                one, two = pose[a] - pose[c], pose[e] - pose[c]
                out[n, j] = np.arccos(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    return out


@pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor])
@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_right_angle_and_straight_limb_are_exact(kind, dtype):
    y = np.array([[[3, 0], [0, 0], [0, 5], [-2, 0], [7, 0]], [[13, 11], [10, 10], [9, 13], [7, 9], [16, 12]]], dtype)
    for signed in (False, True):
        theta, mask = pose_angles(kind(y), kind(np.ones((2, 5))), ELBOW, signed)
        assert type(theta) is type(kind(y)) and str(theta.dtype).endswith(dtype) and bool(mask.all())
        want = np.array([np.pi / 2, np.pi, 0], dtype)
        assert (np.asarray(theta) == want).all()


def test_numpy_and_torch_agree_with_the_arccos():
    y, v = poses(60, hidden=0.2)
    want = loop_angles(y, v, TRIPLETS)
    theta, mask = pose_angles(y, v, TRIPLETS)
    assert (mask == np.isfinite(want)).all() and 0.2 < mask.mean() < 0.8
    np.testing.assert_allclose(theta[mask], want[mask], atol=1e-7)
    for signed in (False, True):
        one, seen = pose_angles(y, v, TRIPLETS, signed)
        two, seen2 = pose_angles(torch.tensor(y), torch.tensor(v), TRIPLETS, signed)
        assert (seen == seen2.numpy()).all()
        np.testing.assert_allclose(one, two.numpy(), atol=1e-14)
        np.testing.assert_allclose(abs(one), theta, atol=1e-14)


@pytest.mark.parametrize('variant', ['raw', 'centred', 'signed'])
def test_eval_pose_of_numpy_and_torch_agree(variant):
    (p, vp), (q, vq) = poses(80, 1, 0.15), poses(80, 2, 0.15)
    mean = mean_of(p) if variant == 'centred' else None
    one = eval_pose(p, q, vp, vq, TRIPLETS, variant, mean)
    two = eval_pose(*map(torch.tensor, (p, q, vp, vq)), TRIPLETS, variant, mean)
    assert 0 < np.isnan(one).sum() < 80
    np.testing.assert_allclose(one, two.numpy(), atol=1e-13)


@pytest.mark.parametrize('variant', ['raw', 'centred', 'signed'])
def test_identical_poses_score_one_and_the_order_does_not_matter(variant):
    (p, _), (q, _) = poses(200, 3), poses(200, 4)
    mean = mean_of(p) if variant == 'centred' else None
    assert (score(p, p.copy(), variant, mean=mean) == 1).all()
    there, back = score(p, q, variant, mean=mean), score(q, p, variant, mean=mean)
    assert (there == back).all() and (abs(there) <= 1).all()


@pytest.mark.parametrize('variant', ['raw', 'centred', 'signed'])
def test_place_size_and_rotation_do_not_matter_but_shape_does(variant):
    (p, _), (q, _) = poses(100, 5), poses(100, 6)
    mean = mean_of(p) if variant == 'centred' else None
    before = score(p, q, variant, mean=mean)
    for moved in (q + [300, -70], 0.01 * q, 40 * q, rotate(q, 33), rotate(q, 180)):
        assert np.abs(score(p, moved, variant, mean=mean) - before).max() < 1e-12
    for bent in (q * [1, 1.5], q @ np.array([[1, 0], [0.4, 1]])):
        assert np.abs(score(p, bent, variant, mean=mean) - before).min() > 1e-6


def test_mirroring_negates_signed_angles_only():
    (p, v), (q, _) = poses(100, 7), poses(100, 8)
    mirrored = q * [-1, 1]
    theta, _ = pose_angles(q, v, TRIPLETS, True)
    other, _ = pose_angles(mirrored, v, TRIPLETS, True)
    assert (theta == -other).all()
    assert np.abs(score(p, mirrored) - score(p, q)).max() < 1e-12
    assert np.abs(score(p, mirrored, 'signed') + score(p, q, 'signed')).max() < 1e-12


def test_unrelated_poses_score_high_in_the_printed_form_only():
    rng = np.random.default_rng(9)
    (p, _), (q, _) = poses(4000, 10), poses(4000, 11)
    assert 0.6 < score(p, q).mean() < 0.85
    assert abs(score(p, q, 'signed').mean()) < 0.05
    assert abs(score(p, q, 'centred', mean=mean_of(np.concatenate([p, q]))).mean()) < 0.05
    theta = rng.uniform(0, np.pi, (2, 100_000, 12))
    cosines = (theta[0] * theta[1]).sum(1) / np.linalg.norm(theta, axis=2).prod(0)
    assert cosines.mean() == pytest.approx(0.76, abs=0.01)
    assert np.percentile(cosines, 1) == pytest.approx(0.51, abs=0.02)


def test_masked_joints_change_nothing_and_too_few_angles_give_nan():
    (p, v), (q, _) = poses(50, 12), poses(50, 13)
    v = v.copy()
    v[:, 0] = 0
    for junk in (np.nan, np.inf, 1e30):
        other = p.copy()
        other[:, 0] = junk
        assert (score(other, q, vp=v) == score(p, q, vp=v)).all()
        assert (score(p, other, vp=v, vq=v) == score(p, p, vp=v)).all()
        assert (score(other, q) == score(p, q, vp=v)).all() or np.isfinite(junk)
    few = np.zeros((1, 14))
    few[0, TRIPLETS[4]] = 1
    assert np.isnan(score(p[:1], q[:1], vp=few)).all()
    enough = few.copy()
    enough[0, np.unique(TRIPLETS[[4, 5, 8]])] = 1
    assert np.isfinite(score(p[:1], q[:1], vp=enough)).all()


def test_short_bones_are_masked_relative_to_the_box():
    y, v = poses(1, 14, size=1.0)
    a, c, _ = TRIPLETS[0]
    for scale in (1.0, 1e-20, 1e4):
        for share, kept in ((0.9e-6, False), (1.1e-6, True), (0.0, False)):
            near = y.copy()
            near[:, a] = near[:, c]
            side = np.ptp(near, 1).max()
            near[:, a, 0] += share * side
            assert pose_angles(near * scale, v, TRIPLETS)[1][0, 0] == kept
    flat = np.zeros((2, 14, 2))
    theta, mask = pose_angles(flat, np.ones((2, 14)), TRIPLETS)
    assert not mask.any() and not theta.any()
    assert np.isnan(score(flat, flat)).all()


@pytest.mark.parametrize('signed', [False, True])
def test_gradients_are_finite_at_straight_folded_masked_and_missing_limbs(signed):
    y = torch.tensor([[[3.0, 0], [0, 0], [0, 5], [-2, 0], [7, 0], [0, 0], [float('nan'), 1]]], requires_grad=True)
    v = torch.ones(1, 7)
    triplets = [(0, 1, 3), (0, 1, 4), (0, 1, 2), (0, 1, 5), (0, 1, 6)]
    theta, mask = pose_angles(y, v, triplets, signed)
    assert mask.tolist() == [[True, True, True, False, False]]
    theta.sum().backward()
    assert torch.isfinite(y.grad).all() and y.grad.abs().max() > 0


def test_gradients_are_those_of_finite_differences():
    p, v = poses(2, 15)
    q, mean = torch.tensor(poses(2, 16)[0]), torch.tensor(mean_of(p))
    p, v = torch.tensor(p, requires_grad=True), torch.tensor(v)
    for variant in ('raw', 'centred', 'signed'):
        used = mean if variant == 'centred' else None
        assert torch.autograd.gradcheck(lambda x, m=used, k=variant: eval_pose(x, q, v, v, TRIPLETS, k, m), p)


def test_mean_angles_are_over_the_poses_that_have_them():
    y, v = poses(40, 17, hidden=0.3)
    v[:, 13] = 0
    want = np.nanmean(loop_angles(y, v, TRIPLETS)[:, :8], 0)
    got = reference_angles(y, v, TRIPLETS)
    np.testing.assert_allclose(got[:8], want, atol=1e-9)
    assert (np.isnan(got) == (TRIPLETS == 13).any(1)).all()
    np.testing.assert_allclose(reference_angles(torch.tensor(y), torch.tensor(v), TRIPLETS).numpy(), got, atol=1e-13)
    centred = score(y, y[::-1], 'centred', mean=got)
    left_out = eval_pose(y, y[::-1], np.ones(v.shape), v, TRIPLETS, 'centred', got)
    assert np.isfinite(centred).all() and np.isfinite(left_out).any()


def brute_force(theta, bins, k):
    out = np.full((k, k), np.nan)
    for i in range(k):
        for j in range(k):
            pairs = [
                theta[p] @ theta[q] / np.linalg.norm(theta[p]) / np.linalg.norm(theta[q])
                for p in np.flatnonzero(bins == i)
                for q in np.flatnonzero(bins == j)
                if p != q
            ]
            out[i, j] = np.mean(pairs) if pairs else np.nan
    return out


@pytest.mark.parametrize('kind', [np.asarray, torch.as_tensor])
def test_bin_similarity_is_the_mean_over_all_pairs(kind):
    y, v = poses(90, 18, hidden=0.01)
    theta, mask = pose_angles(y, v, TRIPLETS)
    theta = np.where(mask, theta, np.nan)
    bins = np.random.default_rng(0).integers(-1, 6, 90)
    bins[bins == 4] = 3  # bin 4 is empty
    bins[bins == 5] = 0
    bins[np.flatnonzero(mask.all(1))[0]] = 5  # bin 5 holds one pose
    whole = mask.all(1)
    assert 5 < (~whole).sum() < 60
    got = bin_similarity(kind(theta), kind(bins), 6)
    want = brute_force(theta[whole], bins[whole], 6)
    np.testing.assert_allclose(got, want, atol=1e-10, rtol=0)
    assert np.isnan(got[4]).all() and np.isnan(got[5, 5]) and np.isfinite(got[5, 0])
    assert (got == got.T)[~np.isnan(got)].all()


def test_one_pose_repeated_is_alike_in_every_bin():
    theta = np.tile(np.random.default_rng(1).uniform(0.1, 3, 12), (50, 1))
    np.testing.assert_allclose(bin_similarity(theta, np.arange(50) % 5, 5), 1, atol=1e-12)


def test_wrong_input_says_what_was_got_and_expected():
    p, v = poses(4)
    with pytest.raises(ValueError, match=r'joints \(4, 14, 3\).*expected \(N, K, 2\)'):
        pose_angles(np.zeros((4, 14, 3)), v, TRIPLETS)
    with pytest.raises(ValueError, match=r'visibility \(4, 13\)'):
        pose_angles(p, v[:, :13], TRIPLETS)
    with pytest.raises(ValueError, match='joints 0 to 13, but poses have 9'):
        pose_angles(p[:, :9], v[:, :9], TRIPLETS)
    with pytest.raises(ValueError, match=r'shape \(0,\), expected \(J, 3\)'):
        pose_angles(p, v, [])
    with pytest.raises(ValueError, match="variant 'cosine', expected one of raw, centred, signed"):
        score(p, p, 'cosine')
    with pytest.raises(ValueError, match="needed there, got variant='centred' with mean=None"):
        score(p, p, 'centred')
    with pytest.raises(ValueError, match=r'shape \(5,\), expected \(12,\)'):
        score(p, p, 'centred', mean=np.zeros(5))
    with pytest.raises(ValueError, match='P has 4 poses, but Q has 3'):
        eval_pose(p, p[:3], v, v[:3], TRIPLETS)
    with pytest.raises(ValueError, match='bins go from -1 to 7, expected -1 to 4'):
        bin_similarity(np.ones((2, 12)), np.array([-1, 7]), 5)
    with pytest.raises(ValueError, match='expected .N, J. and .N,.'):
        bin_similarity(np.ones((2, 12)), np.array([1]), 5)
    with pytest.raises(ValueError, match="'h36m' has no angles.*angle_triplets=.*dataset_info.*left_knee"):
        angle_triplets(Skeleton.from_metainfo('h36m'))


def test_an_empty_set_stays_empty():
    assert eval_pose(*[np.zeros((0, 14, 2))] * 2, *[np.zeros((0, 14))] * 2, TRIPLETS).shape == (0,)
    assert np.isnan(bin_similarity(np.zeros((0, 12)), np.zeros(0, int), 3)).all()


def test_hand_angles():
    triplets = angle_triplets(Skeleton.from_metainfo('hand21'))
    assert triplets.shape == (19, 3)
    y = np.random.default_rng(2).uniform(0, 9, (5, 21, 2))
    assert (eval_pose(y, y, np.ones((5, 21)), np.ones((5, 21)), triplets) == 1).all()
