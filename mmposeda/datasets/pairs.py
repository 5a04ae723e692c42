"""Pairs of pictures of one subject, for methods that warp one picture to the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from mmposeda.registry import DATASETS

from .deterministic import SamePipeline
from .images import naming_sample
from .sequences import Partners, SequenceRule
from .single import SingleInstanceDataset, one_of
from .unlabeled import UnlabeledDataset


@DATASETS.register_module()
class PairSequenceDataset(SamePipeline, UnlabeledDataset):
    """A data set of sequences as unlabelled pairs of pictures, base and driving, of one subject, camera and scene.

    A sample is packed as MMPose does, with ``inputs`` uint8 (6, h, w): channels 0 to 2 are the base picture, 3 to 5 the
    driving one. Its metainfo holds ``domain='pair'``, ``sequence_id``, ``frames`` (numbers of base and driving frame),
    ``driving_path``, ``sample_index``, and what MMPose packs of the base picture. As under
    :class:`UnlabeledDataset` no label reaches the pipeline or the sample, nor decides who is in the set.

    There is one pair a base frame that has a partner. Its partner is drawn anew each time, before or after it, by
    NumPy's global generator: the loaders of this package seed that for each sample, so that a resumed run draws the
    same pairs whatever its workers.

    Both pictures are cut by one window, because a background that moves with the window would look like motion of the
    subject: the box of both is the smallest that holds both boxes. The pipeline must be deterministic for the same
    reason (``LoadImage``, ``GetBBoxCenterScale``, ``TopdownAffine``, ``PackPoseInputs``): random views and colours are
    drawn once for a pair by the model.

    Building reads the data list alone; no picture is opened or rendered.

    Args:
        dataset (dict | Dataset): Config of a labelled or unlabelled data set of one-person samples with its own
            pipeline ending in ``PackPoseInputs``.
        sequence (str): Which samples belong together and which frames they are, see :class:`SequenceRule`: ``folders``,
            ``numbered``, ``fields``, or a regular expression with the named groups ``sequence`` and ``frame``.
        gap (tuple[int, int]): Least and largest distance of the frames of a pair, in their numbers, inclusive.
        person (str, optional): Field that tells several people of a picture apart, such as ``track_id``.
        window (str): ``shared``; or ``own``, each picture through its own box. That is for pictures which were cut
            around the subject one by one, so that no common window is left.

    Raises:
        TypeError: the data set joins several, has no list of pictures, or its pipeline is empty or draws at random.
        ValueError: a rule that does not fit a path, two samples of one frame, no pair at all, or wrong arguments.
    """

    DOMAIN = 'pair'
    SAMPLE = ('two pictures of a pair', 'pair')

    def __init__(
        self,
        dataset: dict | Dataset,
        sequence: str = 'folders',
        gap: tuple[int, int] = (5, 50),
        person: str | None = None,
        window: str = 'shared',
    ):
        rule = SequenceRule(sequence, person)
        self.window = one_of('PairSequenceDataset', 'window', window, ('shared', 'own'))
        if len(gap) != 2 or not all(isinstance(g, int) for g in gap) or not 1 <= gap[0] <= gap[1]:
            raise ValueError(f'gap={gap!r} must be the least and the largest distance in frames, 1 <= least <= largest')
        super().__init__(dataset)
        self.refuse_random()
        self._names, self._sequences, self._frames = self._read(rule)
        self._partners = self._find(rule, tuple(gap))

    def __len__(self) -> int:
        return len(self._partners.bases)

    def get_data_info(self, idx: int) -> dict:
        """Data info of the base picture of pair ``idx``, without labels."""
        return super().get_data_info(int(self._partners.bases[idx]))

    def partners(self, idx: int) -> list[int]:
        """Indices, in the wrapped data set, of the samples that pair ``idx`` may have as driving picture."""
        return self._partners.of(int(self._partners.bases[idx])).tolist()

    def prepare_data(self, idx: int) -> Any:
        """Pair ``idx`` with a partner drawn for it, or None if a transform gave up on one of the pictures.

        Raises:
            SampleError: a transform failed, or the pictures do not fit together; names the file.
            TypeError: the pipeline does not end in ``PackPoseInputs``, or draws at random.
        """
        base = int(self._partners.bases[idx])
        driving = self._partners.draw(base)
        infos = [super(PairSequenceDataset, self).get_data_info(i) for i in (base, driving)]
        with naming_sample(self, idx, infos[0].get('img_path')):
            self._share_window(infos)
        self.look_for_draws(idx, infos[0])
        first, second = (self.pack(idx, info) for info in infos)
        if first is None or second is None:
            return None
        sample, other = first['data_samples'], second['data_samples']
        with naming_sample(self, idx, infos[0].get('img_path')):
            self._check_sizes(sample, other)
        sample.set_metainfo(
            dict(
                sequence_id=self._names[self._sequences[base]],
                frames=(int(self._frames[base]), int(self._frames[driving])),
                driving_path=other.metainfo.get('img_path', ''),
            )
        )
        return dict(inputs=torch.cat([first['inputs'], second['inputs']]), data_samples=sample)

    def _list(self) -> BaseDataset:
        """The data set that holds the list."""
        inner = self.dataset
        while isinstance(inner, UnlabeledDataset) and not isinstance(inner, (PairSequenceDataset, SelfPairDataset)):
            inner = inner.dataset
        if not isinstance(inner, BaseDataset):
            raise TypeError(
                f'PairSequenceDataset cannot wrap {type(inner).__name__}: it needs a data set with a list of pictures, '
                "of MMEngine's BaseDataset, or an UnlabeledDataset of one"
            )
        return inner

    def _read(self, rule: SequenceRule) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Names of the sequences, and of each entry the sequence's number and the frame's."""
        inner, numbers, sequences, frames = self._list(), {}, [], []
        for index in range(len(inner)):
            name, frame = rule(_entry(inner, index))
            sequences.append(numbers.setdefault(name, len(numbers)))
            frames.append(frame)
        try:
            return list(numbers), np.array(sequences, np.int64), np.array(frames, np.int64)
        except OverflowError:
            raise ValueError(f'the rule {str(rule)!r} finds a frame number {max(frames)}, which is too large') from None

    def _find(self, rule: SequenceRule, gap: tuple[int, int]) -> Partners:
        what, count = type(self._list()).__name__, len(self._frames)
        if not count:
            raise ValueError(f'{what} is empty, so PairSequenceDataset finds no pair in it')
        partners = Partners(self._sequences, self._frames, gap)
        if partners.same:
            first, second = partners.same
            name = self._names[self._sequences[first]]
            raise ValueError(
                f'by the rule {str(rule)!r}, {self._path(first)} and {self._path(second)} (samples {first} and '
                f'{second} of {what}) both are frame {self._frames[first]} of sequence {name!r}: let the rule tell '
                'cameras apart by a further group, people of one picture by person=..., or keep one box a picture'
            )
        if not len(partners.bases):
            found = 'no sequence has two frames'
            if partners.distances:
                found = 'distances go from {} to {}'.format(*partners.distances)
            raise ValueError(
                f'no pair in {count} samples of {what}, {len(self._names)} sequences by the rule '
                f'{str(rule)!r}: gap={list(gap)} frames are wanted, but {found}. By the rule, {self._path(0)} is frame '
                f'{self._frames[0]} of sequence {self._names[0]!r}; change the rule or the gap'
            )
        return partners

    def _path(self, index: int) -> str:
        return _entry(self._list(), index).get('img_path') or f'sample {index}'

    def _share_window(self, infos: list[dict]) -> None:
        boxes = [info.get('bbox') for info in infos]
        if any(box is not None and len(box) != 1 for box in boxes):
            raise ValueError(f'a pair takes samples of one person, got {max(map(len, boxes))} boxes')
        if self.window == 'shared' and all(box is not None for box in boxes):
            corners = np.stack(boxes)
            for info in infos:
                info['bbox'] = np.concatenate([corners[..., :2].min(0), corners[..., 2:].max(0)], -1)

    def _check_sizes(self, sample: Any, other: Any) -> None:
        sizes = [s.metainfo.get('ori_shape') for s in (sample, other)]
        if self.window == 'shared' and sizes[0] != sizes[1]:
            raise ValueError(
                f'base and driving picture ({other.metainfo.get("img_path")}) of {sizes[0]} and {sizes[1]} pixels '
                "(h, w) have no window in common; for pictures cut around the subject one by one, set window='own'"
            )


def _entry(dataset: BaseDataset, index: int) -> dict:
    """What the data set keeps of a sample: its ``get_data_info`` may open or render the picture."""
    entry = BaseDataset.get_data_info(dataset, index)
    return dataset.whole(entry) if isinstance(dataset, SingleInstanceDataset) else entry


@DATASETS.register_module()
class SelfPairDataset(UnlabeledDataset):
    """Still pictures for the domain ``pair`` where there are no sequences: the model makes the driving picture itself.

    A sample is as of :class:`UnlabeledDataset`, ``inputs`` (3, h, w), but of ``domain='pair'``; the model deforms the
    picture, see :func:`mmposeda.structures.thin_plate.random_deformation`. A batch holds such pictures or pairs of
    sequences, not both.
    """

    DOMAIN = 'pair'
