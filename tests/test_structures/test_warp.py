"""Views: closed forms, inverses and agreement of pictures, points and heatmaps."""

import pytest
import torch

from mmposeda.structures.heatmap import gaussian_heatmaps, heatmap_argmax
from mmposeda.structures.warp import (
    AffineRange,
    affine_matrix,
    compose,
    inside,
    invert,
    rescale,
    sample_affine,
    sample_crop,
    transform_points,
    warp,
)

BODY = AffineRange(rotation=60, shear=30, translation=0.05, scale=(0.6, 1.3))


def matrix(size, turn=0.0, shear=0.0, shift=(0.0, 0.0), scale=1.0):
    radians = torch.tensor([turn, shear]) * torch.pi / 180
    return affine_matrix(size, radians[:1], radians[1:], torch.tensor([shift]), torch.tensor([scale]))


def test_identity_and_whole_pixel_shifts_are_exact():
    x = torch.rand(1, 3, 17, 23)
    torch.testing.assert_close(warp(x, matrix((23, 17))), x, atol=1e-5, rtol=0)
    moved = warp(x, matrix((23, 17), shift=(3.0, -2.0)))
    torch.testing.assert_close(moved[..., :15, 3:], x[..., 2:, :-3], atol=1e-5, rtol=0)
    assert moved[..., 15:, :].abs().max() < 1e-4
    assert moved[..., :3].abs().max() < 1e-4


@pytest.mark.parametrize('turn, turns', [(90, 1), (180, 2), (-90, 3)])
def test_quarter_turns_go_counter_clockwise_and_are_exact(turn, turns):
    x = torch.rand(1, 2, 16, 16)
    torch.testing.assert_close(warp(x, matrix((16, 16), turn=turn)), torch.rot90(x, turns, (2, 3)), atol=1e-4, rtol=0)


def test_closed_inverse_equals_the_solver():
    matrices = sample_affine(50, (256, 192), BODY) @ sample_crop(50, (256, 192), AffineRange(crop_area=(0.5, 1.0)))
    torch.testing.assert_close(invert(matrices), torch.linalg.inv(matrices), atol=2e-4, rtol=1e-4)


def test_composition_equals_the_matrix_product():
    first, second = (sample_affine(8, (64, 48), BODY) for _ in range(2))
    torch.testing.assert_close(compose(second, first), second @ first, atol=1e-4, rtol=1e-5)


def test_geometry_keeps_its_precision_under_mixed_precision():
    def places():
        generator = torch.Generator().manual_seed(0)
        draw = [f(4, (256, 256), BODY, generator=generator) for f in (sample_affine, sample_crop)]
        matrix = compose(*draw)
        points = transform_points(torch.full((4, 3, 2), 201.0), invert(matrix))
        return points, warp(torch.arange(256.0).expand(4, 1, 256, 256), matrix)

    exact = places()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = places()
    for a, b in zip(exact, mixed):
        assert a.dtype == b.dtype and torch.equal(a, b)


def test_points_follow_a_painted_pixel():
    generator = torch.Generator().manual_seed(0)
    size = (96, 64)
    points = torch.rand(32, 1, 2, generator=generator) * torch.tensor([60.0, 30.0]) + 17
    x = gaussian_heatmaps(points, size, sigma=2.0, cut=6)
    matrices = sample_affine(32, size, BODY, generator=generator)
    moved = transform_points(points, matrices)
    found, _ = heatmap_argmax(warp(x, matrices))
    visible = inside(moved, size).squeeze(1)
    assert visible.sum() > 25
    assert (found - moved).abs()[visible].max() <= 0.75


def test_inverse_view_restores_smooth_heatmaps():
    generator = torch.Generator().manual_seed(1)
    cells = torch.randint(24, 40, (64, 1, 2), generator=generator).float()
    h = gaussian_heatmaps(cells, (64, 64), sigma=2.0)
    ranges = AffineRange(rotation=60, shear=30, translation=0.05, scale=(1.0, 1.3))
    matrices = sample_affine(64, (64, 64), ranges, generator=generator)
    back = warp(warp(h, matrices), torch.linalg.inv(matrices))
    assert (back - h).abs().max() < 0.16
    assert torch.equal(heatmap_argmax(back)[0], cells)


def test_negated_parameters_are_not_the_inverse():
    there = matrix((64, 64), turn=30, shear=20, shift=(4.0, 2.0), scale=1.2)
    negated = matrix((64, 64), turn=-30, shear=-20, shift=(-4.0, -2.0), scale=1 / 1.2)
    assert (negated @ there - torch.eye(3)).abs().max() > 0.1
    only_turn = matrix((64, 64), turn=-30) @ matrix((64, 64), turn=30)
    torch.testing.assert_close(only_turn[0], torch.eye(3), atol=1e-5, rtol=0)


def test_heatmap_matrix_moves_a_cell_as_the_input_matrix_moves_its_pixel():
    matrices = sample_affine(16, (256, 192), BODY)
    cells = torch.rand(16, 5, 2) * 40
    scale = torch.tensor([4.0, 3.0])
    moved = transform_points(cells, rescale(matrices, (4.0, 3.0)))
    torch.testing.assert_close(moved * scale, transform_points(cells * scale, matrices), atol=1e-3, rtol=1e-4)


def test_crop_stays_inside_and_keeps_its_area():
    ranges = AffineRange(crop_area=(0.6, 1.3))
    matrices = sample_crop(500, (256, 128), ranges)
    corners = torch.tensor([[-0.5, -0.5], [255.5, 127.5]]).expand(500, -1, -1)
    source = transform_points(corners, torch.linalg.inv(matrices))
    assert source.min() > -0.51 and (source <= torch.tensor([255.51, 127.51])).all()
    sides = (source[:, 1] - source[:, 0]) / torch.tensor([256.0, 128.0])
    torch.testing.assert_close(sides[:, 0], sides[:, 1], atol=1e-4, rtol=0)
    area = sides.prod(1)
    assert area.min() >= 0.599 and area.max() <= 1.001
    assert (area > 0.999).float().mean() == pytest.approx(3 / 7, abs=0.08)


def test_sampling_repeats_from_its_generator():
    draws = [sample_affine(4, (64, 64), BODY, generator=torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*draws)


def test_warp_passes_gradients_to_the_picture():
    x = torch.rand(2, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    matrices = sample_affine(2, (5, 6), BODY)
    assert torch.autograd.gradcheck(lambda y: warp(y, matrices), x)


@pytest.mark.parametrize('bad', [dict(rotation=-1), dict(shear=90), dict(scale=(1.3, 0.6)), dict(crop_area=(0.0, 1.0))])
def test_impossible_ranges_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        AffineRange(**bad)
