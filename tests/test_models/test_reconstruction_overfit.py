"""Warp, generator and loss together: they learn one pair by heart."""

import torch

from mmposeda.models.losses import PyramidPerceptualLoss
from mmposeda.models.networks import ImageGenerator, WarpEstimator
from mmposeda.structures.keypoint_grid import gaussian_maps, identity_grid

SIDE, MOVES = 32, ((0.3, 0.1), (-0.2, 0.2), (0.1, -0.3), (-0.3, -0.1))


def scene(points):
    """Four coloured discs on a smooth background."""
    x, y = identity_grid((SIDE, SIDE), points).unbind(-1)
    picture = torch.stack([0.3 + 0.2 * (5 * x + 3 * y).sin(), 0.4 + 0.2 * (7 * y).cos(), 0.5 + 0.1 * x * y])[None]
    colours = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.9, 0.2], [0.1, 0.2, 0.9], [0.9, 0.9, 0.1]])
    for disc, colour in zip(gaussian_maps(points, (SIDE, SIDE), 0.02)[0], colours):
        picture = torch.lerp(picture, colour.view(1, 3, 1, 1), disc)
    return picture


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
