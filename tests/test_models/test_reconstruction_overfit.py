"""Warp, generator and loss together: they learn one pair by heart, and of many pairs what joints are for."""

import torch

from mmposeda.models.losses import PyramidPerceptualLoss
from mmposeda.models.networks import ImageGenerator, WarpEstimator
from mmposeda.models.reconstruction import PairReconstruction
from mmposeda.structures.keypoint_grid import gaussian_maps, grid_to_pixels, identity_grid

SIDE, MOVES = 32, ((0.3, 0.1), (-0.2, 0.2), (0.1, -0.3), (-0.3, -0.1))


def scene(points, phase=0.0):
    """Four coloured discs (B, 4, 2) on a smooth background that the phase (B, 1, 1) moves."""
    x, y = identity_grid((SIDE, SIDE), points).unbind(-1)
    shades = 0.3 + 0.2 * (5 * x + 3 * y + phase).sin(), 0.4 + 0.2 * (7 * y + phase).cos(), 0.5 + 0.1 * x * y + 0 * phase
    picture = torch.stack([shade.expand(len(points), SIDE, SIDE) for shade in shades], 1)
    colours = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.9, 0.2], [0.1, 0.2, 0.9], [0.9, 0.9, 0.1]])
    for disc, colour in zip(gaussian_maps(points, (SIDE, SIDE), 0.02).unbind(1), colours):
        picture = torch.lerp(picture, colour.view(1, 3, 1, 1), disc[:, None])
    return picture


def pairs(batch, generator):
    """Pictures and joints, pixels, of base and driving picture."""
    corners = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])
    phase = torch.rand(batch, 1, 1, generator=generator) * 6
    points = [corners + 0.4 * (torch.rand(batch, 4, 2, generator=generator) - 0.5) for _ in range(2)]
    return *(scene(p, phase) for p in points), *(grid_to_pixels(p, (SIDE, SIDE)) for p in points)


def test_one_pair_is_learnt():
    torch.manual_seed(0)
    at_base = torch.tensor([[[-0.5, -0.5], [0.5, -0.4], [-0.4, 0.5], [0.5, 0.5]]])
    at_driving = at_base + torch.tensor(MOVES)
    base, driving = scene(at_base), scene(at_driving)
    warp, generator = WarpEstimator(4, width=16, num_blocks=2), ImageGenerator(width=16, num_residual=1)
    loss = PyramidPerceptualLoss(features='pyramid_l1')
    optimizer = torch.optim.Adam([*warp.parameters(), *generator.parameters()], lr=4e-3, betas=(0.5, 0.999))
    course = []
    for _ in range(50):
        out = warp(base, at_base, at_driving)
        value = loss(generator(base, out.field, out.inpainting), driving)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        course.append(value.item())
    assert course[-1] < 0.2 * course[0] and course[-1] < 0.5 * loss(base, driving)


def test_moving_a_joint_of_unseen_pairs_costs():
    """The generator heeds the joints: each one that is put 4 of 32 pixels off makes the picture worse."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    loss = dict(features='pyramid_l1', factors=(1, 2))
    model = PairReconstruction(4, dict(width=8, num_blocks=2), dict(width=8, num_residual=1), loss, (0, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3, betas=(0.5, 0.999))
    for _ in range(60):
        optimizer.zero_grad()
        model(*pairs(8, generator)).loss.backward()
        optimizer.step()
    model.eval()
    base, driving, at_base, at_driving = pairs(64, generator)
    with torch.no_grad():
        right = model(base, driving, at_base, at_driving).loss
        assert right < 0.9 * model(base, driving, at_base, at_base).loss, 'joints say where things went'
        for joint in range(4):
            away = at_driving.clone()
            angle = 6.28 * torch.rand(64, generator=generator)
            away[:, joint] += 4 * torch.stack([angle.cos(), angle.sin()], -1)
            assert model(base, driving, at_base, away).loss > right, joint
