"""Normalisation of poses against its definition, pose by pose, and its invariances."""

import pytest
import torch

from mmposeda.structures.pose2d import NORM_MODES, normalize_pose2d

ROOT = (2, 3)


def some_poses(count=40, joints=7, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = 200 * torch.rand(count, joints, 2, generator=generator, dtype=dtype)
    v = (torch.rand(count, joints, generator=generator) > 0.3).to(dtype)
    v[:, 0] = 1
    low = 50 * torch.rand(count, 2, generator=generator, dtype=dtype)
    sides = 100 + 50 * torch.rand(count, 2, generator=generator, dtype=dtype)
    return y, v, torch.cat([low, low + sides], 1)


def one_by_one(y, v, mode, boxes):
    out = torch.zeros_like(y)
    for i, (pose, seen) in enumerate(zip(y, v > 0)):
        points = pose[seen]
        if mode == 'bbox':
            low, high = points.min(0).values, points.max(0).values
            centre, scale = (low + high) / 2, (high - low).max()
        elif mode == 'root':
            roots = [pose[j] for j in ROOT if seen[j]]
            centre = torch.stack(roots).mean(0) if roots else points.mean(0)
            scale = (points - centre).norm(dim=1).square().mean().sqrt()
        else:
            centre, scale = (boxes[i, :2] + boxes[i, 2:]) / 2, (boxes[i, 2:] - boxes[i, :2]).max()
        out[i, seen] = (points - centre) / scale
    return out


@pytest.mark.parametrize('mode', NORM_MODES)
class TestAnyMode:
    def test_is_its_definition(self, mode):
        y, v, boxes = some_poses()
        normalized, _, _ = normalize_pose2d(y, v, mode, boxes, ROOT)
        torch.testing.assert_close(normalized, one_by_one(y, v, mode, boxes))

    def test_can_be_undone(self, mode):
        y, v, boxes = some_poses()
        normalized, scale, centre = normalize_pose2d(y, v, mode, boxes, ROOT)
        assert scale.shape == (40, 1, 1) and centre.shape == (40, 1, 2)
        back = normalized * scale + centre
        torch.testing.assert_close(back[v > 0], y[v > 0])

    def test_what_is_invisible_does_not_matter(self, mode):
        y, v, boxes = some_poses()
        wild = torch.where((v > 0)[..., None], y, torch.nan)
        for a, b in zip(normalize_pose2d(y, v, mode, boxes, ROOT), normalize_pose2d(wild, v, mode, boxes, ROOT)):
            assert torch.equal(a, b)

    def test_a_pose_does_not_depend_on_the_others(self, mode):
        y, v, boxes = some_poses()
        order = torch.randperm(40, generator=torch.Generator().manual_seed(1))[:15]
        whole = normalize_pose2d(y, v, mode, boxes, ROOT)
        part = normalize_pose2d(y[order], v[order], mode, boxes[order], ROOT)
        for a, b in zip(whole, part):
            torch.testing.assert_close(a[order], b)

    @pytest.mark.parametrize('case', ['nobody', 'one joint', 'one place', 'flat box'])
    def test_degenerate_poses_give_finite_numbers(self, mode, case):
        y, v, boxes = some_poses(3, dtype=torch.float32)
        if case == 'nobody':
            v[:] = 0
        elif case == 'one joint':
            v[:, 1:] = 0
        elif case == 'one place':
            y[:] = y[:, :1]
        else:
            boxes[:, 2:] = boxes[:, :2]
        for value in normalize_pose2d(y, v, mode, boxes, ROOT):
            assert torch.isfinite(value).all()
        _, scale, _ = normalize_pose2d(y, v, mode, boxes, ROOT)
        assert (scale > 0).all()

    def test_an_empty_batch_stays_empty(self, mode):
        y, v, boxes = some_poses(0)
        assert normalize_pose2d(y, v, mode, boxes, ROOT)[0].shape == (0, 7, 2)


@pytest.mark.parametrize('mode', ['bbox', 'root'])
def test_place_and_size_go_away(mode):
    y, v, _ = some_poses()
    moved = 3.7 * y + torch.tensor([-400.0, 31.0])
    before, after = (normalize_pose2d(p, v, mode, root=1)[0] for p in (y, moved))
    torch.testing.assert_close(before, after)


def test_place_and_size_stay_in_the_picture():
    y, v, boxes = some_poses()
    before = normalize_pose2d(y, v, 'image', boxes)[0]
    assert not torch.allclose(normalize_pose2d(y + 5, v, 'image', boxes)[0], before)
    assert not torch.allclose(normalize_pose2d(y * 1.1, v, 'image', boxes)[0], before)
    # but a crop that goes with the person is the same picture
    torch.testing.assert_close(normalize_pose2d(y * 3 + 7, v, 'image', boxes * 3 + 7)[0], before)


def test_longer_side_of_the_box_is_one():
    y, v, _ = some_poses()
    normalized = normalize_pose2d(y, v)[0]
    for pose, seen in zip(normalized, v > 0):
        extent = pose[seen].max(0).values - pose[seen].min(0).values
        assert extent.max() == pytest.approx(1)


def test_crop_runs_from_minus_to_plus_a_half():
    boxes = torch.tensor([[10.0, 20.0, 266.0, 276.0]])
    corners = torch.tensor([[[10.0, 20.0], [266.0, 276.0]]])
    torch.testing.assert_close(
        normalize_pose2d(corners, torch.ones(1, 2), 'image', boxes)[0], torch.tensor([[[-0.5, -0.5], [0.5, 0.5]]])
    )


def test_gradients_are_finite():
    y, v, boxes = some_poses(5)
    y.requires_grad_()
    normalize_pose2d(y, v, 'root', boxes, ROOT)[0].square().sum().backward()
    assert torch.isfinite(y.grad).all()


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(mode='box'), "'box' is unknown, expected one of bbox, root, image"),
        (dict(mode='image'), r'needs the boxes \(40, 4\) .* got none'),
        (dict(mode='image', boxes=torch.ones(3, 4)), r'got \(3, 4\)'),
        (dict(mode='root'), 'root=None'),
        (dict(mode='root', root=7), '0 to 6, got root=7'),
        (dict(mode='root', root=[0, -1]), r'got root=\[0, -1\]'),
        (dict(v=torch.ones(40, 6)), r'\(40, 7, 2\) and visibility \(40, 6\)'),
    ],
)
def test_wrong_arguments_are_named(change, message):
    y, v, _ = some_poses()
    with pytest.raises(ValueError, match=message):
        normalize_pose2d(**{'y': y, 'v': v, **change})
