import numpy as np
import pytest
import torch
from scipy.spatial import procrustes as scipy_procrustes
from scipy.spatial.transform import Rotation

from mmposeda.structures.procrustes import similarity_align, similarity_transform


def poses(count=20, joints=16, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.4, (count, joints, 3)) + rng.normal(0, 3, (count, 1, 3))


def similar(points, seed=1):
    rng = np.random.default_rng(seed)
    turn = Rotation.random(len(points), random_state=seed).as_matrix()
    size = rng.uniform(0.1, 5, (len(points), 1, 1))
    return size * points @ turn.transpose(0, 2, 1) + rng.normal(0, 4, (len(points), 1, 3))


def test_similar_poses_are_brought_together():
    source = poses()
    target = similar(source)
    assert similarity_align(source, target) == pytest.approx(target, abs=1e-12)
    found = similarity_transform(source, target)
    assert found.rotation @ found.rotation.transpose(0, 2, 1) == pytest.approx(np.tile(np.eye(3), (20, 1, 1)))
    assert np.linalg.det(found.rotation) == pytest.approx(1)


def test_the_fit_is_that_of_a_loop_of_scipys():
    source, target = poses(seed=2), poses(seed=3)
    rigid = similarity_align(source, target, scaling=False)
    aligned = similarity_align(source, target)
    for a, b, moved, stiff in zip(source, target, aligned, rigid):
        turn, _ = Rotation.align_vectors(b - b.mean(0), a - a.mean(0))
        want = turn.apply(a - a.mean(0))
        assert stiff == pytest.approx(want + b.mean(0), abs=1e-9)
        scale = (want * (b - b.mean(0))).sum() / (want**2).sum()
        assert moved == pytest.approx(scale * want + b.mean(0), abs=1e-9)
        left = ((moved - b) ** 2).sum() / ((b - b.mean(0)) ** 2).sum()
        # scipy's may mirror
        assert left >= scipy_procrustes(b, a)[2] - 1e-12


def test_where_no_mirroring_helps_the_rest_is_scipys():
    rng = np.random.default_rng(0)
    target = poses()
    source = similar(target + rng.normal(0, 0.05, target.shape))
    aligned = similarity_align(source, target)
    left = ((aligned - target) ** 2).sum((1, 2)) / ((target - target.mean(1, keepdims=True)) ** 2).sum((1, 2))
    assert left == pytest.approx([scipy_procrustes(b, a)[2] for a, b in zip(source, target)])


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_a_mirror_image_is_not_aligned(axis):
    target = poses()
    mirror = target.copy()
    mirror[..., axis] *= -1
    aligned = similarity_align(mirror, target)
    assert np.linalg.norm(aligned - target, axis=-1).mean(1).min() > 0.05
    assert np.linalg.det(similarity_transform(mirror, target).rotation) == pytest.approx(1)


def test_flat_and_straight_poses_are_aligned_too():
    for keep in (1, 2):
        source = poses()
        source[..., keep:] = 0
        target = similar(source)
        assert similarity_align(source, target) == pytest.approx(target, abs=1e-9)


@pytest.mark.parametrize('where', [(0.0, 0.0, 0.0), (0.3, -2.1, 5.7)])
def test_a_pose_without_extent_lands_on_the_centre(where):
    target = poses()
    point = np.broadcast_to(where, target.shape)
    found = similarity_transform(point, target)
    assert (found.scale == 1).all() and (found.rotation == np.eye(3)).all()
    centre = target.mean(1, keepdims=True)
    assert similarity_align(point, target) == pytest.approx(np.broadcast_to(centre, target.shape), abs=1e-12)
    assert similarity_align(target, point) == pytest.approx(point, abs=1e-12)


def test_a_broken_pose_does_not_touch_the_others():
    source, target = poses(), poses(seed=5)
    want = similarity_align(source, target)
    source[3, 2, 1], target[7, 0, 0] = np.nan, np.inf
    got = similarity_align(source, target)
    assert np.isnan(got[[3, 7]]).all()
    others = np.setdiff1d(np.arange(20), [3, 7])
    assert (got[others] == want[others]).all()


def test_points_without_weight_do_not_count():
    source, target = poses(), poses(seed=6)
    weights = np.ones(source.shape[:2])
    weights[:, [2, 9]] = 0
    kept = weights[0] > 0
    want = similarity_align(source[:, kept], target[:, kept])
    source[:, 2], target[:, 9] = 1e9, np.nan
    assert similarity_align(source, target, weights)[:, kept] == pytest.approx(want, abs=1e-12)
    found = similarity_transform(source, target, 0 * weights)
    assert (found.scale == 1).all() and (found.translation == 0).all()


def test_weights_are_counts():
    source, target = poses(joints=5), poses(joints=5, seed=7)
    weights = np.tile([1, 2, 3, 1, 2], (20, 1))
    repeated = np.repeat(np.arange(5), weights[0])
    got = similarity_transform(source, target, weights)
    want = similarity_transform(source[:, repeated], target[:, repeated])
    for a, b in zip(got, want):
        assert a == pytest.approx(b)


def test_tensors_and_batches_keep_their_kind():
    source, target = poses(), poses(seed=8)
    want = similarity_align(source, target)
    single = similarity_align(torch.tensor(source).float(), torch.tensor(target).float())
    assert single.dtype == torch.float32 and single.numpy() == pytest.approx(want, abs=1e-5)
    grid = similarity_align(torch.tensor(source).view(4, 5, 16, 3), torch.tensor(target).view(4, 5, 16, 3))
    assert grid.dtype == torch.float64 and grid.view(20, 16, 3).numpy() == pytest.approx(want, abs=1e-12)
    flat = similarity_align(source[..., :2].astype(np.float32), target[..., :2].astype(np.float32))
    assert flat.dtype == np.float32 and flat.shape == (20, 16, 2)
    assert similarity_align(source[:0], target[:0]).shape == (0, 16, 3)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r'source \(20, 16, 3\) and target \(20, 15, 3\)'):
        similarity_transform(poses(), poses(joints=15))
    with pytest.raises(ValueError, match=r'weights \(16,\) do not fit poses \(20, 16, 3\)'):
        similarity_transform(poses(), poses(), np.ones(16))
