"""First stages of non-local relation distillation: spaces of poses and motions, and networks of relations in them.

Source: Kundu et al., NeurIPS 2021, supplementary, algorithm 1; settings of the authors' code. Legend: B clips, W frames
of a clip, T frames of a motion, J joints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn import functional

from mmposeda.registry import MODELS

from ..data_preprocessor import TensorDataPreprocessor
from ..motion_views import MotionViews
from ..networks.relation_networks import key_of

#: Pose latents and motion latents compared, or the poses that the former stand for.
TARGETS = ('latent', 'pose')


class MotionModel(BaseModel):
    """What trains on motion capture alone: a space of poses, and random views of clips.

    Batches are those of ``MocapMotionDataset``: ``inputs=dict(motion=(B, W, J, 3))``.

    Args:
        pose (dict): A ``PoseAAE``.
        views (Mapping, optional): Arguments of :class:`~mmposeda.models.motion_views.MotionViews`.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(self, pose: dict, views: Mapping | None = None, init_cfg: dict | None = None) -> None:
        super().__init__(TensorDataPreprocessor(), init_cfg)
        self.pose = MODELS.build(pose)
        self.views = MotionViews(self.pose.kinematics.skeleton, **(views or {}))

    def forward(self, inputs: dict[str, Tensor], data_samples: dict | None = None, mode: str = 'loss'):
        """Losses of a batch; these networks predict nothing of pictures.

        Args:
            inputs (dict[str, Tensor]): Clips, ``motion`` (B, W, J, 3).
            data_samples (dict, optional): Not read.
            mode (str): 'loss'.
        """
        if mode != 'loss':
            raise ValueError(
                f'{type(self).__name__} only trains; got mode={mode!r}. Leave val_cfg and test_cfg out of the stage.'
            )
        return self.loss(self.clips(inputs))

    def loss(self, clips: Tensor) -> dict[str, Tensor]:
        """Losses of clips (B, W, J, 3), as :meth:`clips` gives them."""
        raise NotImplementedError(f'{type(self).__name__} must say what its losses are')

    def clips(self, inputs: dict[str, Tensor]) -> Tensor:
        """Random views (B, W, J, 3) of a batch's clips, with canonical bone lengths.

        Raises:
            ValueError: Clips of another shape or joint set.
        """
        motion, kinematics = inputs['motion'], self.pose.kinematics
        if motion.ndim != 4 or motion.shape[-2] != kinematics.num_joints:
            raise ValueError(
                f'{type(self).__name__} takes clips (B, W, {kinematics.num_joints}, 3) of '
                f'{kinematics.skeleton.name!r}, got {tuple(motion.shape)}: set skeleton of MocapMotionDataset'
            )
        return kinematics.canonical(self.views(motion))

    def _window(self, clips: Tensor, frames: int) -> Tensor:
        """The first frames of clips, if they have as many."""
        if clips.shape[1] < frames:
            raise ValueError(
                f'{type(self).__name__} needs clips of {frames} frames, got {clips.shape[1]}: set frames={frames} in '
                'MocapMotionDataset'
            )
        return clips[:, :frames]


