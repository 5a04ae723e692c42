"""What every adapter shares: a wrapped estimator, domain batches, prediction and plain checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmposeda.registry import MODELS

from ..data_preprocessor import DomainDataPreprocessor
from ..parallel import load_own_buffers, own_buffers


def prefixed(prefix: str, losses: dict) -> dict:
    """Mark the keys of a branch's losses, as MMDetection's semi-supervised detectors do."""
    return {f'{prefix}_{key}': value for key, value in losses.items()}


def without_sum(logged: dict) -> dict:
    """What ``parse_losses`` logs, without the sum, which is another in each update of an iteration."""
    return {key: value for key, value in logged.items() if key != 'loss'}


def filled(name: str, given: Mapping[str, float] | None, defaults: Mapping[str, float]) -> dict[str, float]:
    """Factors by name: the defaults, and those given over them.

    Raises:
        ValueError: A name that the defaults lack, or a negative factor.
    """
    given = dict(given or {})
    if set(given) - set(defaults):
        raise ValueError(f'{name} are of {", ".join(defaults)}, got {", ".join(given)}')
    if given and min(given.values()) < 0:
        raise ValueError(f'{name} must not be negative, got {given}')
    return {**defaults, **given}


def flip_pairs(data_samples: list) -> list[tuple[int, int]]:
    """Left-right pairs of the samples' joint set; none where the pipeline did not hand ``flip_indices`` on."""
    indices = data_samples[0].metainfo.get('flip_indices') if data_samples else None
    return [(i, int(j)) for i, j in enumerate(indices or ()) if i < j]


class DomainAdapter(BaseModel):
    """Wraps an MMPose estimator; a subclass says what the losses of the two domains are.

    ``mode='predict'`` and ``mode='tensor'`` are the wrapped estimator's own, so MMPose's evaluators, visualisers and
    inferencers work unchanged. A checkpoint of the plain estimator loads into an adapter (into every copy of it).

    Args:
        estimator (dict): Config of any MMPose top-down estimator, with its ``data_preprocessor``.
        predict_with (str): Name of the sub-module that predicts and is exported: 'student', or 'teacher' where there
            is one.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: ``predict_with`` names no estimator of the adapter.
    """

    copies: tuple[str, ...] = ('student',)
    needed_domains: tuple[str, ...] = ('source',)

    def __init__(self, estimator: dict, predict_with: str = 'student', init_cfg: dict | None = None) -> None:
        estimator = deepcopy(estimator)
        base = estimator.pop('data_preprocessor', None) or dict(type='PoseDataPreprocessor')
        super().__init__(self._build_preprocessor(base), init_cfg)
        if predict_with not in self.copies:
            raise ValueError(f'predict_with must be one of {self.copies}, got {predict_with!r}')
        self.predict_with = predict_with
        # The training accuracy of MMPose's heads goes through NumPy: a device synchronisation a step.
        estimator.setdefault('train_cfg', None)
        estimator['train_cfg'] = dict(compute_acc=False, **(estimator['train_cfg'] or {}))
        self.student = MODELS.build(estimator)
        self._register_load_state_dict_pre_hook(self._adopt_plain_checkpoint)

    @property
    def estimator(self) -> nn.Module:
        """The wrapped estimator that predicts."""
        return getattr(self, self.predict_with)

    def forward(self, inputs, data_samples=None, mode: str = 'tensor'):
        """Losses of a domain batch, or the predictions of the wrapped estimator.

        Args:
            inputs (dict[str, Tensor] | Tensor): Pictures (B, 3, h, w): by domain in training, else a plain batch.
            data_samples (dict[str, list] | list, optional): The samples likewise.
            mode (str): 'loss', 'predict' or 'tensor'.
        """
        if mode != 'loss':
            return self.estimator(inputs, data_samples, mode=mode)
        self.check_domains(inputs)
        return self.loss(inputs, data_samples)

    def check_domains(self, inputs: dict[str, Tensor]) -> None:
        """Check that a training batch holds all domains that the method needs.

        Raises:
            ValueError: One is missing.
        """
        for domain in self.needed_domains:
            if domain not in inputs:
                raise ValueError(f'A training batch without a {domain} sample: check the quotas of the DomainSampler.')

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """Losses of one batch; keys that hold 'loss' are summed."""
        raise NotImplementedError(f'{type(self).__name__} must say what its losses are')

    @staticmethod
    def _build_preprocessor(base: dict) -> nn.Module:
        """Preprocessor of training batches, from the config of the estimator's own."""
        return DomainDataPreprocessor(base)

    def plain_state_dict(self) -> dict[str, Tensor]:
        """Weights of the predicting estimator under MMPose's own keys, on the CPU."""
        return {key: value.detach().cpu().clone() for key, value in self.estimator.state_dict().items()}

    def _adopt_plain_checkpoint(self, state_dict: dict, prefix: str, *args) -> None:
        """Spread a plain estimator's weights to every copy, and refuse those of another skeleton."""
        own = self.student.state_dict()
        loaded = {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}
        if not any(key.startswith('student.') for key in loaded):
            plain = {key: value for key, value in loaded.items() if key in own}
            if not plain:
                return
            for key, value in plain.items():
                del state_dict[prefix + key]
                for copy in self.copies:
                    state_dict[f'{prefix}{copy}.{key}'] = value
            loaded = {f'student.{key}': value for key, value in plain.items()}
        for key, value in loaded.items():
            wanted = own.get(key.removeprefix('student.')) if key.startswith('student.') else None
            if wanted is not None and wanted.shape != value.shape:
                raise ValueError(
                    f'The checkpoint does not fit the model: {key} has shape {tuple(value.shape)}, the config builds '
                    f'{tuple(wanted.shape)}. A different first number in the last layer of the head means another '
                    'joint set: load a checkpoint of the same skeleton, or name only the backbone with '
                    "init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')."
                )


