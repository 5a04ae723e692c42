"""The step of the geometric reconstruction that trains W, G and the loss between pictures, as in its generator phase.

The step is what lies between pictures with their joints and the gradients of all weights. The bare time holds the same
networks' forward and backward passes on inputs that are ready: the hourglass of W and the two convolutions behind it,
encoder, residual blocks and decoder of G, and the features that pictures are compared by. Not in it: the smaller
base picture and its moved copies, maps of joints, masks, field, warp, inpainting and the loss. The passes of the pose
network, views and the optimiser are in neither; the whole iteration is told below.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from poseaug_costs import _measure
from step_common import JOINTS, Contest, estimator
from torch import Tensor

from mmposeda.registry import MODELS
from mmposeda.structures.keypoint_grid import displaced_grids, pixels_to_grid, sample, sample_regions
from mmposeda.structures.low_pass import gaussian_subsample

HAND_REGIONS = 22  # of 21 joints, and the background
FIELD = 64  # side of the paper's field


class Ready(NamedTuple):
    """A batch of pairs: pictures in [0, 1] (B, 3, h, w) and joints in pixels (B, K, 2)."""

    base: Tensor
    driving: Tensor
    base_points: Tensor
    driving_points: Tensor


def build(args: Namespace) -> torch.nn.Module:
    """The adapter in its generator phase; VGG-19 has random weights, which cost as much as others."""
    small, blocks = args.width < 64, max(n for n in range(1, 6) if args.size % (4 * 2**n) == 0)
    with tempfile.TemporaryDirectory() as folder:
        factors = [factor for factor in (1, 2, 4, 8) if args.size >= 32 * factor]
        perceptual = dict(features=args.features, factors=factors)
        if args.features == 'vgg19':
            perceptual['weights'] = _random_vgg(Path(folder, 'vgg19.pth'))
        config = dict(
            type='GeometricReconstruction',
            estimator=estimator(args, loss=dict(type='KeypointMSELoss')),
            phase='generator',
            reconstruction=dict(
                warp_estimator=dict(width=args.width, max_width=128 if small else 1024, num_blocks=blocks),
                generator=dict(width=args.width, num_residual=3 if small else 6),
                perceptual=perceptual,
                displacement=(0, 2),
            ),
        )
        model = MODELS.build(config)
    return model.to(args.device).train()


def _random_vgg(path: Path) -> str:
    from mmposeda.models.losses.perceptual import _vgg19_layers

    state = {}
    for index, inputs, outputs, *_ in _vgg19_layers():
        state[f'features.{index}.weight'] = torch.randn(outputs, inputs, 3, 3) * (2 / (9 * inputs)) ** 0.5
        state[f'features.{index}.bias'] = torch.zeros(outputs)
    torch.save(state, path)
    return str(path)


def make_pairs(args: Namespace) -> Ready:
    """Random pictures, whose joints move by a tenth of the picture."""
    like = dict(device=args.device)
    pictures = torch.rand(2, args.batch, 3, args.size, args.size, **like)
    base = torch.rand(args.batch, JOINTS, 2, **like) * (args.size - 1)
    return Ready(*pictures, base, base + torch.randn(args.batch, JOINTS, 2, **like) * args.size / 10)


def clear(model: torch.nn.Module) -> None:
    """Forget the gradients."""
    for parameter in model.parameters():
        parameter.grad = None


def bare_passes(part: torch.nn.Module, pairs: Ready) -> Callable[[], None]:
    """The networks of a reconstruction alone, with inputs of the shapes that they get."""
    seen: dict[str, Tensor] = {}
    warp, draw, loss = part.warp_estimator, part.generator, part.perceptual

    def keep(name, module, inputs, output=None):
        seen.setdefault(name, []).append(inputs[0].detach())

    modules = dict(w=warp.hourglass, encoder=draw.encoder, residual=draw.residual, features=loss.features)
    handles = [module.register_forward_hook(partial(keep, name)) for name, module in modules.items()]
    with torch.no_grad():
        part(*pairs)
    for handle in handles:
        handle.remove()
    (into_w,), (base,), (moved,), pictures = (seen[name] for name in modules)

    def passes():
        features = warp.hourglass(into_w)
        out = warp.mask(features).mean() + warp.inpainting(features).mean()
        out = out + draw.encoder(base).mean() + draw.decoder(draw.residual(moved.requires_grad_())).mean()
        # real and drawn picture of each size in turn
        for real, drawn in zip(pictures[::2], pictures[1::2]):
            with torch.no_grad():
                loss.features(real)
            out = out + sum(x.mean() for x in loss.features(drawn.requires_grad_()))
        out.backward()
        for picture in (moved, *pictures):
            picture.grad = None
        clear(part)

    return passes


def contest(args: Namespace) -> Contest:
    """Get everything ready."""
    model, pairs = build(args), make_pairs(args)
    part = model.reconstruction

    def step():
        part(*pairs).loss.backward()
        clear(part)

    def details():
        return '\n'.join([_iteration(model, args), *_warps(args), _memory(args)])

    networks = f'W and G of width {args.width}, {args.features}'
    title = f'{networks}, {args.size} px, batch {args.batch}, {torch.get_num_threads()} threads'
    return Contest(step, bare_passes(part, pairs), title=title, details=details)


def _iteration(model: torch.nn.Module, args: Namespace) -> str:
    """Time of an iteration of training: views, poses, the step and the optimiser."""
    wrapper = OptimWrapper(torch.optim.Adam(model.reconstruction.parameters(), 2e-4, betas=(0.5, 0.999)))
    pictures = torch.randn(args.batch, 2, 3, args.size, args.size, device=args.device)

    def iteration():
        wrapper.update_params(model.parse_losses(model(dict(pair=pictures), {}, mode='loss'))[0])

    return f'a whole iteration of the generator phase: {1000 * _median([iteration], args)[0]:.1f} ms'


def repeated(x: Tensor, places: Tensor) -> Tensor:
    """:func:`~mmposeda.structures.keypoint_grid.sample_regions` as it is usually done: the picture is repeated."""
    regions = places.shape[1]
    many = x[:, None].expand(-1, regions, -1, -1, -1).flatten(0, 1).contiguous()
    return sample(many, places.flatten(0, 1)).unflatten(0, (-1, regions))


def _warps(args: Namespace) -> list[str]:
    """Time of moving one picture by each region's displacement, forwards and backwards."""
    lines = []
    for side in dict.fromkeys((args.size // 4, FIELD)):
        picture = gaussian_subsample(torch.rand(args.batch, 3, 4 * side, 4 * side, device=args.device), 4)
        points = torch.rand(args.batch, HAND_REGIONS, 2, device=args.device) * side / 10
        motion = (pixels_to_grid(points, (side, side)) + 1).requires_grad_()

        def move(function, picture=picture, motion=motion, side=side):
            function(picture, displaced_grids(motion, (side, side))).mean().backward()

        calls = [partial(move, sample_regions), partial(move, repeated)]
        apart = (calls[0].args[0](picture, g) - repeated(picture, g) for g in [displaced_grids(motion, (side, side))])
        assert max(float(x.abs().max()) for x in apart) < 1e-6
        ours, theirs = _median(calls, args)
        lines.append(
            f'warp of {HAND_REGIONS} regions, {side}x{side}, batch {args.batch}: stacked grids {1000 * ours:.2f} ms, '
            f'repeated picture {1000 * theirs:.2f} ms, repeated / stacked {theirs / ours:.2f}'
        )
    return lines


def _median(calls: list[Callable], args: Namespace) -> list[float]:
    """Median times of calls in turn."""

    def seconds(call):
        if args.device.startswith('cuda'):
            torch.cuda.synchronize()
        start = args.now()
        call()
        if args.device.startswith('cuda'):
            torch.cuda.synchronize()
        return args.now() - start

    for call in calls:  # warms up
        call()
    rounds = [[seconds(call) for call in calls] for _ in range(3 * args.repeats)]
    return [statistics.median(times) for times in zip(*rounds)]


def _memory(args: Namespace) -> str:
    """Most that a step takes at the batch and size of --memory-batch and --memory-size, beside what is there before."""
    large = Namespace(**{**vars(args), 'batch': args.memory_batch, 'size': args.memory_size})
    what = f'peak memory of a step, {large.size} px, batch {large.batch}'
    if args.device.startswith('cuda'):
        step = _one_step(large)
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        step()
        added = torch.cuda.max_memory_allocated() - held
    elif os.path.exists('/proc/self/clear_refs'):
        with multiprocessing.get_context('spawn').Pool(1) as pool:
            held, added = pool.apply(_measure, (_one_step, large))
    else:
        return f'{what}: not measured, this system tells no peak of a process in /proc'
    return f'{what}: {added / 2**20:.0f} MiB, beside {held / 2**20:.0f} MiB that are held before'


def _one_step(args: Namespace) -> Callable[[], None]:
    init_default_scope('mmposeda')
    part, pairs = build(args).reconstruction, make_pairs(args)
    return lambda: part(*pairs).loss.backward()
