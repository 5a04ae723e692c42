"""Samples of several pictures, whose pipeline must treat all of them alike."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from .images import naming_sample

#: transforms of MMPose and of this package that draw at random, beside those with ``Random`` in their names
RANDOM_TRANSFORMS = (
    'Albumentation',
    'ColorJitter',
    'GaussianBlur',
    'Mosaic',
    'PhotometricDistortion',
    'PoseAugment',
    'YOLOXMixUp',
)


class SamePipeline:
    """What data sets share that run one pipeline over all pictures of a sample: they refuse one that draws at random.

    A subclass has ``pipeline``.

    Attributes:
        SAMPLE (tuple[str, str]): What the pictures are and what they make up, for messages.
    """

    SAMPLE = ('pictures of a sample', 'sample')
    _deterministic = False  # not seen yet

    def refuse_random(self) -> None:
        """Refuse transforms that are known to draw.

        Raises:
            TypeError: there is one; names it.
        """
        for transform in getattr(self.pipeline, 'transforms', ()):
            name = type(transform).__name__
            if 'Random' in name or name in RANDOM_TRANSFORMS:
                raise self._draws(name)

    def look_for_draws(self, idx: int, info: dict) -> None:
        """Refuse, on the first sample of a process, a pipeline that takes random numbers.

        Args:
            idx (int): Index of the sample.
            info (dict): Data info of one of its pictures.

        Raises:
            TypeError: a transform does; names it.
            SampleError: a transform failed.
        """
        if self._deterministic:
            return
        info = dict(info, dataset=self)
        for transform in self.pipeline.transforms:
            before = _random_state()
            with naming_sample(self, idx, info.get('img_path')):
                info = transform(info)
            if _random_state() != before:
                raise self._draws(type(transform).__name__)
            if info is None:
                return
        self._deterministic = True

    def _draws(self, name: str) -> TypeError:
        pictures, whole = self.SAMPLE
        return TypeError(
            f'the transform {name} under {type(self).__name__} draws at random, for the {pictures} differently; '
            f'leave it out: the model draws views and colours once for a {whole}'
        )


def _random_state() -> tuple[Any, ...]:
    _, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), keys.tobytes(), *rest, torch.get_rng_state().numpy().tobytes()
