"""Places in a volume against loops and closed forms, and metric poses against a camera that is exact."""

import pytest
import torch

from mmposeda.structures.skeleton import Skeleton
from mmposeda.structures.volume import body_size, metric_pose, soft_argmax_3d

LSP = Skeleton.from_metainfo('lsp')
HIPS = LSP.index_all(('left_hip', 'right_hip'))


def people(count=5, seed=0):
    """Poses (count, 14, 3) in mm around the middle of the hips."""
    generator = torch.Generator().manual_seed(seed)
    poses = 400 * torch.randn(count, LSP.num_joints, 3, generator=generator, dtype=torch.float64)
    return poses - poses[:, HIPS].mean(1, keepdim=True)


def lifted(points, depth, size, root=HIPS):
    return metric_pose(points, depth, size, LSP.bones, root)


class TestSoftArgmax:
    def test_a_high_bin_is_its_centre(self):
        size = (3, 4, 5)  # depth, height, width
        for depth, row, column in ((0, 0, 0), (2, 1, 4), (1, 3, 2)):
            logits = torch.zeros(1, 1, *size)
            logits[0, 0, depth, row, column] = 1000
            wanted = [(column + 0.5) / 5, (row + 0.5) / 4, (depth + 0.5) / 3]
            torch.testing.assert_close(soft_argmax_3d(logits)[0, 0], torch.tensor(wanted))

    @pytest.mark.parametrize('level', [0.0, -7.0, 1e4])
    def test_the_middle_where_all_bins_are_equal(self, level):
        places = soft_argmax_3d(torch.full((2, 3, 4, 6, 8), level))
        torch.testing.assert_close(places, torch.full((2, 3, 3), 0.5))

    def test_equals_a_loop_over_the_bins(self):
        logits = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        got = soft_argmax_3d(logits)
        for b in range(2):
            for k in range(3):
                shares, wanted = logits[b, k].exp() / logits[b, k].exp().sum(), torch.zeros(3, dtype=torch.float64)
                for z in range(4):
                    for y in range(5):
                        for x in range(6):
                            place = torch.tensor([(x + 0.5) / 6, (y + 0.5) / 5, (z + 0.5) / 4], dtype=torch.float64)
                            wanted += shares[z, y, x] * place
                torch.testing.assert_close(got[b, k], wanted)

    def test_mirroring_the_volume_mirrors_one_axis(self):
        logits = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
        places = soft_argmax_3d(logits)
        for axis in range(3):
            mirrored = soft_argmax_3d(logits.flip(4 - axis))
            wanted = places.clone()
            wanted[..., axis] = 1 - wanted[..., axis]
            torch.testing.assert_close(mirrored, wanted)

    def test_gradient_is_the_numerical_one(self):
        logits = torch.randn(1, 2, 3, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert torch.autograd.gradcheck(soft_argmax_3d, logits.requires_grad_())

    def test_half_precision_is_summed_in_float32(self):
        logits = torch.randn(1, 2, 16, 16, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
        got = soft_argmax_3d(logits)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, soft_argmax_3d(logits.float()))


class TestBodySize:
    def test_is_the_root_of_the_summed_squares(self):
        pose = torch.tensor([[0.0, 0, 0], [3, 4, 0], [3, 4, 12]])
        assert body_size(pose, ((0, 1), (1, 2))) == 13

    def test_heeds_neither_place_nor_turn(self):
        poses = people()
        turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
        size = body_size(poses, LSP.bones)
        torch.testing.assert_close(body_size(2 * poses @ turn + 7, LSP.bones), 2 * size)


class TestMetricPose:
    @pytest.mark.parametrize('scale', [1e-3, 0.2, 50.0])
    def test_weak_perspective_comes_back_exactly(self, scale):
        poses = people()
        offset = torch.tensor([31.0, -7.0], dtype=torch.float64)
        points, depth = scale * poses[..., :2] + offset, poses[..., 2] + 3000
        torch.testing.assert_close(lifted(points, depth, body_size(poses, LSP.bones)), poses)

    def test_one_size_serves_all(self):
        poses = people(3)
        sizes = body_size(poses, LSP.bones)
        poses = poses * (1500 / sizes)[:, None, None]
        for size in (1500.0, torch.tensor(1500.0), torch.full((3,), 1500.0)):
            torch.testing.assert_close(lifted(0.1 * poses[..., :2], poses[..., 2], size), poses)

    def test_far_perspective_is_nearly_exact(self):
        poses = people()
        camera = poses + torch.tensor([100.0, 50.0, 100000.0], dtype=torch.float64)
        points = 2000 * camera[..., :2] / camera[..., 2:]
        got = lifted(points, camera[..., 2], body_size(poses, LSP.bones))
        assert (got - poses).norm(dim=-1).mean() < 0.01 * poses.norm(dim=-1).mean()

    def test_a_wrong_size_leaves_the_depth(self):
        poses = people()
        got = lifted(poses[..., :2], poses[..., 2], 2 * body_size(poses, LSP.bones))
        torch.testing.assert_close(got[..., 2], poses[..., 2])
        assert (got[..., :2].norm(dim=-1) > poses[..., :2].norm(dim=-1) - 1e-6).all()

    def test_the_origin_is_the_middle_of_the_root(self):
        poses = people()
        for root in ((3,), HIPS):
            got = lifted(poses[..., :2], poses[..., 2], 2000.0, root)
            torch.testing.assert_close(got[:, list(root)].mean(1), torch.zeros(5, 3, dtype=torch.float64))

    def test_the_plane_keeps_a_tenth_where_depth_is_larger_than_the_body(self):
        poses = people()
        got = lifted(poses[..., :2], 9 * poses[..., 2], 1000.0)
        across = body_size(got[..., :2], LSP.bones)
        torch.testing.assert_close(across, torch.full_like(across, 0.1**0.5 * 1000))

    @pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
    @pytest.mark.parametrize('place', [0.0, 64.0])
    def test_joints_on_one_point_have_no_extent_and_are_finite(self, dtype, place):
        points = torch.full((2, 14, 2), place, dtype=dtype)
        depth = torch.linspace(-100, 100, 14, dtype=dtype).expand(2, -1)
        got = lifted(points, depth, 1500.0)
        assert (got[..., :2] == 0).all() and got.isfinite().all()
