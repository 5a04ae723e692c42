"""Errors of 3D poses lifted from 2D ones."""

from __future__ import annotations

from collections.abc import Sequence
from sys import maxsize

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmposeda.registry import METRICS
from mmposeda.structures.kinematics import KinematicTree
from mmposeda.structures.procrustes import similarity_align
from mmposeda.structures.skeleton import Skeleton

from .lifted_poses import action_of, read_batch, read_samples

MODES = ('mpjpe', 'pa-mpjpe', 'n-mpjpe', 'pck', 'auc')
#: Whose bone lengths predictions are compared with -> what is put behind the names of the results.
BONE_LENGTHS = dict(predicted='', gt='-GT-BONES')
#: what is kept of a sample beside its sums: which it is, its action, counted joints, and bad numbers in its poses
_INDEX, _ACTION, _COUNT, _BROKEN = range(4)
_BAD_PREDICTION, _BAD_LABEL = 1, 2


@METRICS.register_module()
class LiftingMetric(BaseMetric):
    """Joint position errors and rates of correct joints of 3D poses, over the frames and over the actions.

    Both poses are moved to their root joint first. Modes are

    - ``mpjpe``: mean distance between predicted and true joints, mm; the root counts as a joint, as in the authors'
      code of PoseAug and in MMPose;
    - ``pa-mpjpe``: the same after the similarity transform of each frame that fits best (Procrustes); mirror images are
      not aligned;
    - ``n-mpjpe``: the same after the scale of each frame that fits best, never a negative one;
    - ``pck``: percentage of joints with an error strictly below ``threshold`` mm (3D-PCK, of ``mpjpe``'s errors);
    - ``auc``: mean of that percentage over ``auc_thresholds``. At 0 mm nothing is below, so a perfect prediction has
      30/31 of 100.

    Results are ``lifting/{MPJPE, PA-MPJPE, N-MPJPE, PCK@150, AUC}/frames``, over all counted joints of all frames (the
    authors' code of PoseAug, MMPose), and ``.../actions``, the plain mean over the actions of that value (the Human3.6M
    protocol); they differ where actions are of different lengths. With ``per_action``, also ``.../{action}``. Where
    actions are named ``SET/ACTION``, as in ``LiftingSets``, each set's frames give ``.../SET``.

    It takes what the lifting adapters predict, one dict a batch with ``pred_poses`` and ``poses`` (B, J, 3) in metres,
    ``visible`` (B, J), ``index`` (B,) and ``action`` (B,), numbers into ``action_names`` of the meta info; MMPose's
    samples (``pred_instances.keypoints``, ``gt_instances.lifting_target`` and ``lifting_target_visible``, T frames
    each); and samples of pictures (``pred_instances.keypoints_3d``, metres, and ``gt_instances.keypoints_3d_cam``, mm,
    both (1, J, 3), as ``VolumetricIntegralHead`` and ``RelativeDepth`` give them). A sample's action is told by
    ``action`` in it or, as in MMPose's ``MPJPE``, from the picture's name (``S9_Walking_1.60457274_000001.jpg``).
    Samples that came more than once, as padding of several processes, count once: they are told by ``index`` or
    ``id``. Only sums are kept of a sample, not its poses.

    Hidden joints do not enter, neither the alignment nor the averages (MMPose's alignments look at them). A frame with
    a hidden root does not count.

    With ``bone_lengths='gt'`` every predicted bone, from the root outwards, first gets the length of the true one; a
    bone with a hidden end keeps its own. This is how the authors' code of non-local relation distillation (Kundu et
    al., NeurIPS 2021) evaluates. It is an oracle: what a model does not know of a person's size and build is told to
    it, and no such number can be compared with one of predicted lengths. Results are then
    ``lifting/MPJPE-GT-BONES/frames`` and so on, so that one evaluator may have both metrics.

    Args:
        modes (sequence[str]): which of the five to give.
        joints (sequence[str], optional): names of joints or of joint groups to evaluate, all joints by default (the
            group ``all`` is the limbs only).
        root (str | sequence[str], optional): the joint, or joints whose middle it is, that both poses are moved to; by
            default the root of the joint set's tree. An empty list leaves the poses where they are.
        per_action (bool): also give a value for each action.
        threshold (float): Of ``pck``, mm.
        auc_thresholds (sequence[float], optional): Of ``auc``, mm; ``linspace(0, 150, 31)`` by default.
        bone_lengths (str): Of the predicted poses: 'predicted', as they come, or 'gt', those of the true poses.
        kwargs: of MMEngine's ``BaseMetric``.

    Raises:
        ValueError: unknown mode, joint or bone lengths; poses of another shape or joint set, or with numbers that are
            not finite; nothing to evaluate; samples that their ids do not tell apart.
    """

    default_prefix = 'lifting'

    def __init__(
        self,
        modes: Sequence[str] = ('mpjpe', 'pa-mpjpe', 'pck', 'auc'),
        joints: Sequence[str] | None = None,
        root: str | Sequence[str] | None = None,
        per_action: bool = False,
        threshold: float = 150.0,
        auc_thresholds: Sequence[float] | None = None,
        bone_lengths: str = 'predicted',
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.modes = (modes,) if isinstance(modes, str) else tuple(modes)
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown or not self.modes:
            raise ValueError(f'LiftingMetric got {modes=}, expected some of {", ".join(MODES)}')
        if bone_lengths not in BONE_LENGTHS:
            raise ValueError(f'LiftingMetric got {bone_lengths=}, expected one of {", ".join(BONE_LENGTHS)}')
        self.bone_lengths = bone_lengths
        self.joints = (joints,) if isinstance(joints, str) else joints
        self.root = (root,) if isinstance(root, str) else root
        self.per_action, self.threshold = per_action, threshold
        self.auc_thresholds = np.linspace(0, 150, 31) if auc_thresholds is None else np.sort(auc_thresholds)
        self._size = None

    def process(self, data_batch: Sequence, data_samples: Sequence[dict]) -> None:
        """Reduce the poses of a batch to sums a sample."""
        samples = [sample for sample in data_samples if 'pred_poses' not in sample]
        for batch in data_samples:
            if 'pred_poses' in batch:
                self.results.append((self._table(*read_batch(batch)), None))
        if samples:
            predicted, poses, visible, index, starts = read_samples(samples)
            rows = self._table(predicted, poses, visible, index).numpy()
            sums = np.add.reduceat(rows, starts)
            sums[:, [_INDEX, _ACTION]] = rows[starts][:, [_INDEX, _ACTION]]
            sums[:, _BROKEN] = np.maximum.reduceat(rows[:, _BROKEN], starts)
            # one result a sample, as BinnedMetric wants it
            self.results += [(row[None], (action_of(sample),)) for row, sample in zip(sums, samples)]

    def evaluate(self, size: int) -> dict:
        """Evaluate all that was processed, of ``size`` samples in all."""
        self._size = size
        # one object a process; padding is told by the ids, MMEngine would cut by position
        self.results = [self._merge(self.results)]
        metrics = super().evaluate(maxsize)
        self._size = None
        return metrics

    def compute_metrics(self, results: list) -> dict:
        """Values over frames and actions; prints them as a table."""
        table, names = self._merge(results)
        if not len(table):
            raise ValueError('LiftingMetric: nothing was evaluated; is the data set empty?')
        table = self._unique(table)
        self._check_numbers(table)
        action = table[:, _ACTION].astype(np.int64)
        counts = np.bincount(action, table[:, _COUNT], len(names))
        shown = [name for name, count in zip(names, counts) if count]
        lines, metrics, sets = {}, {}, {}
        for i, name in enumerate(names):
            if '/' in name and counts[i]:
                sets.setdefault(name.partition('/')[0], []).append(i)
        for i, mode in enumerate(self.modes, _BROKEN + 1):
            sums = np.bincount(action, table[:, i], len(names))
            with np.errstate(invalid='ignore'):
                frames, by_action = sums.sum() / counts.sum(), (sums / counts)[counts > 0]
            name = f'PCK@{self.threshold:g}' if mode == 'pck' else mode.upper()
            name += BONE_LENGTHS[self.bone_lengths]
            metrics[f'{name}/frames'] = float(frames)
            metrics[f'{name}/actions'] = float(by_action.mean()) if len(by_action) else float('nan')
            by_set = [sums[members].sum() / counts[members].sum() for members in sets.values()]
            metrics.update({f'{name}/{key}': float(value) for key, value in zip(sets, by_set)})
            lines[name] = (*by_action, *by_set, metrics[f'{name}/actions'], frames)
            if self.per_action:
                metrics.update({f'{name}/{key}': float(value) for key, value in zip(shown, by_action)})
        self._print(lines, (*shown, *sets, 'mean of actions', 'all frames'), table)
        return metrics

    def _table(self, predicted: Tensor, poses: Tensor, visible: Tensor, index: Tensor, action=None) -> Tensor:
        """Sums of each pose over its joints, (B, 4 + modes) float64."""
        skeleton = Skeleton.from_metainfo(self.dataset_meta)
        shape = (len(index), skeleton.num_joints, 3)
        if predicted.shape != shape or poses.shape != shape or visible.shape != shape[:2]:
            raise ValueError(
                f'got predicted poses {tuple(predicted.shape)}, labelled ones {tuple(poses.shape)} and visible '
                f'{tuple(visible.shape)}, but joint set {skeleton.name!r} has {skeleton.num_joints} joints (B, J, 3)'
            )
        root, joints = self._picked(skeleton)
        predicted, poses, visible = predicted.double(), poses.double(), visible > 0
        if self.bone_lengths == 'gt':
            tree = KinematicTree(skeleton).to(predicted.device)
            known = visible[:, list(tree.child)] & visible[:, list(tree.parent)]
            lengths = torch.where(known, tree.bones(poses).norm(dim=-1), torch.nan)
            predicted = tree.with_lengths(predicted, lengths)
        if root:
            visible = visible & visible[:, root].all(1, keepdim=True)
            predicted, poses = (x - x[:, root].mean(1, keepdim=True) for x in (predicted, poses))
        if joints is not None:
            predicted, poses, visible = predicted[:, joints], poses[:, joints], visible[:, joints]
        columns = [index, torch.zeros_like(index) if action is None else action, visible.sum(1)]
        bad = [(visible & ~x.isfinite().all(-1)).any(1) for x in (predicted, poses)]
        columns += [torch.where(bad[1], _BAD_LABEL, torch.where(bad[0], _BAD_PREDICTION, 0))]
        predicted, poses = (torch.where(visible[..., None], x, 0.0) for x in (predicted, poses))
        errors = {}
        for mode in self.modes:
            kind = mode if mode.endswith('mpjpe') else 'mpjpe'
            if kind not in errors:
                errors[kind] = 1000 * (_ALIGN[kind](predicted, poses, visible) - poses).norm(dim=-1)
            error = errors[kind]
            if mode == 'pck':
                error = 100.0 * (error < self.threshold)
            elif mode == 'auc':
                steps = torch.as_tensor(self.auc_thresholds).to(error)
                error = (len(steps) - torch.searchsorted(steps, error, right=True)).double() * (100.0 / len(steps))
            columns.append((error * visible).sum(1))
        return torch.stack([column.double() for column in columns], 1)

    def _picked(self, skeleton: Skeleton) -> tuple[list[int], list[int] | None]:
        """Indices of the root's joints and of the joints to evaluate."""
        if self.root is None:
            root = [skeleton.parents.index(-1)]
        else:
            root = [joint for name in self.root for joint in _members(name, skeleton)]
        if self.joints is None:
            return root, None
        return root, list(dict.fromkeys(joint for name in self.joints for joint in _members(name, skeleton)))

    def _merge(self, parts: Sequence[tuple]) -> tuple[np.ndarray, tuple[str, ...]]:
        """One table of all parts, and the names its actions are numbers into.

        A part's names are None where its numbers are those of the data set, or a single name.
        """
        numbers: dict = {}
        given = (self.dataset_meta or {}).get('action_names')
        tables = [np.zeros((0, _BROKEN + 1 + len(self.modes)))]
        for table, names in parts:
            table = np.array(table.cpu() if isinstance(table, Tensor) else table)
            codes = table[:, _ACTION].astype(np.int64)
            if names is None:
                highest = int(codes.max(initial=-1))
                names = tuple(given) if given is not None else tuple(map(str, range(highest + 1)))
                if codes.min(initial=0) < 0 or highest >= len(names):
                    raise ValueError(
                        f'actions have numbers {codes.min()} to {highest}, but `action_names` of the data set are '
                        f'{len(names)}: {", ".join(names)}'
                    )
            own = np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)
            table[:, _ACTION] = own[codes]
            tables.append(table)
        return np.concatenate(tables), tuple(numbers)

    def _unique(self, table: np.ndarray) -> np.ndarray:
        """Rows of the table, each sample once."""
        ids = table[:, _INDEX]
        if np.isnan(ids).any():
            if get_world_size() > 1:
                raise ValueError(
                    'LiftingMetric on several processes must tell padded samples apart: add `id` to meta_keys of '
                    'PackPoseInputs'
                )
            return table
        first = np.unique(ids, return_index=True)[1]
        if len(first) < min(len(ids), self._size or 0):
            raise ValueError(
                f'results came for {len(first)} different samples, but the data set has {self._size}: its ids do not '
                'tell its samples apart'
            )
        return table[np.sort(first)]

    def _check_numbers(self, table: np.ndarray) -> None:
        for what, code in (('labelled', _BAD_LABEL), ('predicted', _BAD_PREDICTION)):
            bad = np.flatnonzero(table[:, _BROKEN] == code)
            if len(bad):
                raise ValueError(
                    f'{len(bad)} of {len(table)} {what} poses hold visible joints that are not finite, the first is '
                    f'sample {table[bad[0], _INDEX]:.0f}. '
                    + ('Has the training diverged?' if code == _BAD_PREDICTION else 'Mark such joints as not visible')
                )

    def _print(self, lines: dict, rows: Sequence[str], table: np.ndarray) -> None:
        width, columns = max(map(len, rows)), [max(10, len(name) + 2) for name in lines]
        unseen = int((table[:, _COUNT] == 0).sum())
        header = f'3D poses, {len(table)} samples' + (f', {unseen} of them without a counted joint' if unseen else '')
        text = [header, ' ' * width + ''.join(f'{name:>{column}}' for name, column in zip(lines, columns))]
        for row, values in zip(rows, zip(*lines.values())):
            numbers = (f'{value:{column}.2f}' for value, column in zip(values, columns))
            text.append(f'{row:{width}}' + ''.join(numbers))
        print_log('\n'.join(text), logger='current')


def _rescaled(predicted: Tensor, poses: Tensor, visible: Tensor) -> Tensor:
    """Poses at the size that fits best; unseen joints are 0."""
    square, product = predicted.square().sum((1, 2)), (predicted * poses).sum((1, 2))
    scale = (product / torch.where(square > 0, square, 1.0)).clamp(min=0)
    return predicted * scale[:, None, None]


_ALIGN = {
    'mpjpe': lambda predicted, poses, visible: predicted,
    'pa-mpjpe': similarity_align,
    'n-mpjpe': _rescaled,
}


def _members(name: str, skeleton: Skeleton) -> Sequence[int]:
    """Joints by the name of one or of a group."""
    if name not in skeleton.joint_names and name in skeleton.groups:
        return skeleton.groups[name]
    try:
        return (skeleton.index(name),)
    except KeyError as error:
        raise ValueError(f'LiftingMetric: {error.args[0]}; and the groups {", ".join(skeleton.groups)}') from None
