"""Points, maps and fields on corner-aligned grids against closed forms and slow, obvious forms."""

import pytest
import torch
import torch.nn.functional as F

from mmposeda.structures.heatmap import gaussian_heatmaps, heatmap_argmax
from mmposeda.structures.keypoint_grid import (
    affine_grids,
    bone_transforms,
    dense_affine_field,
    dense_field,
    displaced_grids,
    gaussian_maps,
    grid_to_pixels,
    identity_grid,
    pixels_to_grid,
    resize_field,
    sample,
    sample_regions,
    segment_maps,
    soft_argmax,
    warp_by_field,
)


def smooth(*shape, seed=0):
    x = torch.rand(*shape, generator=torch.Generator().manual_seed(seed))
    return F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)


class TestPlaces:
    @pytest.mark.parametrize('size', [(256, 256), (23, 17), (1, 4)])
    def test_corners_are_centres_of_the_outer_pixels(self, size):
        grid = identity_grid(size, torch.zeros(1))
        assert grid.shape == (size[1], size[0], 2)
        rows, columns = torch.meshgrid(torch.arange(size[1]), torch.arange(size[0]), indexing='ij')
        pixels = torch.stack([columns, rows], -1).float()
        torch.testing.assert_close(grid_to_pixels(grid, size), pixels, atol=1e-4, rtol=0)
        if min(size) > 1:
            torch.testing.assert_close(pixels_to_grid(pixels, size), grid)
            assert grid[0, 0].tolist() == [-1, -1] and grid[-1, -1].tolist() == [1, 1]

    def test_cells_become_places_by_way_of_the_pictures_pixels(self):
        """Cell 63 of stride 4 is pixel 252, not the last one."""
        cell = torch.tensor([63.0, 0.0])
        assert pixels_to_grid(cell * 4, (256, 256))[0].item() == pytest.approx(2 * 252 / 255 - 1)

    def test_half_precision_does_not_round_places(self):
        points = torch.tensor([[201.0, 3.0]], dtype=torch.bfloat16)
        assert pixels_to_grid(points, (256, 256)).dtype == torch.float32
        with torch.autocast('cpu', dtype=torch.bfloat16):
            x, field = smooth(1, 3, 32, 32), torch.rand(1, 32, 32, 2) * 0.2
            mixed = warp_by_field(x, field), dense_field(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 2))
        assert torch.equal(mixed[0], warp_by_field(x, field)) and mixed[1].dtype == torch.float32


class TestMaps:
    def test_separable_gaussians_equal_the_full_form(self):
        points = torch.rand(2, 5, 2, generator=torch.Generator().manual_seed(0)) * 3 - 1.5
        grid = identity_grid((13, 9), points)
        full = torch.exp(-0.5 * (grid - points[:, :, None, None]).square().sum(-1) / 0.01)
        torch.testing.assert_close(gaussian_maps(points, (13, 9)), full, atol=1e-6, rtol=1e-5)

    def test_the_default_deviation_is_a_tenth_of_half_the_side(self):
        row = gaussian_maps(torch.zeros(1, 1, 2), (64, 64))[0, 0, 31]
        pixels = torch.arange(64) - 31.5
        off_row = torch.exp(torch.tensor(-0.5 * (0.5 / 3.15) ** 2))
        torch.testing.assert_close(row, off_row * torch.exp(-0.5 * (pixels / 3.15) ** 2), atol=1e-5, rtol=1e-4)

    def test_segments_equal_the_nearest_of_many_points(self):
        ends = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1)) * 2 - 1
        start, end = ends[..., :2], ends[..., 2:]
        share = torch.linspace(0, 1, 2001)[:, None, None, None]
        many = torch.stack([gaussian_maps(p, (11, 7)) for p in start + share * (end - start)]).amax(0)
        torch.testing.assert_close(segment_maps(start, end, (11, 7)), many, atol=1e-3, rtol=0)

    def test_segment_without_length_is_a_point_with_a_finite_gradient(self):
        points = torch.rand(1, 2, 2).requires_grad_()
        maps = segment_maps(points, points, (9, 9))
        torch.testing.assert_close(maps, gaussian_maps(points, (9, 9)))
        maps.sum().backward()
        assert points.grad.isfinite().all()


