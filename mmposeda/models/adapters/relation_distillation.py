"""Non-local relation distillation: a picture's latent must change as the picture does (Kundu et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.optim import OptimWrapperDict
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.relations import Relation, centre_crop

from ..latent_head import LatentPoseHead
from ..losses.contrastive import info_nce
from ..networks.relation_networks import key_of
from ..parallel import update_part
from ..photometric import PhotometricChange
from .base import DomainAdapter, prefixed, without_sum

#: Losses that are not named by a relation.
POSE_CONTRAST, MOTION_CONTRAST, SOURCE = 'pose_contrast', 'motion_contrast', 'source'
#: What moves by default: the paper's Res-3 of a ResNet, and the stage of the same stride of others.
ADAPTED = dict(ResNet=('backbone.layer2',), EfficientNetLite=('backbone._blocks.3', 'backbone._blocks.4'))


@MODELS.register_module()
class RelationDistillation(DomainAdapter):
    """Adapts the backbone by unlabelled video: operate on pixels, then encode; or encode, then operate on latents.

    The spaces of poses and of motions stand still, and so do networks that know what an operation does in them. On
    clips of the target one loss an iteration is made smaller, in turn:

    - ``pose_contrast``: a frame's feature is nearer to that of the frame in other colours than to those of other clips'
      frames (:func:`~mmposeda.models.losses.contrastive.info_nce`);
    - ``motion_contrast``: the same of the motion latents of whole clips;
    - a relation of poses r, such as ``flip_inplane(50)``: ``mean |T_r(G(x)) - G(A_r(x))|`` over all frames;
    - a relation of motions r, such as ``flip_inplane_backward(50)`` or ``slow_backward``:
      ``mean |T_r(E_m(G(X))) - E_m(G(A_r(X)))|``;
    - ``source`` (semi-supervised): the estimator's own loss on labelled pictures.

    Which one an iteration makes smaller is what its batch says: samples of ``UnlabeledVideoDataset`` name the loss by
    their ``task``, and a ``TurnSampler`` lets the losses take turns. Batches without clips are for ``source``. Each
    loss has an optimiser of its own over the same weights: ``LossOptimWrapperConstructor`` asks :meth:`trained_by`.

    All parts of the estimator are in evaluation mode: with five kinds of pictures the running statistics would drift.
    Only ``adapt`` and the heads of the contrastive losses learn; the paper's ablation finds that otherwise a constant
    latent is soon found. ``spread``, the standard deviation of latents over a batch, is logged: it falls towards 0 in
    that case.

    Source: "Non-Local Latent Relation Distillation for Self-Adaptive 3D Human Pose Estimation", NeurIPS 2021, equations
    1 to 4 (1 with the minus sign that it lacks). The order of losses, temperature, rates and colours are those of the
    authors' code, which takes the first clip alone as an anchor; here every clip is one. Gradients do not enter the
    positives of motions, and do those of poses, as there.

    In several processes the clips that a contrastive loss tells apart are those of one process.

    Legend: B clips, W frames of a clip, T frames of a motion, L latent numbers.

    Args:
        estimator (dict): An estimator with a ``LatentPoseHead``.
        motion (dict): A trained ``MotionAutoEncoder``.
        relations (dict | Sequence[str]): A ``RelationNetworks``, trained, or the names of its relations.
        frames (int): T. Clips for ``slow_backward`` have 2 T, those for ``pose_contrast`` may have 1.
        size (int, optional): Side of the square about the crop's centre that the estimator sees, pixels: a margin
            around it fills the corners of turned pictures. None: all of the crop.
        adapt (Sequence[str], optional): Parts of the estimator that learn, as ``backbone.layer2``; an empty sequence
            is all of it but the frozen pose decoder. By default those of :data:`ADAPTED`.
        temperature (float): Of the contrastive losses.
        change (float): Share of frames whose colours change in relations; in contrasts all positives do.
        photometric (dict, optional): Arguments of :class:`~mmposeda.models.photometric.PhotometricChange`.
        stop_positive (Sequence[str]): Levels ('pose', 'motion') where gradients do not enter the positive.
        projection (dict, optional): Arguments of ``ProjectionHead``.
        kwargs: See :class:`DomainAdapter`.

    Raises:
        TypeError: An estimator without such a head, or a backbone whose adapted part is not known.
        ValueError: Parts that the estimator lacks or that cannot learn, an unknown level, or numbers out of range.
    """

    needed_domains = ('clip',)

    def __init__(
        self,
        estimator: dict,
        motion: dict,
        relations: dict | Sequence[str] = ('flip_inplane(50)', 'flip_inplane_backward(50)', 'slow_backward'),
        frames: int = 30,
        size: int | None = None,
        adapt: Sequence[str] | None = None,
        temperature: float = 0.07,
        change: float = 1 / 3,
        photometric: dict | None = None,
        stop_positive: Sequence[str] = ('motion',),
        projection: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(estimator, **kwargs)
        if not isinstance(self.student.head, LatentPoseHead):
            raise TypeError(
                f'{type(self).__name__} works on latents: it needs a LatentPoseHead, got '
                f'{type(self.student.head).__name__}'
            )
        if set(stop_positive) - {'pose', 'motion'}:
            raise ValueError(f"stop_positive holds 'pose', 'motion' or both, got {stop_positive!r}")
        if not 0 <= change <= 1:
            raise ValueError(f'change is a share and must lie in [0, 1], got {change}')
        if frames < 1:
            raise ValueError(f'frames must be from 1 on, got {frames}')
        if not temperature > 0:
            raise ValueError(f'temperature must be above 0, got {temperature}')
        self.motion = MODELS.build(motion)
        relations = relations if isinstance(relations, Mapping) else dict(relations=relations)
        sizes = dict(pose_dim=self.pose.latent, motion_dim=self.motion.dim, scale=self.pose.scale)
        self.relations = MODELS.build({'type': 'RelationNetworks', **sizes, **relations})
        for relation in self.relation_list:
            relation.window(frames)  # refuses odd numbers now, not at the first batch
        head = dict(type='ProjectionHead', **(projection or {}))
        width = self.student.head.first[0].out_features
        self.pose_projection = MODELS.build({**head, 'in_channels': width})
        self.motion_projection = MODELS.build({**head, 'in_channels': self.motion.dim})
        self.photometric = PhotometricChange(**(photometric or {}))
        self.frames, self.size, self.temperature, self.change = frames, size, temperature, change
        self.stop_positive = tuple(stop_positive)
        adapt = self._default_adapt() if adapt is None else adapt
        self._free(adapt)
        self.train(self.training)
        if not any(p.requires_grad for p in self.student.parameters()):
            raise ValueError(
                f'nothing of the estimator learns: adapt={list(adapt)} has no weights that are not fixed. Set '
                'frozen_stages of the backbone to -1, or name other parts'
            )

    @property
    def pose(self) -> nn.Module:
        """The space of poses: a ``PoseAAE``."""
        return self.student.head.pose

    @property
    def relation_list(self) -> list[Relation]:
        """The relations, in the order of the config."""
        return self.relations.relations

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of all losses: what samples may have as ``task``."""
        return (POSE_CONTRAST, MOTION_CONTRAST, *(r.name for r in self.relation_list), SOURCE)

    def train(self, mode: bool = True) -> RelationDistillation:
        """Set the mode of the contrastive heads; all else stays in evaluation mode."""
        super().train(mode)
        for name in ('student', 'motion', 'relations'):
            if name in self._modules:
                getattr(self, name).eval()
        return self

    def trained_by(self, loss: str) -> list[nn.Parameter]:
        """Weights that a loss changes.

        Raises:
            ValueError: No loss of this name.
        """
        if loss not in self.losses:
            raise ValueError(f'{type(self).__name__} has no loss {loss!r}; it has {", ".join(self.losses)}')
        own = {POSE_CONTRAST: self.pose_projection, MOTION_CONTRAST: self.motion_projection}.get(loss)
        shared = [p for p in self.student.parameters() if p.requires_grad]
        return shared + (list(own.parameters()) if own is not None else [])

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """The loss that the batch is for, and shares to log.

        Args:
            inputs (dict[str, Tensor]): Normalised clips ``clip`` (B, W, 3, h, w), or labelled pictures ``source``.
            data_samples (dict[str, list]): The samples; those of clips have a ``task``.

        Raises:
            ValueError: Samples for different losses, for none of the model's, or clips of too few frames.
        """
        if 'clip' not in inputs:
            cropped = centre_crop(inputs['source'], self.size)
            return prefixed('sup', self.student.loss(cropped, data_samples['source']))
        task, clips = self._task(data_samples['clip']), inputs['clip']
        if task == POSE_CONTRAST:
            return self._contrast(task, clips[:, :1])
        if task == MOTION_CONTRAST:
            return self._contrast(task, self._window(clips, self.frames, task))
        relation = next(r for r in self.relation_list if r.name == task)
        if relation.level == 'motion':
            clips = self._window(clips, relation.window(self.frames), task)
        return self._relate(relation, clips)

    def check_domains(self, inputs: dict[str, Tensor]) -> None:
        """Check that a batch has clips alone or labelled pictures alone.

        Raises:
            ValueError: It has anything else.
        """
        if set(inputs) not in ({'clip'}, {'source'}):
            raise ValueError(
                f'{type(self).__name__} takes batches of clips or of labelled pictures, got {", ".join(inputs)}: take '
                'turns by a TurnSampler over UnlabeledVideoDataset'
            )

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """One update by the optimiser of the loss that the batch is for.

        Args:
            data (dict): A batch of a ``TurnSampler``.
            optim_wrapper (OptimWrapperDict): One a loss: build it by ``LossOptimWrapperConstructor``.

        Returns:
            dict[str, Tensor]: Losses and shares to log.

        Raises:
            ValueError: A single optimiser, or none for this loss.
        """
        data = self.data_preprocessor(data, True)
        inputs, samples = data['inputs'], data['data_samples']
        self.check_domains(inputs)
        task = self._task(samples['clip']) if 'clip' in inputs else SOURCE
        if not isinstance(optim_wrapper, OptimWrapperDict) or task not in optim_wrapper:
            raise ValueError(
                f'no optimiser for the loss {task!r}: set optim_wrapper to '
                f"dict(constructor='LossOptimWrapperConstructor', ...) with all losses that samples are for"
            )
        wrapper = optim_wrapper[task]
        with wrapper.optim_context(self):
            total, logged = self.parse_losses(self.loss(inputs, samples))
        update_part(wrapper, total)
        return without_sum(logged)

    def latents(self, images: Tensor) -> Tensor:
        """Latents (B, L) of normalised pictures (B, 3, h, w) of the estimator's size."""
        return self.student.head(self.student.extract_feat(images))

    def seen(self, images: Tensor, relation: Relation | None = None, change: float = 0.0) -> Tensor:
        """What the estimator is shown of crops: after a relation, cut out, and some in other colours.

        Args:
            images (Tensor): Normalised crops (B, 3, h, w), with their margin.
            relation (Relation, optional): What happens to the pictures.
            change (float): Share whose colours change.

        Returns:
            Tensor: Normalised pictures (B, 3, size, size).
        """
        cut = relation.pixels(images, self.size) if relation is not None else centre_crop(images, self.size)
        if not change:
            return cut
        preprocessor = self.data_preprocessor
        return preprocessor.normalised(self.photometric(preprocessor.unit(cut), change))

    def _relate(self, relation: Relation, clips: Tensor) -> dict[str, Tensor]:
        key, count = key_of(relation.name), len(clips)
        anchors, positives = relation.anchor(clips).flatten(0, 1), relation.positive(clips).flatten(0, 1)
        before = self.latents(self.seen(anchors, change=self.change))
        with torch.set_grad_enabled(relation.level not in self.stop_positive):
            after = self.latents(self.seen(positives, relation, self.change))
            if relation.level == 'motion':
                after = self.motion.encode(after.unflatten(0, (count, -1)))
        spread = before.detach().std(0, correction=0).mean()
        if relation.level == 'motion':
            before = self.motion.encode(before.unflatten(0, (count, -1)))
        told = self.relations.after(relation, before)
        return {
            f'rel_loss_{key}': (told - after).abs().mean(),
            f'rel_distance_{key}': (after - before).detach().norm(dim=-1).mean(),
            'rel_spread': spread,
        }

    def _contrast(self, task: str, clips: Tensor) -> dict[str, Tensor]:
        shown = [self.seen(clips.flatten(0, 1), change=change) for change in (self.change, 1.0)]
        count = len(clips)
        if task == POSE_CONTRAST:
            sides = [self.pose_projection(self.student.head.features(self.student.extract_feat(x))[0]) for x in shown]
        else:
            sides = [
                self.motion_projection(self.motion.encode(self.latents(x).unflatten(0, (count, -1)))) for x in shown
            ]
        return {f'rel_loss_{task}': info_nce(*sides, self.temperature)}

    def _task(self, samples: list) -> str:
        tasks = {sample.metainfo.get('task') for sample in samples}
        task = next(iter(tasks))
        if len(tasks) != 1 or task not in self.losses[:-1]:
            raise ValueError(
                f'clips for {", ".join(map(str, tasks))} in a batch of {type(self).__name__}, expected one of '
                f'{", ".join(self.losses[:-1])}: set task in UnlabeledVideoDataset, and a TurnSampler'
            )
        return task

    def _window(self, clips: Tensor, frames: int, task: str) -> Tensor:
        if clips.shape[1] < frames:
            raise ValueError(
                f'clips for {task!r} need {frames} frames, got {clips.shape[1]}: set frames={frames} in the '
                'UnlabeledVideoDataset of this task'
            )
        return clips[:, :frames]

    def _default_adapt(self) -> Sequence[str]:
        kind = type(self.student.backbone).__name__
        if kind not in ADAPTED:
            raise TypeError(
                f'{type(self).__name__} knows which part of {", ".join(ADAPTED)} to adapt, not of {kind}: name it, for '
                "instance adapt=['backbone.stages.1']: a middle part, of stride 8"
            )
        return ADAPTED[kind]

    def _free(self, adapt: Sequence[str]) -> None:
        """Leave gradients to the adapted parts and the contrastive heads alone."""
        for part in (self.student, self.motion, self.relations):
            part.requires_grad_(False)
        for name in adapt or ('',):
            try:
                part = self.student.get_submodule(name)
            except AttributeError:
                known = ', '.join(n for n, _ in self.student.named_modules() if 0 < n.count('.') < 2)
                raise ValueError(f'adapt names {name!r}, which the estimator lacks; parts of it: {known}') from None
            part.requires_grad_(True)
        self.pose.requires_grad_(False)
