import pytest
import torch

from mmposeda.structures.lifting_camera import (
    MIN_DEPTH,
    from_screen,
    in_view,
    project_h36m,
    screen_intrinsics,
    to_screen,
)

# Human3.6M's camera 54138969, pixels
F, C, SIZE = [1145.0494, 1143.7811], [512.5415, 515.4515], [1000.0, 1002.0]
K, P = [-0.2070989, 0.2477752, -0.0030752], [-0.0009757, -0.0014245]


def camera(k=K, p=P, dtype=torch.float64):
    return screen_intrinsics(*(torch.tensor(part, dtype=dtype) for part in (F, C, k, p, SIZE)))


@pytest.fixture
def poses():
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(6, 16, 3, dtype=torch.float64, generator=generator) * 0.4
    return pose + torch.tensor([0.1, -0.2, 4.5], dtype=torch.float64)


def by_hand(joint, f, c, k, p):
    """Pixels of one joint, number by number, from intrinsics in pixels."""
    x, y = joint[0] / joint[2], joint[1] / joint[2]
    r = x * x + y * y
    factor = 1 + k[0] * r + k[1] * r**2 + k[2] * r**3 + p[0] * x + p[1] * y
    return f[0] * (x * factor + p[0] * r) + c[0], f[1] * (y * factor + p[1] * r) + c[1]


def mmpose_pixels(poses, k, p):
    import numpy as np
    from mmpose.utils.camera import SimpleCamera

    as_column = {name: np.array(value)[:, None] for name, value in dict(f=F, c=C, k=k, p=p).items()}
    simple = SimpleCamera(dict(R=np.eye(3), T=np.zeros((3, 1)), **as_column))
    return torch.from_numpy(simple.camera_to_pixel(poses.reshape(-1, 3).numpy().copy())).view(*poses.shape[:2], 2)


@pytest.mark.parametrize('size', [(1000, 1002), (1920, 1080), (3, 700)])
def test_screen_and_back_are_the_same_pixels(size):
    pixels = torch.rand(5, 16, 2, dtype=torch.float64) * torch.tensor(size)
    sizes = torch.tensor(size, dtype=torch.float64).expand(5, 2)
    screen = to_screen(pixels, sizes)
    torch.testing.assert_close(from_screen(screen, sizes), pixels, rtol=0, atol=1e-10)
    single = from_screen(to_screen(pixels.float(), sizes.float()), sizes.float())
    torch.testing.assert_close(single.double(), pixels, rtol=0, atol=1e-3)
    width, height = size
    torch.testing.assert_close(screen, 2 * pixels / width - pixels.new_tensor([1, height / width]))
    corners = to_screen(torch.tensor([[0, 0], [width, height]]), torch.tensor(size))
    torch.testing.assert_close(corners, torch.tensor([[-1, -height / width], [1, height / width]]))


def test_projection_is_the_formula_by_hand_in_pixels(poses):
    pixels = from_screen(project_h36m(poses, camera()), torch.tensor(SIZE))
    for b in range(poses.shape[0]):
        for j in range(poses.shape[1]):
            expected = torch.tensor(by_hand(poses[b, j].tolist(), F, C, K, P), dtype=torch.float64)
            torch.testing.assert_close(pixels[b, j], expected, rtol=0, atol=1e-9)


def test_mmposes_camera_agrees_only_without_tangential_distortion(poses):
    ours = from_screen(project_h36m(poses, camera(p=[0, 0])), torch.tensor(SIZE))
    torch.testing.assert_close(ours, mmpose_pixels(poses, K, [0.0, 0.0]), rtol=0, atol=1e-3)  # float32 in there
    ours = from_screen(project_h36m(poses, camera()), torch.tensor(SIZE))
    assert (ours - mmpose_pixels(poses, K, P)).abs().max() > 0.05