WINDOW = dict(temperature=0.2, radius=6)


class TestSoftArgmax:
    @pytest.mark.parametrize('height', [1.0, 0.2])
    @pytest.mark.parametrize('how, error', [({}, 0.05), (WINDOW, 0.01)])
    def test_finds_whole_and_fractional_cells(self, height, how, error):
        whole = torch.tensor([[[20.0, 31.0], [6.0, 50.0]]])
        found = soft_argmax(height * gaussian_heatmaps(whole, (64, 64), 2.0, cut=20), **how)
        assert (found - whole).abs().max() < 1e-3
        between = torch.rand(1, 100, 2, generator=torch.Generator().manual_seed(0)) * 50 + 6
        found = soft_argmax(height * gaussian_heatmaps(between, (64, 64), 2.0, cut=20), **how)
        assert (found - between).abs().max() < error

    @pytest.mark.parametrize('how, error', [({}, 0.25), (WINDOW, 0.1)])
    def test_withstands_noise(self, how, error):
        generator = torch.Generator().manual_seed(0)
        points = torch.rand(4, 20, 2, generator=generator) * 50 + 6
        noise = torch.rand(4, 20, 64, 64, generator=generator) * 0.03
        found = soft_argmax(0.5 * gaussian_heatmaps(points, (64, 64), 2.0, cut=20) + noise, **how)
        assert (found - points).norm(dim=-1).max() < error

    def test_window_ignores_a_second_peak(self):
        maps = gaussian_heatmaps(torch.tensor([[[12.0, 20.0]], [[40.0, 50.0]]]), (64, 64), 2.0).sum(0, keepdim=True)
        maps[..., 32:, :] *= 0.99
        assert (soft_argmax(maps, **WINDOW) - torch.tensor([12.0, 20.0])).abs().max() < 1e-3

    def test_window_without_anything_positive_is_the_largest_cell(self):
        maps = -torch.rand(1, 2, 8, 8)
        maps.requires_grad_()
        found = soft_argmax(maps, **WINDOW)
        assert torch.equal(found, heatmap_argmax(maps)[0])
        found.sum().backward()
        assert maps.grad.isfinite().all()

    def test_does_not_depend_on_the_level_of_a_map(self):
        maps = torch.rand(2, 3, 12, 10) + 0.01
        for how in ({}, WINDOW):
            torch.testing.assert_close(soft_argmax(7 * maps, **how), soft_argmax(maps, **how), atol=1e-4, rtol=1e-4)

    def test_an_empty_map_gives_the_middle(self):
        torch.testing.assert_close(soft_argmax(torch.zeros(1, 1, 8, 12)), torch.tensor([[[5.5, 3.5]]]))

    def test_gradient_is_that_of_the_weights_alone_and_not_zero(self):
        maps = gaussian_heatmaps(torch.tensor([[[8.3, 7.6]]]).double(), (16, 16), 2.0, cut=20).requires_grad_()
        soft_argmax(maps)[..., 0].sum().backward()
        assert maps.grad.abs().max() > 0.1
        with torch.no_grad():
            weights = (maps / (0.05 * maps.max())).flatten(2).softmax(-1).view_as(maps)
            away = torch.arange(16).double() - (weights.sum((0, 1, 2)) * torch.arange(16)).sum()
            expected = weights * away / (0.05 * maps.max())
        torch.testing.assert_close(maps.grad, expected)


