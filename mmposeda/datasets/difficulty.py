"""Difficulty scores of a data set's poses, in a file that knows which poses they belong to.

Legend: N samples, n of them with a score.
"""

from __future__ import annotations

import os
import os.path as osp
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmposeda.structures.difficulty import equal_bins

from .annotations import AnnotationError
from .npz import open_npz
from .pose_array import (
    PoseArray,
    fingerprint,
    leaves,
    load_pose_array,
    read_leaves,
    read_poses,
    sample_digests,
)

__all__ = [
    'DifficultyScores',
    'PoseArray',
    'ScoreFileError',
    'fingerprint',
    'load_pose_array',
    'match_rows',
    'read_poses',
    'sample_digests',
]

#: Poses looked at of a data set that makes its poses when asked for, such as rendered people.
SPOT_CHECKS = 32


class ScoreFileError(AnnotationError):
    """A file of difficulty scores cannot be used; the message names it and the way out."""


@dataclass
class DifficultyScores:
    """Scores of N samples and what they were made from.

    Attributes:
        ids (np.ndarray): (N,) int64 or strings, in the order of the annotations, see :class:`PoseArray`.
        scores (np.ndarray): (N,) float32, larger is harder; NaN where a sample has too few visible joints.
        order (np.ndarray): (n,) int64 positions of the scored samples, easiest first.
        bins (np.ndarray): (N,) int16 in 0 to k - 1, 0 the easiest; -1 where there is no score.
        k (int): Number of bins.
        vae_hash (str): Which network made the scores.
        norm_mode (str): How it normalised poses.
        fingerprint (str): Of all ids and poses.
        digests (np.ndarray): (N,) uint64, one a pose: parts of the data set can be told from changed ones.
    """

    ids: np.ndarray
    scores: np.ndarray
    order: np.ndarray
    bins: np.ndarray
    k: int
    vae_hash: str
    norm_mode: str
    fingerprint: str
    digests: np.ndarray

    @classmethod
    def of(
        cls, poses: PoseArray, scores: np.ndarray, k: int = 25, vae_hash: str = '', norm_mode: str = ''
    ) -> DifficultyScores:
        """Sort and bin the scores (N,) of poses.

        Raises:
            ValueError: See :func:`~mmposeda.structures.difficulty.equal_bins`.
        """
        scores = np.asarray(scores, np.float32)
        order, bins = equal_bins(scores, poses.ids, k)
        return cls(poses.ids, scores, order, bins, k, vae_hash, norm_mode, fingerprint(poses), sample_digests(poses))

    def save(self, path: str) -> None:
        """Write an npz file without objects, aside and then renamed: there is never half a file."""
        os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
        aside = f'{path}.{os.getpid()}.tmp'
        try:
            with open(aside, 'wb') as file:
                np.savez_compressed(file, **{name: np.asarray(value) for name, value in vars(self).items()})
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except BaseException:
            if osp.exists(aside):
                os.remove(aside)
            raise

    @classmethod
    def load(cls, path: str) -> DifficultyScores:
        """Read a file of :meth:`save`; nothing in it is run.

        Raises:
            FileNotFoundError: No such file; says how to make it.
            ScoreFileError: It is damaged, of another kind, or its arrays do not fit together.
        """
        if not osp.isfile(path):
            raise FileNotFoundError(
                f'file of difficulty scores {path} does not exist. Make it with tools/score_poses.py, or let '
                'DifficultyScoringHook make it before training'
            )
        try:
            with open_npz(path) as data:
                missing = [name for name in cls.__dataclass_fields__ if name not in data.files]
                if missing:
                    raise ValueError(f'it has no {", ".join(missing)}, so it is not of tools/score_poses.py')
                values = {name: data[name] for name in cls.__dataclass_fields__}
            for name in ('k', 'vae_hash', 'norm_mode', 'fingerprint'):
                if values[name].ndim:
                    raise ValueError(f'its {name} is a list, expected one value')
                values[name] = values[name].item()
            scores = cls(**values)
            scores._check()
        except ValueError as error:
            text = str(error)
            raise ScoreFileError(
                text if text.startswith(str(path)) else f'{path} is no usable file of difficulty scores: {text}'
            ) from None
        return scores

    def rows(self, poses: PoseArray, path: str) -> np.ndarray:
        """Find poses in the file: of the data set that was scored, or of a filtered or reordered part of it.

        Args:
            poses (PoseArray): n poses.
            path (str): The file, for messages.

        Returns:
            np.ndarray: (n,) int64, which of the N scores is whose.

        Raises:
            ScoreFileError: An id is not in the file, or its pose has changed since.
        """
        rows = self.find(poses.ids, path)
        self.check(rows, poses, path)
        return rows

    def find(self, ids: np.ndarray, path: str) -> np.ndarray:
        """:meth:`rows` by id alone."""
        if (ids.dtype.kind == 'U') != (self.ids.dtype.kind == 'U'):
            raise ScoreFileError(
                f'{path} was made for other data: its ids are like {self.ids[0]!s}, those of the data set like '
                f'{ids[0]!s}. {_ANEW}'
            )
        by_id = np.argsort(self.ids, kind='stable')
        places = np.searchsorted(self.ids, ids, sorter=by_id)
        rows = by_id[np.minimum(places, len(by_id) - 1)]
        unknown = self.ids[rows] != ids
        if unknown.any():
            raise ScoreFileError(
                f'{path} has no score for {int(unknown.sum())} of {len(ids)} samples, such as {ids[unknown][0]!s}: '
                f'it was made for another data set, or for a part of this one. {_ANEW}'
            )
        return rows

    def check(self, rows: np.ndarray, poses: PoseArray, path: str) -> None:
        """Raise a :class:`ScoreFileError` unless the poses are those that were scored in these rows."""
        changed = sample_digests(poses) != self.digests[rows]
        if changed.any():
            raise ScoreFileError(
                f'{path} does not fit: {int(changed.sum())} of {len(rows)} poses are others than were scored, such as '
                f'that of {poses.ids[changed][0]!s}. The annotations or the joint set have changed. {_ANEW}'
            )

    def _check(self) -> None:
        count = self.ids.size
        wanted = dict(ids=('iU', count), scores=('f', count), bins=('i', count), digests=('u', count))
        wanted['order'] = 'i', int((~np.isnan(self.scores)).sum()) if self.scores.dtype.kind == 'f' else 0
        for name, (kinds, length) in wanted.items():
            array = getattr(self, name)
            if array.shape != (length,) or array.dtype.kind not in kinds:
                raise ValueError(f'its {name} are {array.dtype} of shape {array.shape}, expected ({length},)')
        if not isinstance(self.k, int) or any(not isinstance(v, str) for v in (self.vae_hash, self.fingerprint)):
            raise ValueError('its k, vae_hash or fingerprint is of another type')
        if not count or len(np.unique(self.ids)) < count:
            raise ValueError('it holds no sample, or an id more than once')
        order, bins = equal_bins(self.scores, self.ids, self.k)
        if not np.array_equal(order, self.order) or not np.array_equal(bins, self.bins):
            raise ValueError('its order or bins do not follow from its scores')