def test_a_camera_each_is_the_camera_of_its_pose(poses):
    cams = torch.stack([camera(p=[0.001 * i, -0.002 * i]) for i in range(6)])
    together = project_h36m(poses, cams)
    for b in range(6):
        assert torch.equal(together[b], project_h36m(poses[b], cams[b]))
    assert torch.equal(project_h36m(poses.view(2, 3, 16, 3), cams.view(2, 3, 9)).view(6, 16, 2), together)


def test_projection_has_the_right_gradients(poses):
    pose = poses[:2, :3].clone().requires_grad_()
    cam = camera().requires_grad_()
    assert torch.autograd.gradcheck(project_h36m, (pose, cam))


@pytest.mark.parametrize('depth', [0.0, -1.0, 1e-30, MIN_DEPTH])
def test_joints_at_and_behind_the_camera_stay_finite(depth):
    pose = torch.tensor([[[0.3, -0.2, depth], [0.0, 0.0, depth]]], requires_grad=True)
    points = project_h36m(pose, camera(dtype=torch.float32))
    points.sum().backward()
    assert points.isfinite().all() and pose.grad.isfinite().all()
    assert not in_view(pose.detach(), points.detach(), 1.002).any()


def test_half_precision_is_projected_in_full(poses):
    with torch.autocast('cpu', dtype=torch.bfloat16):
        points = project_h36m(poses.float(), camera(dtype=torch.float32))
    assert points.dtype == torch.float32
    assert torch.equal(points, project_h36m(poses.float(), camera(dtype=torch.float32)))
    assert project_h36m(poses.half(), camera(dtype=torch.float32)).dtype == torch.float32


def test_in_view_sees_every_side_the_depth_and_what_is_not_finite():
    aspect = 0.5
    pose = torch.zeros(9, 3, 3)
    pose[..., 2] = 4
    points = torch.zeros(9, 3, 2)
    points[0, 0] = torch.tensor([1.0, 0.5])  # on the corner: inside
    for row, outside in enumerate([(1.01, 0), (-1.01, 0), (0, 0.51), (0, -0.51), (float('nan'), 0)], 1):
        points[row, 1] = torch.tensor(outside)
    pose[6, 2, 2] = MIN_DEPTH
    pose[7, 2, 2] = -3
    pose[8, 2, 0] = float('inf')
    assert in_view(pose, points, aspect).tolist() == [True] + [False] * 8
    assert in_view(pose, points, torch.full((9,), aspect)).tolist() == [True] + [False] * 8
    assert in_view(pose[:1], points[:1], aspect, min_depth=4.5).tolist() == [False]
    assert in_view(pose[6:7], points[6:7], aspect, min_depth=0).tolist() == [True]


def test_each_pose_has_the_frame_of_its_camera():
    pose = torch.tensor([0.1, 0.1, 1.0]).expand(2, 1, 3)
    points = torch.tensor([[[0.0, 0.9]], [[0.0, 0.9]]])
    assert in_view(pose, points, torch.tensor([1.0, 0.5])).tolist() == [True, False]


def test_what_the_projection_clamps_is_out_of_view():
    pose = torch.tensor([[[1.9, 0.0, 2.0]], [[2.1, 0.0, 2.0]], [[0.0, -2.1, 2.0]]])
    wide = torch.tensor([0.5, 0.5, 0, 0, 0, 0, 0, 0, 0])
    points = project_h36m(pose, wide)
    assert (points.abs() <= 1).all(), 'by their points alone all would be in the picture'
    assert in_view(pose, points, 1.0).tolist() == [True, False, False]


def test_shapes_that_do_not_fit_are_named(poses):
    with pytest.raises(ValueError, match=r'camera must be \(..., 9\).*got \(11,\)'):
        project_h36m(poses, torch.zeros(11))
    with pytest.raises(ValueError, match=r'camera \(4, 9\) does not fit points \(6, 16, 3\)'):
        project_h36m(poses, torch.zeros(4, 9))
    with pytest.raises(ValueError, match=r'\(..., J, 3\), got \(6, 16, 2\)'):
        project_h36m(poses[..., :2], camera())
    with pytest.raises(ValueError, match='size must be'):
        to_screen(poses[..., :2], torch.zeros(3))
