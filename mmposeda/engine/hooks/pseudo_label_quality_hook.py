"""Measures during a training how good the pseudo-labels are, where the user has labels to compare them with."""

from __future__ import annotations

import json
import os.path as osp
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import all_gather, broadcast, get_dist_info, is_main_process
from mmengine.hooks import Hook
from torch import Tensor, nn

from mmposeda.evaluation.joints import in_crop, joint_labels
from mmposeda.models.adapters.base import flip_pairs
from mmposeda.registry import DATASETS, HOOKS
from mmposeda.structures.skeleton import Skeleton

from .. import random_state
from ..checkpoints import replace_file
from ..label_quality import FILE_NAME, LabelQuality
from ._data import first_unrepeatable, one_pass, step_names
from ._model import looked_at, unwrapped

_KEY = 'pseudo_label_quality'  # in checkpoints
_MASKS = ('kept', 'kept_2d', 'kept_3d')


@HOOKS.register_module()
class PseudoLabelQualityHook(Hook):
    """Compares the pseudo-labels of an adapter with labels of the target, before the first iteration and every few.

    It is for the log alone: weights and random state of a run are bitwise those of a run without it. The teacher labels
    the pictures as they are, in evaluation mode, and keeps some by its own rule (the model's ``judge``). The numbers,
    see :class:`~mmposeda.engine.label_quality.LabelQuality`, go to the message hub under ``quality/``, to the log, and
    to ``WORK_DIR/pseudo_label_quality.jsonl``, an object a line with the number of iterations done as ``iter``; draw
    them with ``tools/plot_reconstruction.py quality``. What it remembers of each joint is in the checkpoint, so that a
    resumed run writes the same numbers, each once. Processes share the batches, with the batch statistics of the first.

    Args:
        dataset (dict): Config of a labelled data set, such as the target's training set with its labels: a sample a
            picture, with a pipeline that draws nothing at random and ends in ``PackPoseInputs``.
        interval (int): Iterations between measurements, an epoch of the paper (500 in UDAPE's schedule).
        thr (float): A pseudo-label is right if its error is below this share of the crop's longer side, as in
            :class:`~mmposeda.evaluation.GroupedPCK`.
        batch_size (int): Pictures at a time; the model keeps its share of each batch. The last one is filled up with
            pictures that do not count again.
        num_workers (int, optional): Of the loader; as many as the training's by default.
        max_samples (int, optional): Of a larger data set so many samples at even distances are looked at; None takes
            all.

    Raises:
        ValueError: An argument out of range; at the start, a data set that is empty, draws at random, has no labels or
            other joints than the model, or, resuming, other settings than those that the checkpoint's numbers were made
            with.
        TypeError: The model has no ``judge``.
    """

    priority = 'BELOW_NORMAL'  # the teacher has moved

    def __init__(
        self,
        dataset: dict,
        interval: int = 500,
        thr: float = 0.05,
        batch_size: int = 32,
        num_workers: int | None = None,
        max_samples: int | None = 2000,
    ) -> None:
        for name, value in dict(interval=interval, batch_size=batch_size, max_samples=max_samples).items():
            if value is not None and value < 1:
                raise ValueError(f'{name} must be at least 1, got {value}')
        if not thr > 0:
            raise ValueError(f'thr is a share of the crop and must be positive, got {thr}')
        self.dataset, self.interval, self.thr = dataset, interval, thr
        self.batch_size, self.num_workers, self.max_samples = batch_size, num_workers, max_samples
        self._resumed: dict | None = None
        self._rows: list[dict[str, float]] = []

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Remember what the resumed run had measured; weights to start from bring nothing along."""
        self._resumed = checkpoint.get(_KEY) if runner._resume else None

    def before_train(self, runner) -> None:
        """Check model and data, and go on where a resumed run stood."""
        model = unwrapped(runner)
        if not hasattr(model, 'judge'):
            raise TypeError(
                'PseudoLabelQualityHook needs a model with `judge`, which says which pseudo-labels it makes and keeps: '
                f'UDAPE and GeometricReconstruction have it, got {type(model).__name__}'
            )
        with random_state.kept():
            self._data = DATASETS.build(self.dataset)
            self._check_data(model)
        number = min(len(self._data), self.max_samples or len(self._data))
        self._picked = [len(self._data) * i // number for i in range(number)]
        self._quality = LabelQuality((number, self._skeleton.num_joints), self._skeleton.groups)
        self._rows = []
        if self._resumed is not None:
            self._go_on(self._resumed)
        elif runner.iter:
            runner.logger.warning(
                'PseudoLabelQualityHook: the checkpoint holds no measurements; which pseudo-labels were ever right '
                'counts from here'
            )
        self._resumed = None

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Save the measurements and what they need to go on."""
        settings = dict(thr=self.thr, samples=len(self._data))
        checkpoint[_KEY] = dict(**settings, rows=self._rows, **self._quality.state())

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Measure where the training starts from."""
        if runner.iter == 0:
            self._measure(runner, 0)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        """Measure."""
        if self.every_n_train_iters(runner, self.interval):
            self._measure(runner, runner.iter + 1)

    def _go_on(self, saved: Mapping) -> None:
        try:
            for name, now in (('thr', self.thr), ('samples', len(self._data))):
                if saved[name] != now:
                    raise ValueError(f'{name} was {saved[name]} and is {now}')
            self._quality.load(saved)
        except ValueError as error:
            raise ValueError(
                f'The checkpoint holds measurements of PseudoLabelQualityHook that do not fit: {error}. Resume with '
                'the settings of the start.'
            ) from None
        self._rows = list(saved['rows'])

    def _check_data(self, model: nn.Module) -> None:
        name = type(self._data).__name__
        if not len(self._data):
            raise ValueError(f'{name} of PseudoLabelQualityHook is empty')
        self._skeleton = Skeleton.from_metainfo(self._data.metainfo)
        joints = model.layout.num_joints
        if self._skeleton.num_joints != joints:
            raise ValueError(
                f'{name} of PseudoLabelQualityHook has the {self._skeleton.num_joints} joints of '
                f'{self._skeleton.name!r}, the model labels {joints}: give it the joint set of the training'
            )
        joint_labels(self._data[0]['data_samples'].to_dict(), self._skeleton)
        index = first_unrepeatable(self._data)
        if index is not None:
            raise ValueError(
                f'Sample {index} of PseudoLabelQualityHook is another one each time it is drawn, so that measurements '
                f'cannot be compared: take what is random out of its pipeline ({step_names(self._data)})'
            )

    def _measure(self, runner, iteration: int) -> None:
        began, model = time.time(), unwrapped(runner)
        with looked_at(model), _statistics_of_the_first(model):
            found = self._gather(torch.stack(list(self._label_share(runner, model))))
        right, known, *masks = found.unbind(-1)
        try:
            numbers = self._quality.measure(right, known, dict(zip(_MASKS, masks)))
        except ValueError as error:
            raise ValueError(f'{error} in {type(self._data).__name__} of PseudoLabelQualityHook') from None
        for name, value in numbers.items():
            runner.message_hub.update_scalar(f'quality/{name}', value)
        self._rows.append(dict(iter=iteration, **numbers))
        self._write(runner)
        told = ', '.join(f'{name} {value:.3f}' for name, value in numbers.items() if '/' not in name)
        runner.logger.info(f'Pseudo-labels after {iteration} iterations: {told} ({time.time() - began:.1f} s)')

    @torch.no_grad()
    def _label_share(self, runner, model: nn.Module) -> Iterator[Tensor]:
        """Every so many-th batch: right, known and the masks, boolean (b, K, 2 + masks), on the host."""
        rank, processes = get_dist_info()
        size, number = self.batch_size, len(self._picked)
        batches = -(-number // (size * processes))  # as many in each process
        starts = range(rank * size, batches * processes * size, processes * size)
        indices = [self._picked[(start + i) % number] for start in starts for i in range(size)]
        for batch in one_pass(runner, self._data, indices, size, self.num_workers):
            labels = [self._label(sample.to_dict()) for sample in batch['data_samples']]
            truth, known, reach = (np.stack(values) for values in zip(*labels))
            pairs = flip_pairs(batch['data_samples'])
            judged = model.judge(model.data_preprocessor(batch, False)['inputs'], pairs)
            error = np.linalg.norm(judged['points'].cpu().double().numpy() - truth, axis=-1)
            masks = [judged[name].cpu() for name in _MASKS if name in judged]
            yield torch.stack([torch.from_numpy(error < reach[:, None]), torch.from_numpy(known), *masks], -1)

    def _label(self, sample: dict) -> tuple[np.ndarray, np.ndarray, float]:
        """Label (K, 2) in pixels of the input, whether it is one (K,), and the error that is right still."""
        truth, visible = joint_labels(sample, self._skeleton)
        truth = in_crop(truth, sample)
        return truth, visible & np.isfinite(truth).all(-1), self.thr * max(sample['input_size'])

    def _gather(self, share: Tensor) -> Tensor:
        """Shares (batches, b, K, D) of all processes as (N, K, D), in the order of the data set."""
        shares = all_gather(share.byte()) if get_dist_info()[1] > 1 else [share]
        return torch.stack(shares, 1).flatten(0, 2)[: len(self._picked)].bool()

    def _write(self, runner) -> None:
        if not is_main_process():
            return
        text = ''.join(f'{json.dumps(row)}\n' for row in self._rows)
        path = osp.join(runner.work_dir, FILE_NAME)
        try:
            replace_file(path, text.encode())
        except OSError as error:  # no reason to end a training
            runner.logger.error(f'{path} could not be written: {error.strerror or error}')


@contextmanager
def _statistics_of_the_first(model: nn.Module) -> Iterator[None]:
    """Lend all processes the batch statistics of the first one, those that checkpoints hold."""
    own = []
    if get_dist_info()[1] > 1:
        own = [(buffer, buffer.clone()) for buffer in model.buffers() if buffer.is_floating_point()]
    for buffer, _ in own:
        broadcast(buffer)
    try:
        yield
    finally:
        for buffer, value in own:
            buffer.copy_(value)