@MODELS.register_module()
class MotionEmbeddingTraining(MotionModel):
    """Trains a ``MotionAutoEncoder`` on sequences of the latents of a pose space that stands still.

    The loss is the mean squared error of the poses that it gives back, ``(FK(D_p(D_m(E_m(E_p(Y))))) - Y)^2``, in
    canonical units.

    Args:
        pose (dict): A trained ``PoseAAE``.
        motion (dict): Config of the network.
        frames (int): T.
        speeds (Sequence[int]): Frames from one frame of a motion to the next; each has an equal share of every batch,
            and clips must have T times the largest. The paper's text has 1 alone. Anchors of the slow replay are twice
            as fast, so that they would be foreign to the space: hence 1 and 2 (our choice).
        views (Mapping, optional): See :class:`MotionModel`.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: No frame or no speed.
    """

    def __init__(
        self,
        pose: dict,
        motion: dict,
        frames: int = 30,
        speeds: Sequence[int] = (1, 2),
        views: Mapping | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(pose, views, init_cfg)
        if frames < 1 or not speeds or min(speeds) < 1:
            raise ValueError(f'frames and speeds must be from 1 on, got {frames} and {list(speeds)}')
        self.pose.requires_grad_(False)
        self.motion = MODELS.build(motion)
        self.frames, self.speeds = frames, tuple(speeds)

    def loss(self, clips: Tensor) -> dict[str, Tensor]:
        """``loss_motion``, and ``latent_spread``, the standard deviation of the motion latents over the batch."""
        window = self._window(clips, self.frames * max(self.speeds))
        shares = window.tensor_split(len(self.speeds))
        motion = torch.cat([share[:, ::speed][:, : self.frames] for share, speed in zip(shares, self.speeds)])
        with torch.no_grad():
            z = self.pose.encode(motion)
        v, back = self.motion(z)
        error = (self.pose.pose(back) - motion).square().mean()
        return dict(loss_motion=error, latent_spread=v.detach().std(0, correction=0).mean())


@MODELS.register_module()
class RelationTraining(MotionModel):
    """Trains relation networks: the latent after a relation from the latent before it.

    A network of poses learns ``T(E_p(y)) = E_p(A(y))``, one of motions ``T(E_m(E_p(Y))) = E_m(E_p(A(Y)))``, by the mean
    squared error; spaces of poses and motions stand still. All relations are trained at once, each on every batch:
    they share no weights, so that one optimiser serves all.

    How far a relation moves latents is logged as ``distance_NAME``, the mean of ``|E(y) - E(A(y))|``: the paper's
    measure of how non-local it is.

    Args:
        pose (dict): A trained ``PoseAAE``.
        motion (dict): A trained ``MotionAutoEncoder``.
        relations (dict | Sequence[str]): A ``RelationNetworks``, or the names of its relations.
        frames (int): T.
        poses_per_clip (int): Frames of a clip that relations of poses learn from, drawn anew for each.
        target (str): What networks of poses are compared by: 'latent'; or 'pose', the poses that they stand for, as in
            the authors' code.
        views (Mapping, optional): See :class:`MotionModel`.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: An unknown target or relation, or numbers that do not fit.
    """

    def __init__(
        self,
        pose: dict,
        motion: dict,
        relations: dict | Sequence[str],
        frames: int = 30,
        poses_per_clip: int = 4,
        target: str = 'latent',
        views: Mapping | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(pose, views, init_cfg)
        if target not in TARGETS:
            raise ValueError(f'target must be one of {TARGETS}, got {target!r}')
        if frames < 1 or poses_per_clip < 1:
            raise ValueError(f'frames and poses_per_clip must be from 1 on, got {frames} and {poses_per_clip}')
        self.motion = MODELS.build(motion)
        for part in (self.pose, self.motion):
            part.requires_grad_(False)
        relations = relations if isinstance(relations, Mapping) else dict(relations=relations)
        sizes = dict(pose_dim=self.pose.latent, motion_dim=self.motion.dim, scale=self.pose.scale)
        self.relations = MODELS.build({'type': 'RelationNetworks', **sizes, **relations})
        for relation in self.relations.relations:
            relation.window(frames)  # refuses odd numbers now, not at the first batch
        self.frames, self.poses_per_clip, self.target = frames, poses_per_clip, target

    def loss(self, clips: Tensor) -> dict[str, Tensor]:
        """``loss_NAME`` and ``distance_NAME`` of each relation."""
        losses, flips = {}, self.pose.kinematics.skeleton.flip_indices
        picks = torch.randint(clips.shape[1], (len(clips), self.poses_per_clip), device=clips.device)
        rows = torch.arange(len(clips), device=clips.device)[:, None]
        poses = clips[rows, picks].flatten(0, 1)
        # anchors that relations have in common are embedded once, and all of a level in one pass
        shown: dict[str, dict] = dict(pose={}, motion={})
        for relation in self.relations.relations:
            if relation.level == 'pose':
                before, after = poses, poses
            else:
                window = self._window(clips, relation.window(self.frames))
                before, after = relation.anchor(window), relation.positive(window)
            shown[relation.level].setdefault(('before', relation.slow), before)
            shown[relation.level][relation.name] = relation.joints(after, flips)
        latents = {level: self._embedded(sets, level) for level, sets in shown.items()}
        for relation in self.relations.relations:
            key, of = key_of(relation.name), latents[relation.level]
            before, after = of['before', relation.slow], of[relation.name]
            got = self.relations.after(relation, before)
            if self.target == 'pose' and relation.level == 'pose':
                losses[f'loss_{key}'] = functional.mse_loss(self.pose.pose(got), shown['pose'][relation.name])
            else:
                losses[f'loss_{key}'] = functional.mse_loss(got, after)
            losses[f'distance_{key}'] = (after - before).norm(dim=-1).mean()
        return losses

    @torch.no_grad()
    def _embedded(self, sets: dict, level: str) -> dict:
        """Latents of sets of poses (N, J, 3) or motions (N, T, J, 3), under the same keys."""
        if not sets:
            return {}
        z = self.pose.encode(torch.cat(list(sets.values())))
        z = self.motion.encode(z) if level == 'motion' else z
        return dict(zip(sets, z.chunk(len(sets))))