class TestSampling:
    @pytest.mark.parametrize('size', [(256, 256), (61, 47), (8, 5)])
    def test_identity(self, size):
        x = torch.rand(2, 3, size[1], size[0])
        torch.testing.assert_close(sample(x, identity_grid(size, x).expand(2, -1, -1, -1)), x, atol=2e-5, rtol=0)

    def test_identity_after_resizing_a_field(self):
        x = smooth(1, 3, 256, 256)
        torch.testing.assert_close(warp_by_field(x, torch.zeros(1, 64, 64, 2)), x, atol=2e-5, rtol=0)
        absolute = resize_field(identity_grid((64, 64), x)[None], (256, 256))
        torch.testing.assert_close(absolute[0], identity_grid((256, 256), x), atol=1e-6, rtol=0)
        torch.testing.assert_close(sample(x, absolute), x, atol=2e-4, rtol=0)

    def test_mixed_conventions_would_fail(self):
        x = F.pad(smooth(1, 3, 56, 56), (4, 4, 4, 4))  # dark borders, so that these do not count
        grid = identity_grid((64, 64), x)[None]
        one = (F.grid_sample(x, grid, align_corners=False) - x).abs().max()
        small = identity_grid((16, 16), x)[None].permute(0, 3, 1, 2)
        resized = F.interpolate(small, size=64, mode='bilinear', align_corners=False).permute(0, 2, 3, 1)
        two = (F.grid_sample(x, resized, align_corners=False) - x).abs().max()
        assert two > one > 0.03

    def test_known_shift(self):
        x = torch.rand(1, 2, 256, 256)
        field = torch.tensor([2 * 5 / 255, -2 * 3 / 255]).expand(1, 64, 64, 2)
        out = warp_by_field(x, field)
        torch.testing.assert_close(out[..., 3:, :251], x[..., :253, 5:], atol=1e-4, rtol=0)
        assert out[..., :2, :].abs().max() == 0 and out[..., 252:].abs().max() == 0

    def test_stacked_grids_equal_a_repeated_picture(self):
        x, moves = torch.rand(2, 3, 12, 16), torch.rand(2, 5, 2) - 0.5
        grids = displaced_grids(moves, (16, 12))
        stacked = sample_regions(x, grids)
        repeated = F.grid_sample(x.repeat_interleave(5, 0), grids.flatten(0, 1), align_corners=True)
        assert torch.equal(stacked, repeated.view(2, 5, 3, 12, 16))

    def test_content_moves_with_its_keypoint(self):
        """A keypoint that goes 10 pixels to the right takes the picture along, to the right."""
        size = (64, 48)
        x = gaussian_heatmaps(torch.tensor([[[20.0, 30.0]]]), size, 2.0)
        base = pixels_to_grid(torch.tensor([[[20.0, 30.0]]]), size)
        driving = pixels_to_grid(torch.tensor([[[30.0, 30.0]]]), size)
        out = warp_by_field(x, dense_field(torch.ones(1, 1, 48, 64), base - driving))
        torch.testing.assert_close(out[..., 12:52], x[..., 2:42], atol=1e-4, rtol=0)

    def test_gradients_are_the_numerical_ones(self):
        x = torch.rand(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
        field = (torch.rand(1, 3, 4, 2, dtype=torch.float64) * 0.3).requires_grad_()
        assert torch.autograd.gradcheck(warp_by_field, (x, field))


class TestFields:
    def test_of_one_region_and_of_the_background(self):
        moves = torch.rand(2, 4, 2) - 0.5
        moves[:, 0] = 0
        for region in range(4):
            masks = torch.zeros(2, 4, 6, 7)
            masks[:, region] = 1
            torch.testing.assert_close(dense_field(masks, moves), moves[:, region, None, None].expand(2, 6, 7, 2))

    def test_is_linear_and_turns_with_the_exchange_of_the_pictures(self):
        masks = torch.rand(2, 4, 6, 7).softmax(1)
        base, driving, more = torch.rand(3, 2, 4, 2)
        field = dense_field(masks, base - driving)
        torch.testing.assert_close(dense_field(masks, driving - base), -field)
        both = dense_field(masks, base - driving + 2 * more)
        torch.testing.assert_close(both, field + 2 * dense_field(masks, more), atol=1e-6, rtol=1e-5)

    def test_equals_the_mixture_of_sampling_grids(self):
        masks, moves = torch.rand(2, 4, 6, 7).softmax(1), torch.rand(2, 4, 2)
        grids = displaced_grids(moves, (7, 6))
        mixed = (masks[..., None] * grids).sum(1) - identity_grid((7, 6), masks)
        torch.testing.assert_close(dense_field(masks, moves), mixed, atol=1e-6, rtol=1e-5)

    def test_of_matrices_equals_the_mixture_of_their_grids_and_that_of_plain_shifts(self):
        masks, matrices = torch.rand(2, 4, 6, 7).softmax(1), torch.rand(2, 4, 2, 3)
        mixed = (masks[..., None] * affine_grids(matrices, (7, 6))).sum(1) - identity_grid((7, 6), masks)
        torch.testing.assert_close(dense_affine_field(masks, matrices), mixed, atol=1e-5, rtol=1e-5)
        shifts = torch.cat([torch.eye(2).expand(2, 4, 2, 2), matrices[..., 2:]], -1)
        field = dense_field(masks, matrices[..., 2])
        torch.testing.assert_close(dense_affine_field(masks, shifts), field, atol=1e-5, rtol=1e-5)


class TestBones:
    parents, children = torch.tensor([0, 1]), torch.tensor([1, 2])

    def test_take_both_ends_of_a_bone_along(self):
        size = (64, 48)
        base, driving = torch.rand(2, 4, 3, 2, generator=torch.Generator().manual_seed(2)) * 1.6 - 0.8
        matrices = bone_transforms(driving, base, self.parents, self.children, size, floor=1e-5)
        for ends in (self.parents, self.children):
            points = torch.cat([driving[:, ends], torch.ones(4, 2, 1)], -1)
            moved = (matrices * points[:, :, None]).sum(-1)
            torch.testing.assert_close(moved, base[:, ends], atol=1e-3, rtol=0)

    def test_keep_angles_in_pixels(self):
        size = (101, 51)
        pixels = torch.rand(2, 1, 3, 2, generator=torch.Generator().manual_seed(3)) * 40
        base, driving = pixels_to_grid(pixels, size)
        matrix = bone_transforms(driving, base, self.parents, self.children, size)[0, 0, :, :2]
        to_pixels = torch.tensor([50.0, 25.0])
        in_pixels = matrix * to_pixels[:, None] / to_pixels
        product = in_pixels @ in_pixels.T
        torch.testing.assert_close(product, product[0, 0] * torch.eye(2), atol=1e-4, rtol=1e-4)
        assert torch.linalg.det(in_pixels) > 0

    def test_same_pose_is_the_identity_and_a_bone_without_length_is_shifted(self):
        points = torch.rand(2, 3, 2).requires_grad_()
        matrices = bone_transforms(points, points, self.parents, self.children, (8, 8))
        torch.testing.assert_close(matrices, torch.eye(2, 3).expand(2, 2, 2, 3), atol=1e-6, rtol=0)
        one = torch.zeros(2, 3, 2, requires_grad=True)
        matrices = bone_transforms(one, one + torch.tensor([0.2, 0.1]), self.parents, self.children, (8, 8))
        torch.testing.assert_close(matrices[0, 0], torch.tensor([[1.0, 0.0, 0.2], [0.0, 1.0, 0.1]]))
        matrices.square().sum().backward()
        assert one.grad.isfinite().all()


def test_reconstruction_pulls_a_wrong_point_to_its_place():
    """A blob warped by one region: the picture's error alone brings the driving point back from 0.18 away."""
    size, base = (32, 32), torch.tensor([[[-0.2, 0.1]]])
    truth = torch.tensor([[[0.1, -0.15]]])
    blob, aim = (gaussian_maps(p, size, 0.04) for p in (base, truth))
    point = (truth + torch.tensor([0.12, -0.13])).requires_grad_()
    optimizer = torch.optim.Adam([point], lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.mse_loss(warp_by_field(blob, dense_field(torch.ones(1, 1, 32, 32), base - point)), aim)
        loss.backward()
        optimizer.step()
    assert (point - truth).abs().max() < 2e-3
