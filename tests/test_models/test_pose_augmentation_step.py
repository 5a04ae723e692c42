"""What one step of PoseAug is made of asks the host for nothing, on any device."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmposeda.models.losses import pose_augmentation as losses
from mmposeda.models.networks.pose_augmentor import PoseAugmentor
from mmposeda.models.networks.pose_discriminators import KCSDiscriminator, PoseDiscriminator2D
from mmposeda.models.networks.random_pose_augmentor import RandomPoseAugmentor
from mmposeda.models.replay_pool import ReplayPool
from mmposeda.structures.lifting_camera import in_view, project_h36m

WAITING = ('_local_scalar_dense', 'nonzero', 'masked_select', '_unique2', 'is_nonzero', 'equal')
GROUPS = ((1, 4, 10, 13), (3, 6, 12, 15))


class NoWaiting(TorchDispatchMode):
    """Refuses what reads a value on the host or has a shape that depends on values."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name == 'index' and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in WAITING or by_mask:
            raise AssertionError(f'{func} makes the host wait for the device')
        return func(*args, **(kwargs or {}))


def batch(device):
    """Poses, cameras and aspect ratios."""
    camera = torch.tensor([2.29, 2.29, 0, 0, -0.2, 0.24, -0.003, -0.001, -0.0014]).expand(48, 9)
    pose = torch.randn(48, 16, 3) * 0.3 + torch.tensor([0, 0, 5.0])
    return [part.to(device) for part in (pose, camera, torch.ones(48))]


def step(parts, pose, camera, aspect):
    """A step's losses, as PoseAug sums them up."""
    augmentor, disc3d, disc2d, pool3d, pool2d = parts
    out = augmentor(pose)
    points = project_h36m(out.rt, camera)
    source = losses.group_errors(pose + 0.01, pose, GROUPS)
    harder = losses.group_errors(out.rt, pose, GROUPS)
    loss = losses.lsgan_loss(disc3d(out.ba), True) + losses.lsgan_loss(disc2d(points), True)
    loss = loss + losses.band_loss(out.angle_change.mean(-1), 0.205, 0.165)
    loss = loss + losses.band_loss(losses.hard_ratio(harder, source), 3.0, 2.0)
    loss = loss + losses.exponential_feedback(harder, source, 2.0).mean()
    fakes = disc3d(pool3d(out.ba)), disc2d(pool2d(points))
    (loss + sum(losses.lsgan_loss(fake, False) for fake in fakes)).backward()
    return in_view(out.rt, points, aspect)


def parts(augmentor, device):
    torch.manual_seed(0)
    networks = [network.to(device) for network in (augmentor(), KCSDiscriminator(), PoseDiscriminator2D())]
    return [*networks, ReplayPool(64, (16, 3)), ReplayPool(64, (16, 2))]


@pytest.mark.parametrize('augmentor', [PoseAugmentor, RandomPoseAugmentor])
def test_a_step_reads_nothing_on_the_host(augmentor):
    made, inputs = parts(augmentor, 'cpu'), batch('cpu')
    for _ in range(3):  # the pools fill, overflow and are full
        with NoWaiting():
            assert step(made, *inputs).shape == (48,)
    for network in made[:3]:
        assert all(p.grad.isfinite().all() for p in network.parameters())


def test_a_look_at_the_values_would_be_seen():
    for look in (lambda x: x[x > 0], lambda x: x.sum().item(), lambda x: bool(x.any()), torch.unique):
        with pytest.raises(AssertionError, match='wait'), NoWaiting():
            look(torch.randn(5))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_the_host_waits_for_no_gpu():
    made, inputs = parts(PoseAugmentor, 'cuda'), batch('cuda')
    for _ in range(2):
        step(made, *inputs)
    torch.cuda.set_sync_debug_mode('error')
    try:
        step(made, *inputs)
    finally:
        torch.cuda.set_sync_debug_mode('default')