def match_rows(dataset: Any, scores: DifficultyScores, path: str) -> np.ndarray:
    """Row of scores for every index of a data set, with each pose compared with the one that was scored.

    No picture is opened. Where a data set does not store poses but makes them when asked for, as rendered people, ids
    are compared and the poses of 32 samples, spread over it.

    Args:
        dataset: See :func:`read_poses`.
        scores (DifficultyScores): Of these samples, maybe of more.
        path (str): Their file, for messages.

    Returns:
        np.ndarray: (N,) int64; of a repeated data set for one pass of it.

    Raises:
        ScoreFileError: See :meth:`DifficultyScores.rows`.
        TypeError, AnnotationError: See :func:`read_poses`.
    """
    rows = []
    for part in leaves(dataset):
        if part.stores('keypoints'):
            rows.append(scores.rows(read_leaves([part], boxes=False), path))
            continue
        ids = part.ids()
        rows.append(scores.find(ids, path))
        for index in np.unique(np.linspace(0, len(part) - 1, SPOT_CHECKS).astype(int)).tolist():
            points, visible, _ = part.pose(part.dataset.get_data_info(index))
            seen = np.broadcast_to(visible, len(points))[None]
            pose = PoseArray(ids[[index]], points[None, :, :2], seen, np.empty((1, 4)))
            scores.check(rows[-1][[index]], pose, path)
    return np.concatenate(rows)


_ANEW = 'Score the poses anew with tools/score_poses.py, or remove the file if DifficultyScoringHook makes it'