class MeanTeacherAdapter(DomainAdapter):
    """An adapter with a teacher: the running average of the student's weights.

    Args:
        estimator (dict): See :class:`DomainAdapter`.
        keep_rate (float): The teacher's share in an update, alpha in ``teacher <- alpha teacher + (1 - alpha) student``
            (0.999 in UDAPE; MMEngine's ``momentum`` is 1 - alpha).
        teacher_bn (str): Batch normalisation of the teacher. 'own': it normalises by its own batches and keeps its own
            running statistics (UDAPE's code); 'ema': evaluation mode, statistics averaged as the weights are; 'copy':
            evaluation mode, the student's statistics.
        predict_with (str): 'teacher' or 'student'.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: A share outside [0, 1] or an unknown policy.
    """

    copies = ('student', 'teacher')

    def __init__(
        self,
        estimator: dict,
        keep_rate: float = 0.999,
        teacher_bn: str = 'own',
        predict_with: str = 'teacher',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(estimator, predict_with, init_cfg)
        if not 0 <= keep_rate <= 1:
            raise ValueError(f"keep_rate is the teacher's share and must lie in [0, 1], got {keep_rate}")
        if teacher_bn not in ('own', 'ema', 'copy'):
            raise ValueError(f"teacher_bn must be 'own', 'ema' or 'copy', got {teacher_bn!r}")
        self.keep_rate, self.teacher_bn = keep_rate, teacher_bn
        self.teacher = deepcopy(self.student)
        self.teacher.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> MeanTeacherAdapter:
        """Set the student's mode; the teacher stays in evaluation mode but for the batch statistics of 'own'."""
        super().train(mode)
        if 'teacher' in self._modules:
            self.teacher.eval()
            if self.teacher_bn == 'own':
                # As the student's do, so that statistics which a backbone freezes stay frozen.
                for teacher, student in zip(self.teacher.modules(), self.student.modules()):
                    if isinstance(teacher, _BatchNorm):
                        teacher.train(student.training)
        return self

    def taught(self) -> list[tuple[nn.Module, nn.Module]]:
        """Parts of the teacher, and the student's that they follow."""
        return [(self.teacher, self.student)]

    def rank_state(self) -> dict:
        """What each of several processes keeps of its own: its batch statistics."""
        return own_buffers(self)  # an averaged teacher answers by them

    def load_rank_state(self, state: dict) -> None:
        """Take up the state of :meth:`rank_state`."""
        load_own_buffers(self, state)

    @torch.no_grad()
    def start_teacher(self) -> None:
        """Copy the student, weights and buffers, to the teacher."""
        for teacher, student in self.taught():
            teacher.load_state_dict(student.state_dict())

    @torch.no_grad()
    def update_teacher(self) -> None:
        """Move the teacher towards the student by ``1 - keep_rate``, in one fused call."""
        teacher, student = ([p for part in side for p in part.parameters()] for side in zip(*self.taught()))
        buffers = list(zip(*([b for part in side for b in part.buffers()] for side in zip(*self.taught()))))
        if self.teacher_bn == 'ema':
            averaged = [(t, s) for t, s in buffers if t.is_floating_point()]
            teacher += [t for t, _ in averaged]
            student += [s for _, s in averaged]
        if self.teacher_bn != 'own':
            for t, s in buffers:
                if self.teacher_bn == 'copy' or not t.is_floating_point():
                    t.copy_(s)
        torch._foreach_lerp_(teacher, student, 1 - self.keep_rate)
