"""First stage of non-local relation distillation: a space of poses in which every place is a plausible pose."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.dist import all_reduce
from mmengine.optim import OptimWrapperDict
from torch import Tensor

from mmposeda.registry import MODELS

from ..parallel import update_part
from .base import filled, without_sum
from .relation_pretraining import MotionModel

SPACES = ('pose', 'latent')
#: 'warm_up' ends when poses come back well enough; then the two sides take turns.
PHASES = ('warm_up', 'discriminator', 'generator')


@MODELS.register_module()
class PoseEmbeddingTraining(MotionModel):
    """Trains a ``PoseAAE`` on poses, against a discriminator of the poses that it makes of evenly drawn latents.

    An encoder and a decoder learn to give poses back, and latents ``z ~ U[-s, s]``:

    - ``rec``: mean absolute error of ``FK(D_p(E_p(y)))``, canonical units;
    - ``cyc``: mean absolute error of ``E_p(D_p(z))``;
    - ``adv``: ``sum_k |D_k(FK(D_p(z))) - 1|`` over the discriminator's logits, means over the batch.

    The discriminator minimises ``sum_k (|D_k(y) - 1| + |D_k(FK(D_p(z))) + 1|) / 2``. Three phases: in 'warm_up' ``rec``
    alone and the discriminator are both trained, until ``rec`` is below ``reconstruction_below``; then
    'discriminator', until it calls enough made-up and enough real poses right; then 'generator', ``100 (rec + cyc) + 5
    adv``, until enough made-up poses pass for real; and back. Shares are means over ``check_every`` iterations, looked
    at once in as many, so that no iteration waits for the device.

    Source: authors' code of non-local relation distillation (Kundu et al., NeurIPS 2021) for losses, factors and
    phases; the weights of the logits are not known and are 1. The authors update encoder and decoder in turn, by an
    optimiser each; here one optimiser has both, in one pass: ``adv`` does not reach the encoder either way. A phase
    that does not reach its goal ends after ``patience`` iterations (our choice): the authors' may last for ever.

    Args:
        pose (dict): A ``PoseAAE``.
        discriminator (dict, optional): Arguments of the discriminator.
        adv_space (str): 'pose'; or 'latent', the adversarial auto-encoder of the textbook: the discriminator tells
            ``E_p(y)`` from z, and ``adv`` is the encoder's (in the authors' code, unused).
        weights (Mapping[str, float], optional): Factors of ``rec``, ``cyc`` and ``adv``.
        reconstruction_below (float): End of the warm-up, canonical units.
        accuracies (Mapping[str, float], optional): Shares at which phases end: ``fake`` and ``real`` of the
            discriminator's, ``fooled`` of the generator's.
        check_every (int): Iterations between looks at the shares.
        patience (int): Most iterations of a phase, other than the warm-up.
        views (Mapping, optional): See :class:`MotionModel`.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Attributes:
        phase (str): One of :data:`PHASES`.

    Raises:
        ValueError: An unknown space, weight or share.
    """

    def __init__(
        self,
        pose: dict,
        discriminator: dict | None = None,
        adv_space: str = 'pose',
        weights: Mapping[str, float] | None = None,
        reconstruction_below: float = 0.05,
        accuracies: Mapping[str, float] | None = None,
        check_every: int = 20,
        patience: int = 1000,
        views: Mapping | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(pose, views, init_cfg)
        if adv_space not in SPACES:
            raise ValueError(f'adv_space must be one of {SPACES}, got {adv_space!r}')
        self.weights = filled('weights', weights, dict(rec=100.0, cyc=100.0, adv=5.0))
        self.accuracies = filled('accuracies', accuracies, dict(fake=0.65, real=0.8, fooled=0.6))
        if check_every < 1 or patience < 1:
            raise ValueError(f'check_every and patience must be from 1 on, got {check_every} and {patience}')
        kind = {'type': 'PosePartDiscriminator', 'skeleton': self.pose.kinematics.skeleton}
        if adv_space == 'latent':
            kind = {'type': 'LatentDiscriminator', 'latent': self.pose.latent}
        self.discriminator = MODELS.build({**kind, **(discriminator or {})})
        self.adv_space, self.reconstruction_below = adv_space, reconstruction_below
        self.check_every, self.patience = check_every, patience
        self.phase, self._steps, self._sums = 'warm_up', 0, None

    def forward(self, inputs: dict[str, Tensor], data_samples: dict | None = None, mode: str = 'loss'):
        """Refused: there are several losses an iteration, each for a part of the model."""
        raise RuntimeError(
            f'{type(self).__name__} makes its updates in train_step and only trains. Leave val_cfg and test_cfg out of '
            "the stage, and for several processes set model_wrapper_cfg=dict(type='PartParallel')"
        )

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """The update or updates of the phase.

        Args:
            data (dict): A batch of ``MocapMotionDataset``; every frame of a clip is a pose.
            optim_wrapper (OptimWrapperDict): Of ``pose`` and ``discriminator``: build it by
                ``PartOptimWrapperConstructor``.

        Returns:
            dict[str, Tensor]: Losses and shares to log.

        Raises:
            ValueError: A single optimiser.
        """
        if not isinstance(optim_wrapper, OptimWrapperDict):
            raise ValueError(
                f'{type(self).__name__} updates its parts one after another: set optim_wrapper to '
                "dict(constructor='PartOptimWrapperConstructor', pose=..., discriminator=...)"
            )
        data = self.data_preprocessor(data, True)
        poses = self.clips(data['inputs']).flatten(0, 1)
        drawn = (2 * torch.rand(len(poses), self.pose.latent, device=poses.device) - 1) * self.pose.scale
        logged = dict(phase=poses.new_tensor(float(PHASES.index(self.phase))))
        if self.phase != 'generator':
            logged.update(self._update_discriminator(poses, drawn, optim_wrapper['discriminator']))
        if self.phase != 'discriminator':
            logged.update(self._update_pose(poses, drawn, optim_wrapper['pose']))
        self._count(logged)
        return logged

    def rank_state(self) -> dict:
        """What a run must know to go on: phase, its iterations, and the sums of the shares so far."""
        sums = None if self._sums is None else {key: value.cpu() for key, value in self._sums.items()}
        return dict(phase=self.phase, steps=self._steps, sums=sums)

    def load_rank_state(self, state: dict) -> None:
        """Take up the state of :meth:`rank_state`."""
        self.phase, self._steps = state['phase'], state['steps']
        device = next(self.parameters()).device
        self._sums = state['sums'] and {key: value.to(device) for key, value in state['sums'].items()}

    def _update_discriminator(self, poses: Tensor, drawn: Tensor, optim_wrapper) -> dict[str, Tensor]:
        with optim_wrapper.optim_context(self):
            with torch.no_grad():
                real, fake = self._sides(poses, drawn)
            told, invented = self.discriminator(real), self.discriminator(fake)
            loss = ((told - 1).abs().mean(0) + (invented + 1).abs().mean(0)).sum() / 2
            shares = dict(disc_real=(told > 0).float().mean(), disc_fake=(invented < 0).float().mean())
            total, logged = self.parse_losses(dict(disc_loss_adv=loss, **shares))
        update_part(optim_wrapper, total)
        return without_sum(logged)

    def _update_pose(self, poses: Tensor, drawn: Tensor, optim_wrapper) -> dict[str, Tensor]:
        weights = self.weights
        with optim_wrapper.optim_context(self):
            z, back = self.pose(poses)
            rec = (back - poses).abs().mean()
            losses = dict(pose_loss_rec=weights['rec'] * rec, pose_rec=rec.detach())
            if self.phase == 'generator':
                made = self.pose.pose(drawn)
                losses['pose_loss_cyc'] = weights['cyc'] * (self.pose.encode(made) - drawn).abs().mean()
                judged = self.discriminator(made if self.adv_space == 'pose' else z)
                losses['pose_loss_adv'] = weights['adv'] * (judged - 1).abs().mean(0).sum()
                losses['pose_fooled'] = (judged > 0).float().mean()
            total, logged = self.parse_losses(losses)
        update_part(optim_wrapper, total)
        return without_sum(logged)

    def _sides(self, poses: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """What is real and what is made up, for the discriminator."""
        if self.adv_space == 'pose':
            return poses, self.pose.pose(drawn)
        return drawn, self.pose.encode(poses)

    @torch.no_grad()
    def _count(self, logged: dict[str, Tensor]) -> None:
        """Sum the shares of the phase; now and then look at them, and go on to the next phase."""
        names = dict(warm_up=('pose_rec',), discriminator=('disc_fake', 'disc_real'), generator=('pose_fooled',))
        # NonFiniteHook has fetched what is logged; without it the device is not waited for
        seen = {name: torch.as_tensor(logged[name]).detach() for name in names[self.phase]}
        self._sums = seen if self._sums is None else {name: self._sums[name] + x for name, x in seen.items()}
        self._steps += 1
        if self._steps % self.check_every:
            return
        means = torch.stack([self._sums[name] for name in names[self.phase]]) / self.check_every
        means = means.to(next(self.parameters()).device)
        all_reduce(means, 'mean')
        means, self._sums = means.tolist(), None
        if self.phase == 'warm_up':
            over = means[0] < self.reconstruction_below
        else:
            wanted = ('fake', 'real') if self.phase == 'discriminator' else ('fooled',)
            over = all(mean >= self.accuracies[name] for mean, name in zip(means, wanted))
            over |= self._steps >= self.patience
        if over:
            self.phase = 'generator' if self.phase == 'discriminator' else 'discriminator'
            self._steps = 0
