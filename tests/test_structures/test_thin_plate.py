"""Thin-plate splines against their defining properties, and random deformations that must not fold."""

import pytest
import torch
from scipy.interpolate import RBFInterpolator

from mmposeda.structures.keypoint_grid import identity_grid, resize_field, warp_by_field
from mmposeda.structures.thin_plate import random_deformation, thin_plate_field, thin_plate_weights
from mmposeda.structures.warp import affine_matrix, warp

LATTICE = identity_grid((4, 3), torch.zeros(())).flatten(0, 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def scattered(count=9, seed=0):
    return torch.rand(count, 2, generator=seeded(seed)) * 2 - 1


class TestSpline:
    def test_control_points_are_met(self):
        size = (31, 25)
        pixels = torch.tensor([[3, 4], [29, 2], [15, 12], [7, 22], [25, 20], [0, 24]])
        points = identity_grid(size, torch.zeros(()))[pixels[:, 1], pixels[:, 0]]
        moved = torch.randn(2, len(points), 2, generator=seeded()) * 0.2
        field = thin_plate_field(points, moved, size)
        assert field.shape == (2, 25, 31, 2)
        torch.testing.assert_close(field[:, pixels[:, 1], pixels[:, 0]], moved, atol=1e-5, rtol=0)

    @pytest.mark.parametrize('size', [(20, 20), (33, 12)])
    def test_equals_the_spline_of_scipy(self, size):
        points, moved = scattered(), torch.randn(1, 9, 2, generator=seeded(1))
        square = torch.tensor([(side - 1) / (max(size) - 1) for side in size])
        places = identity_grid(size, torch.zeros(())).flatten(0, 1)
        want = RBFInterpolator((points * square).numpy(), moved[0].numpy())(places * square)
        got = thin_plate_field(points, moved, size)[0].flatten(0, 1)
        torch.testing.assert_close(got, torch.from_numpy(want).float(), atol=2e-5, rtol=0)

    def test_affine_displacements_give_the_affine_field(self):
        matrix, offset = torch.tensor([[0.9, 0.3], [-0.2, 1.1]]), torch.tensor([0.1, -0.3])
        points, grid = scattered(), identity_grid((24, 18), torch.zeros(()))
        field = thin_plate_field(points, (points @ matrix.T + offset - points)[None], (24, 18))
        torch.testing.assert_close(field[0], grid @ matrix.T + offset - grid, atol=2e-5, rtol=0)

    def test_no_displacement_leaves_pictures_as_they_are(self):
        picture = torch.rand(2, 3, 24, 18, generator=seeded())
        field = thin_plate_field(LATTICE, torch.zeros(2, 12, 2), (18, 24))
        torch.testing.assert_close(warp_by_field(picture, field), picture, atol=1e-5, rtol=0)

    def test_shares_sum_to_one(self):
        weights = thin_plate_weights(LATTICE, (16, 16))
        assert weights.shape == (16, 16, 12) and weights.dtype == torch.float32
        torch.testing.assert_close(weights.sum(-1), torch.ones(16, 16), atol=1e-5, rtol=0)

    def test_displacements_learn_also_under_mixed_precision(self):
        moved = torch.zeros(1, 12, 2, requires_grad=True)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            field = thin_plate_field(LATTICE, moved, (16, 16))
        assert field.dtype == torch.float32
        field[..., 0].sum().backward()
        assert moved.grad[..., 0].sum().item() == pytest.approx(256, rel=1e-4) and not moved.grad[..., 1].any()

    @pytest.mark.parametrize(
        'points, message',
        [
            (torch.zeros(3, 3), r'must be \(P, 2\), got \(3, 3\)'),
            (torch.tensor([[0.0, 0], [1, 1]]), '2 control points'),
            (torch.tensor([[0.0, 0], [0.5, 0.5], [1, 1]]), 'three that are not on a line'),
            (torch.tensor([[0.0, 0], [0, 0], [1, 1], [1, 0]]), 'no two in one place'),
        ],
    )
    def test_points_that_fix_no_spline(self, points, message):
        with pytest.raises(ValueError, match=message):
            thin_plate_weights(points, (8, 8))


def jacobians(field):
    """Determinants of the map z -> z + field(z) between neighbouring pixels, (B, h - 1, w - 1)."""
    places = field + identity_grid((field.shape[2], field.shape[1]), field)
    along = (places[:, :-1, 1:] - places[:, :-1, :-1]) * (field.shape[2] - 1) / 2
    down = (places[:, 1:, :-1] - places[:, :-1, :-1]) * (field.shape[1] - 1) / 2
    return along[..., 0] * down[..., 1] - along[..., 1] * down[..., 0]


class TestRandomDeformation:
    still = dict(rotation=0, scale=(1, 1), translation=0, local=0)

    def test_no_range_is_the_identity(self):
        field = random_deformation(3, (30, 20), **self.still)
        assert field.shape == (3, 20, 30, 2) and field.abs().max() < 1e-5
        picture = torch.rand(3, 3, 20, 30, generator=seeded())
        torch.testing.assert_close(warp_by_field(picture, field), picture, atol=1e-5, rtol=0)

    def test_a_seed_fixes_it(self):
        torch.manual_seed(4)
        first = random_deformation(2, (16, 16))
        torch.manual_seed(4)
        assert torch.equal(random_deformation(2, (16, 16)), first)
        assert not torch.equal(random_deformation(2, (16, 16)), first)
        own = [random_deformation(2, (16, 16), generator=seeded(3)) for _ in range(2)]
        assert torch.equal(*own) and not torch.equal(own[0][0], own[0][1])

    def test_nothing_folds_at_the_default_ranges(self):
        assert jacobians(random_deformation(500, (48, 48), generator=seeded())).min() > 0.2
        assert jacobians(random_deformation(200, (36, 48), generator=seeded(1))).min() > 0.2

    def test_not_even_where_all_control_points_move_against_each_other(self):
        """The largest gradient that any displacements within the range can have is below the smallest scale."""
        lattice = identity_grid((5, 5), torch.zeros(())).flatten(0, 1)
        weights = thin_plate_weights(lattice, (64, 64))
        along = (weights[:, 1:] - weights[:, :-1])[:-1].abs().sum(-1) * 63 / 2
        down = (weights[1:] - weights[:-1])[:, :-1].abs().sum(-1) * 63 / 2
        assert 2 * 0.03 * (2 * (along**2 + down**2)).sqrt().max() < 1 / 1.15

    @pytest.mark.parametrize('size', [(40, 40), (48, 32)])
    def test_the_whole_moves_as_an_affine_view_does(self, size):
        """The content is scaled and shifted as by the view of the same draws."""
        picture = torch.nn.functional.avg_pool2d(torch.rand(1, 3, size[1], size[0], generator=seeded()), 5, 1, 2)
        ranges = dict(self.still, scale=(1.2, 1.2), translation=0.2)
        field = random_deformation(1, size, generator=seeded(5), **ranges)
        # the draws of turn, shear, shift and scale, in this order
        source = seeded(5)
        turn, shear, shift = (torch.rand(*shape, generator=source) for shape in ((1,), (1,), (1, 2)))
        shift = (shift * 2 - 1) * 0.2 * torch.tensor(size)
        matrix = affine_matrix(size, 0 * turn, 0 * shear, shift, torch.full((1,), 1.2))
        torch.testing.assert_close(warp_by_field(picture, field), warp(picture, matrix), atol=1e-4, rtol=0)

    @pytest.mark.parametrize('size', [(40, 40), (48, 32)])
    def test_a_turn_keeps_angles_in_pixels(self, size):
        field = random_deformation(4, size, generator=seeded(), **{**self.still, 'rotation': 60})
        places = (field + identity_grid(size, field)) * (torch.tensor(size) - 1) / 2
        along, down = places[:, :-1, 1:] - places[:, :-1, :-1], places[:, 1:, :-1] - places[:, :-1, :-1]
        torch.testing.assert_close((along * down).sum(-1), torch.zeros(4, size[1] - 1, size[0] - 1), atol=1e-4, rtol=0)
        torch.testing.assert_close(along.norm(dim=-1), torch.ones_like(along[..., 0]), atol=1e-4, rtol=0)
        assert (places[:, 0, 1, 1] - places[:, 0, 0, 1]).abs().max() > 0.1

    def test_local_part_stays_within_its_range_at_control_points_and_is_smooth(self):
        ranges = {**self.still, 'local': 0.03}
        field = random_deformation(50, (41, 41), generator=seeded(), **ranges)
        at_points = field[:, ::10, ::10]
        assert at_points.abs().max() <= 0.06 + 1e-5 and at_points.abs().max() > 0.055
        coarse = resize_field(random_deformation(50, (21, 21), generator=seeded(), **ranges), (41, 41))
        assert (coarse - field).abs().max() < 0.006

    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(local=-0.1), 'local must be >= 0'),
            (dict(points=1), 'points >= 2'),
            (dict(rotation=-1), 'rotation is the largest magnitude'),
            (dict(scale=(0, 1)), 'scale must be'),
        ],
    )
    def test_ranges_that_are_none(self, change, message):
        with pytest.raises(ValueError, match=message):
            random_deformation(1, (8, 8), **change)
