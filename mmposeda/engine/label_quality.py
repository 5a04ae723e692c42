"""How good pseudo-labels are over time: which were ever right, and whether the wrong ones are always the same.

Legend: N pictures, K joints; masks are boolean (N, K), on the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

#: The file that :class:`~mmposeda.engine.hooks.PseudoLabelQualityHook` writes into a run's folder.
FILE_NAME = 'pseudo_label_quality.jsonl'


class LabelQuality:
    """Numbers on pseudo-labels of the same pictures, one measurement after the other, and what must be remembered.

    All numbers are over labelled joints, in [0, 1]: ``right``, the share that is right now; ``kept``, that is trusted;
    ``precision``, of the trusted ones the share that is right; ``ever_correct``, the share that was right and trusted
    at one measurement at least (about 0.7 in the end, reports the geometric reconstruction, Lin et al., NeurIPS 2023);
    ``repeat``, the intersection over union of the joints that were wrong and trusted in this and the last measurement
    (about 0.27 throughout, ibid.). With masks of two kinds also ``overlap``, their intersection over union, and
    ``kept_2d``, ``kept_3d``, ``precision_2d`` and ``precision_3d``. The same of a group of joints is ``right/GROUP``.
    A number that nothing speaks for, such as the precision where nothing is kept, is left out.

    Args:
        shape (tuple[int, int]): (N, K).
        groups (Mapping, optional): Name -> joints, as of :class:`~mmposeda.structures.skeleton.Skeleton`; one that
            holds all joints is left out.

    Attributes:
        ever (Tensor): Mask of the joints that were right and trusted at least once.
        wrong (Tensor, optional): Mask of those that were wrong and trusted in the last measurement.
    """

    def __init__(self, shape: tuple[int, int], groups: Mapping[str, tuple[int, ...]] | None = None) -> None:
        self.shape = tuple(shape)
        self.groups = {name: list(joints) for name, joints in (groups or {}).items() if len(joints) < shape[1]}
        self.ever = torch.zeros(self.shape, dtype=torch.bool)
        self.wrong: Tensor | None = None

    def measure(self, right: Tensor, known: Tensor, masks: Mapping[str, Tensor]) -> dict[str, float]:
        """Take a measurement in; return its numbers.

        Args:
            right (Tensor): Whether a pseudo-label is right.
            known (Tensor): Whether there is a label to tell.
            masks (Mapping): 'kept', whether it is trusted, and by which rule: 'kept_2d' and 'kept_3d', or neither.

        Raises:
            ValueError: No joint is labelled.
        """
        if not known.any():
            raise ValueError(f'none of {known.numel()} joints of {len(known)} pictures is labelled')
        masks = {name: mask & known for name, mask in masks.items()}
        before, self.wrong = self.wrong, masks['kept'] & ~right
        self.ever = self.ever | (masks['kept'] & right & known)
        numbers = {}
        for group, joints in (('', slice(None)), *((f'/{name}', joints) for name, joints in self.groups.items())):
            of = {name: mask[:, joints] for name, mask in masks.items()}
            pair = None if before is None else (before[:, joints], self.wrong[:, joints])
            found = _numbers(right[:, joints], known[:, joints], of, self.ever[:, joints], pair)
            numbers.update({f'{name}{group}': value for name, value in found if value is not None})
        return numbers

    def state(self) -> dict:
        """What a later :meth:`load` needs: tensors and plain values, an eighth of a byte a joint."""
        return dict(
            shape=list(self.shape), ever=_packed(self.ever), wrong=None if self.wrong is None else _packed(self.wrong)
        )

    def load(self, state: Mapping) -> None:
        """Go on where another one stood.

        Raises:
            ValueError: It was of other pictures or joints.
        """
        if tuple(state['shape']) != self.shape:
            was, now = (f'{n} pictures with {k} joints' for n, k in (state['shape'], self.shape))
            raise ValueError(f'it is of {was}, the data set gives {now}')
        self.ever = self._unpacked(state['ever'])
        self.wrong = None if state['wrong'] is None else self._unpacked(state['wrong'])

    def _unpacked(self, bits: Tensor) -> Tensor:
        count = self.shape[0] * self.shape[1]
        return torch.from_numpy(np.unpackbits(bits.cpu().numpy(), count=count).astype(bool)).view(self.shape)


def _packed(mask: Tensor) -> Tensor:
    return torch.from_numpy(np.packbits(mask.numpy()))


def _numbers(
    right: Tensor, known: Tensor, masks: Mapping[str, Tensor], ever: Tensor, wrong: tuple[Tensor, Tensor] | None
) -> Iterator[tuple[str, float | None]]:
    yield 'right', _share(right & known, known)
    yield 'kept', _share(masks['kept'], known)
    yield 'precision', _share(masks['kept'] & right, masks['kept'])
    yield 'ever_correct', _share(ever, known)
    if wrong is not None:
        yield 'repeat', _share(wrong[0] & wrong[1], wrong[0] | wrong[1])
    if 'kept_3d' in masks:
        both = masks['kept_2d'], masks['kept_3d']
        yield 'overlap', _share(both[0] & both[1], both[0] | both[1])
        for name, mask in zip(('2d', '3d'), both):
            yield f'kept_{name}', _share(mask, known)
            yield f'precision_{name}', _share(mask & right, mask)


def _share(part: Tensor, whole: Tensor) -> float | None:
    count = int(whole.sum())
    return int(part.sum()) / count if count else None
