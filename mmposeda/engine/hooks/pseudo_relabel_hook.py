"""Labels the whole target set anew with the network, every few iterations."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import all_gather, broadcast, get_dist_info
from mmengine.hooks import Hook
from torch import Tensor

from mmposeda.models.adapters.cc_ssl import sample_indices
from mmposeda.models.pseudo_labels import SCOPES, collapse_signs, select_confident
from mmposeda.models.relabelling import FlowFollower, TurnRange, follows, kept_share
from mmposeda.registry import HOOKS

from .. import random_state
from ._data import first_unrepeatable, one_pass, step_names, unlabelled_part
from ._model import unwrapped
from .non_finite_hook import NonFiniteError


@HOOKS.register_module()
class PseudoRelabelHook(Hook):
    """Fills the pseudo-label table of :class:`~mmposeda.models.adapters.CCSSL`, at the start and in every later round.

    The network, in evaluation mode, sees each target picture and some turned views of it; the mean of the heatmaps,
    turned back, gives label and confidence, and the most confident labels of the whole set are kept, a share that
    grows with the run. Which views, depends on the seed, the round and the picture alone: neither batches nor processes
    matter, and the random state of the run is left as it is. Processes label a part each, with the batch statistics of
    the first one, those that checkpoints hold. A run that resumes inside a round goes on with the labels it has.

    The share that is kept, the mean confidence of all labels, and ``spread`` and ``merged`` of those that are kept are
    logged as ``pseudo_*``, where ``CollapseWarningHook`` looks at them.

    Args:
        rounds (int): How many rounds, equally long (6).
        interval (int, optional): Iterations of a round, in place of ``rounds``.
        first_share (float): Share of the labels that the first round keeps, see
            :func:`~mmposeda.models.relabelling.kept_share`, as are the next two.
        last_share (float): The largest share.
        ramp (float): Where in the run, in (0, 1], it is reached.
        scope (str): 'batch' pools the confidences of all joints (paper); 'joint' keeps the same share of each.
        views (int): Turned views of a picture (4).
        rotation (float): Deviation of their turn, degrees, see :class:`~mmposeda.models.relabelling.TurnRange`.
        scale (float): Deviation of their scale.
        temporal (bool): The target is video, a folder each, frames in order, one person in them:
            :class:`~mmposeda.models.relabelling.FlowFollower` carries sure labels on from frame to frame.
        batch_size (int): Pictures at a time; the network sees ``1 + views`` times as many.
        num_workers (int, optional): Of the loader; as many as the training's by default.

    Raises:
        ValueError: An argument out of range; at the start, not exactly one unlabelled part in the training data, one
            with a random pipeline, or, resuming, one of another length than the labels in the checkpoint.
        TypeError: The model keeps no pseudo-labels.
        NonFiniteError: The network's heatmaps are not finite.
    """

    def __init__(
        self,
        rounds: int = 6,
        interval: int | None = None,
        first_share: float = 0.2,
        last_share: float = 0.8,
        ramp: float = 0.5,
        scope: str = 'batch',
        views: int = 4,
        rotation: float = 30.0,
        scale: float = 0.25,
        temporal: bool = False,
        batch_size: int = 16,
        num_workers: int | None = None,
    ) -> None:
        for name, value, least in (
            ('rounds', rounds, 1),
            ('interval', interval, 1),
            ('batch_size', batch_size, 1),
            ('views', views, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f'{name} must be at least {least}, got {value}')
        if not 0 < first_share <= last_share <= 1:
            raise ValueError(f'shares must be 0 < first_share <= last_share <= 1, got {first_share} and {last_share}')
        if not 0 < ramp <= 1:
            raise ValueError(f'ramp is a part of the run and must lie in (0, 1], got {ramp}')
        if scope not in SCOPES:
            raise ValueError(f'scope must be one of {SCOPES}, got {scope!r}')
        self.rounds, self.interval = rounds, interval
        self.shares = dict(first=first_share, last=last_share, ramp=ramp)
        self.scope, self.views, self.temporal = scope, views, temporal
        self.turns = TurnRange(rotation, scale)
        self.batch_size, self.num_workers = batch_size, num_workers
        self._signs: dict[str, float] = {}

    def before_train(self, runner) -> None:
        """Check model and data; a run that starts, and does not go on, starts without labels."""
        model = unwrapped(runner)
        if not hasattr(model, 'table'):
            raise TypeError(f'PseudoRelabelHook needs a model with a pseudo-label table, got {type(model).__name__}')
        self._target = unlabelled_part(runner.train_dataloader.dataset, 'PseudoRelabelHook')
        _check_repeatable(self._target)
        number, (_, processes) = len(self._target), get_dist_info()
        self._bounds = [number * i // processes for i in range(processes + 1)]
        if self.temporal:
            self._bounds = _between_videos(self._bounds, _paths(self._target))
        if runner.iter == 0:
            model.table.clear()
        elif len(model.table) not in (0, number):
            raise ValueError(
                f'The checkpoint holds pseudo-labels of {len(model.table)} target pictures, the target has {number}. '
                'Resume with the data of the start, or start the stage again without --resume.'
            )
        self._seen = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Label the target if a round begins that the table has not seen, and log what its labels are like."""
        number = self._number(runner)
        if number != self._seen:
            model = unwrapped(runner)
            if number > int(model.table.round):
                self._relabel(runner, model, number)
            self._signs = self._describe(model)
            self._seen = number
        for name, value in self._signs.items():
            runner.message_hub.update_scalar(f'train/pseudo_{name}', value)

    def _number(self, runner) -> int:
        """The round of this iteration, from 1."""
        return (runner.iter // self.interval if self.interval else runner.iter * self.rounds // runner.max_iters) + 1

    def _progress(self, runner, number: int) -> float:
        """Where in the run a round begins."""
        return (number - 1) * self.interval / runner.max_iters if self.interval else (number - 1) / self.rounds

    def _relabel(self, runner, model, number: int) -> None:
        began = time.time()
        training = model.training
        model.eval()
        try:
            found = _gather(self._label_share(runner, model, number), self._bounds)
        finally:
            model.train(training)
        if not found.isfinite().all():
            raise NonFiniteError(
                f'Iteration {runner.iter + 1}: the heatmaps of the target are not finite. Start from other weights, or '
                'with a lower learning rate.'
            )
        labels, confidence = found[..., :2], found[..., 2]
        share = kept_share(self._progress(runner, number), **self.shares)
        keep = select_confident(confidence, round(1 - share, 9), self.scope, gathered=True)
        model.table.fill(labels, confidence, keep, number)
        signs = ', '.join(f'{name} {value:.3f}' for name, value in self._describe(model).items())
        runner.logger.info(
            f'Round {number}: {len(found)} target pictures labelled in {time.time() - began:.1f} s; labels: {signs}'
        )

    @torch.no_grad()
    def _label_share(self, runner, model, number: int) -> Tensor:
        """Places and confidence (n, K, 3) of this process's share of the pictures."""
        rank, processes = get_dist_info()
        if processes > 1:
            for buffer in model.student.buffers():
                broadcast(buffer)
        begin, end = self._bounds[rank : rank + 2]
        matrices = self._draw_views(runner.seed, number, model.layout.input_size)
        follower = FlowFollower() if self.temporal else None
        device, found = model.table.labels.device, []
        for batch in one_pass(runner, self._target, range(begin, end), self.batch_size, self.num_workers):
            places = sample_indices(batch['data_samples'])
            wanted = list(range(begin, begin + len(places)))
            if places != wanted:
                missing = next(a for a, b in zip(wanted, places) if a != b)
                raise ValueError(
                    f"The target's pipeline gives nothing for picture {missing}: take the picture out of the target "
                    'data, or the transform that refuses it out of the pipeline.'
                )
            images = model.data_preprocessor(batch, False)['inputs']
            labels, confidence = model.label(images, matrices[begin : begin + len(places)].to(device))
            if follower is not None:
                paths = [sample.metainfo['img_path'] for sample in batch['data_samples']]
                labels, confidence = follower(torch.stack(batch['inputs']), paths, labels, confidence)
            found.append(torch.cat([labels, confidence[..., None]], -1))
            begin += len(places)
        return torch.cat(found) if found else torch.zeros(0, model.layout.num_joints, 3, device=device)

    def _draw_views(self, seed: int, number: int, size: tuple[int, int]) -> Tensor:
        """Matrices (N, V, 3, 3) of a round, of all pictures, on the host."""
        low, high = np.random.SeedSequence((seed, number)).generate_state(2)
        generator = torch.Generator().manual_seed(int(high) << 32 | int(low))
        flat = self.turns.sample(len(self._target) * self.views, size, generator=generator)
        return flat.view(len(self._target), self.views, 3, 3)

    def _describe(self, model) -> dict[str, float]:
        """Share of the labels that are kept, their signs of collapse, and the confidence of all."""
        table, layout = model.table, model.layout
        pairs = [(i, int(j)) for i, j in enumerate(self._target.metainfo.get('flip_indices', ())) if i < j]
        merged_within = layout.sigma * layout.scale_factor[0]
        signs = collapse_signs(table.labels, layout.input_size[0], pairs, merged_within, table.keep)
        # of all: the mean of the kept falls by itself as their share grows
        numbers = dict(kept=table.keep.float().mean(), confidence=table.confidence.mean(), **signs)
        return dict(zip(numbers, torch.stack(list(numbers.values())).tolist()))


def _check_repeatable(target) -> None:
    """Labels of one drawing must fit the next."""
    with random_state.kept(gpu=False):
        sample_indices([target[0]['data_samples']])
    index = first_unrepeatable(target)
    if index is not None:
        raise ValueError(
            f'Sample {index} of the target is another one each time it is drawn, so that a pseudo-label would not '
            f"fit it: take what is random out of the target's pipeline ({step_names(target)}). The model augments by "
            'itself.'
        )


def _paths(target) -> list[str]:
    paths = [target.get_data_info(index)['img_path'] for index in range(len(target))]
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise ValueError(
            f'temporal=True follows one person from frame to frame, and {twice[0]} is there more than once: give one '
            'box a picture, or set temporal=False.'
        )
    return paths


def _between_videos(bounds: Sequence[int], paths: Sequence[str]) -> list[int]:
    """Move the bounds between processes back to where a video begins."""
    starts = [i for i in range(len(paths)) if i == 0 or not follows(paths[i - 1], paths[i])] + [len(paths)]
    return [starts[bisect_left(starts, bound + 1) - 1] for bound in bounds]


def _gather(share: Tensor, bounds: Sequence[int]) -> Tensor:
    """The shares of all processes, one after the other."""
    lengths = np.diff(bounds)
    if len(lengths) == 1:
        return share
    padded = share.new_zeros(int(lengths.max()), *share.shape[1:])
    padded[: len(share)] = share
    return torch.cat([part[:length] for part, length in zip(all_gather(padded), lengths)])
