"""Generative causal interventions: poses that keep their meaning whatever a picture looks like (Zhang et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor

from mmposeda.registry import MODELS

from ..losses.feature_gan import discriminator_loss, generator_loss
from ..modes import evaluating, untracked_statistics
from ..parallel import load_own_buffers, own_buffers, update_part
from .base import DomainAdapter, filled, prefixed, without_sum

PHASES = ('warm_up', 'causal')
NUISANCES = ('posterior', 'prior', 'mixed')
REAL_POOLS = ('both', 'source', 'unlabelled')
#: Factors of the losses: of the estimator, then of the generator (our choice: the paper's are not known).
WEIGHTS = dict(counterfactual=1.0, distance=0.1, pose=1.0, consistency=1.0)


@MODELS.register_module()
class CausalIntervention(DomainAdapter):
    """A generator tells the feature that a pose would have in another picture; the estimator learns from it.

    In one data set the look of a picture tells something of the pose. To intervene is to put another nuisance in place
    of a picture's own, drawn without regard to the pose: the latent that an autoencoder gives to some unlabelled
    picture. ``generator(nuisance, pose)`` answers with a feature, not a picture. An iteration of the phase 'causal'
    updates, in this order,

    1. the discriminator, on real features against generated ones;
    2. the generator: ``adv + pose L_F(head(g(u', y)), y) + consistency |g(u, y) - f(x)|``, u being the picture's own
       nuisance; the head stands still and in evaluation mode, but the gradient passes through it;
    3. the estimator: ``L_F(head(f(x)), y) + counterfactual L_F(head(g(u', y)), y) + distance |f(x) - g(u', y)|``, with
       generated features that have no gradient, from a generator in evaluation mode.

    ``L_F`` is the loss of the estimator's head. The phase 'warm_up' makes the first two alone. A prediction is the
    wrapped estimator's: autoencoder, generator and discriminator are not asked, and a plain checkpoint has none.

    The unlabelled half may be pictures of the target ("SD + TD"), or of one or several other data sets ("SD + UD",
    "SD + Multi-UDs"): the data sets of the config say which.

    Source: "Learning Causal Representation for Training Cross-Domain Pose Estimator via Generative Interventions", ICCV
    2021. Networks and the estimator's objective are the paper's; of the generator's losses, all weights, where the
    nuisance comes from and the order of updates nothing could be found, and they are our choice. The pose goes to the
    generator as the head has it, places in the crop's volume, centred and stretched to [-1, 1]: the feature is of a
    crop, so it must be told where in the crop the pose is.

    Legend: n labelled and m unlabelled pictures, K joints, Z latent numbers, d features.

    Args:
        estimator (dict): An estimator whose neck is a ``FeatureNeck`` and whose head takes its vector and has
            ``labels``: a ``VolumetricIntegralHead``.
        vae (dict): An ``ImageVAE``, trained before by ``ImageVAETraining``. It never changes.
        generator (dict, optional): Arguments of ``FeatureGenerator`` other than its sizes.
        discriminator (dict, optional): Arguments of ``FeatureDiscriminator`` other than its sizes.
        phase (str): 'warm_up': the estimator stands still; 'causal'.
        weights (Mapping[str, float], optional): Factors of the losses, merged over :data:`WEIGHTS`.
        u_source (str): Where nuisances are drawn. 'posterior': from the autoencoder's posterior of unlabelled pictures;
            'prior': from the unit normal ("random noise" in the paper's figure), where pictures count through the
            discriminator alone; 'mixed': either, with even odds for each sample.
        real_pool (str): Real features for the discriminator: 'both', 'source' or 'unlabelled'.
        cond_pose (bool): The discriminator sees the pose too; then ``real_pool`` must be 'source'.
        refresh_generator (bool): Steps 1 and 2 go on in the phase 'causal'. Otherwise the generator imitates the
            features of the beginning.
        target_statistics (bool): Unlabelled pictures move the running statistics of the estimator's batch
            normalisation too.
        kwargs: See :class:`DomainAdapter`.

    Raises:
        TypeError: An estimator without such neck and head.
        ValueError: An unknown phase, source of nuisances, pool or weight, or features of different sizes.
    """

    needed_domains = ('source', 'target')

    def __init__(
        self,
        estimator: dict,
        vae: dict,
        generator: dict | None = None,
        discriminator: dict | None = None,
        phase: str = 'causal',
        weights: Mapping[str, float] | None = None,
        u_source: str = 'posterior',
        real_pool: str = 'both',
        cond_pose: bool = False,
        refresh_generator: bool = True,
        target_statistics: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(estimator, **kwargs)
        for name, value, known in (
            ('phase', phase, PHASES),
            ('u_source', u_source, NUISANCES),
            ('real_pool', real_pool, REAL_POOLS),
        ):
            if value not in known:
                raise ValueError(f'{name} must be one of {known}, got {value!r}')
        if cond_pose and real_pool != 'source':
            raise ValueError("cond_pose=True wants real_pool='source': the pose of unlabelled pictures is not known")
        dim, pose_dim = self._sizes()
        self.vae = MODELS.build(vae)
        self.vae.requires_grad_(False)
        sizes = dict(pose_dim=pose_dim, dim=dim)
        self.generator = MODELS.build(
            {'type': 'FeatureGenerator', **(generator or {}), **sizes, 'latent': self.vae.latent}
        )
        sizes['pose_dim'] = pose_dim if cond_pose else 0
        self.discriminator = MODELS.build({'type': 'FeatureDiscriminator', **(discriminator or {}), **sizes})
        self.phase, self.weights = phase, filled('weights', weights, WEIGHTS)
        self.u_source, self.real_pool, self.cond_pose = u_source, real_pool, cond_pose
        self.refresh_generator, self.target_statistics = refresh_generator, target_statistics
        if phase == 'warm_up':
            self.student.requires_grad_(False)
        elif not refresh_generator:
            self.generator.requires_grad_(False)
            self.discriminator.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> CausalIntervention:
        """Set the mode of what is trained; the autoencoder stays in evaluation mode."""
        super().train(mode)
        if 'vae' in self._modules:
            self.vae.eval()
        return self

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list]) -> dict[str, Tensor]:
        """Refused: there are several losses an iteration, each for a part of the model."""
        raise RuntimeError(
            f'{type(self).__name__} makes its updates in train_step and has no single loss. For several processes set '
            "model_wrapper_cfg=dict(type='PartParallel')"
        )

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """All updates of an iteration.

        Args:
            data (dict): A batch of labelled source and unlabelled target.
            optim_wrapper (OptimWrapperDict): Of ``generator`` and ``discriminator`` where they learn, and of
                ``student`` in the phase 'causal': build it by ``PartOptimWrapperConstructor``.

        Returns:
            dict[str, Tensor]: Losses and shares to log.

        Raises:
            ValueError: A batch without one of the domains, or a single optimiser.
        """
        if not isinstance(optim_wrapper, OptimWrapperDict):
            raise ValueError(
                f'{type(self).__name__} updates its parts one after another: set optim_wrapper to '
                "dict(constructor='PartOptimWrapperConstructor', generator=..., discriminator=..., student=...)"
            )
        data = self.data_preprocessor(data, True)
        inputs, samples = data['inputs'], data['data_samples']
        self.check_domains(inputs)
        causal = self.phase == 'causal'
        with optim_wrapper['student' if causal else 'generator'].optim_context(self):
            real = self._real_features(inputs)
            pose = self.pose_of(samples['source'])
            own, drawn = self._nuisances(inputs, len(pose))
        logged = {}
        if not causal or self.refresh_generator:
            logged.update(self._update_discriminator(real, drawn, pose, optim_wrapper['discriminator']))
            logged.update(self._update_generator(real[0], own, drawn, pose, samples, optim_wrapper['generator']))
        if causal:
            logged.update(self._update_student(real[0], drawn, pose, samples, optim_wrapper['student']))
        return logged

    def features(self, images: Tensor) -> Tensor:
        """Feature vectors (B, d) of normalised pictures (B, 3, h, w)."""
        return self.student.extract_feat(images)[-1]

    def pose_of(self, samples: list) -> Tensor:
        """What the generator is told of labelled samples: their places in the volume, (B, 3 K) in [-1, 1].

        Joints without a label are put into the middle.
        """
        places, weights = self.student.head.labels(samples)
        return ((2 * places - 1) * weights[..., None]).flatten(1)

    def nuisance(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (B, Z) of what the autoencoder sees in normalised pictures (B, 3, h, w)."""
        with torch.no_grad():
            return self.vae.encode(self.data_preprocessor.unit(images))

    @torch.no_grad()
    def counterfactuals(self, nuisances: Tensor, pose: Tensor) -> Tensor:
        """Features of every pose under every nuisance, without dropout.

        Args:
            nuisances (Tensor): (m, Z).
            pose (Tensor): (n, 3 K), as :meth:`pose_of` gives it.

        Returns:
            Tensor: (n, m, d).
        """
        n, m = len(pose), len(nuisances)
        with evaluating(self.generator):
            flat = self.generator(nuisances.repeat(n, 1), pose.repeat_interleave(m, 0))
        return flat.unflatten(0, (n, m))

    def rank_state(self) -> dict:
        """What each of several processes keeps of its own: its batch statistics."""
        return own_buffers(self)  # head and generator are asked by them

    def load_rank_state(self, state: dict) -> None:
        """Take up the state of :meth:`rank_state`."""
        load_own_buffers(self, state)

    def _sizes(self) -> tuple[int, int]:
        """Features d, and numbers of a pose."""
        neck, head = getattr(self.student, 'neck', None), getattr(self.student, 'head', None)
        if not hasattr(neck, 'dim') or not (hasattr(head, 'labels') and hasattr(head, 'dim')):
            raise TypeError(
                f'{type(self).__name__} generates feature vectors: it needs a FeatureNeck and a head that takes its '
                f'vector, such as VolumetricIntegralHead; got {type(neck).__name__} and {type(head).__name__}'
            )
        if neck.dim != head.dim:
            raise ValueError(f'the neck gives {neck.dim} features and the head takes {head.dim}: make them equal')
        return neck.dim, 3 * head.skeleton.num_joints

    def _real_features(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features of labelled pictures, with their graph where the estimator learns, and of unlabelled ones."""
        learns = self.phase == 'causal'
        with torch.set_grad_enabled(learns), untracked_statistics(*([] if learns else [self.student])):
            source = self.features(inputs['source'])
        tracked = learns and self.target_statistics
        with torch.no_grad(), untracked_statistics(*([] if tracked else [self.student])):
            return source, self.features(inputs['target'])

    @torch.no_grad()
    def _nuisances(self, inputs: dict[str, Tensor], number: int) -> tuple[Tensor, Tensor]:
        """Own nuisances of the labelled pictures, and as many of the intervention, (n, Z) each."""
        own, _ = self.nuisance(inputs['source'])
        noise = torch.randn_like(own)
        if self.u_source == 'prior':
            return own, noise
        mean, logvar = self.nuisance(inputs['target'])
        # in an order of their own: whatever puts the two halves of a batch side by side, they are independent
        rows = torch.randperm(len(mean), device=mean.device)[torch.arange(number, device=mean.device) % len(mean)]
        drawn = self.vae.reparameterize(mean[rows], logvar[rows], noise)
        if self.u_source == 'mixed':
            drawn = torch.where(torch.rand_like(noise[:, :1]) < 0.5, noise, drawn)
        return own, drawn

    def _update_discriminator(
        self, real: tuple[Tensor, Tensor], drawn: Tensor, pose: Tensor, optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        with optim_wrapper.optim_context(self):
            with torch.no_grad(), untracked_statistics(self.generator):
                fake = self.generator(drawn, pose)
            picked = {'both': real, 'source': real[:1], 'unlabelled': real[1:]}[self.real_pool]
            told = [self._judge(x.detach(), pose) for x in picked]
            invented = self._judge(fake, pose)
            right = sum((x > 0).float().mean() for x in told) / len(told) + (invented <= 0).float().mean()
            losses = dict(disc_loss_adv=discriminator_loss(told, invented), disc_accuracy=right / 2)
            total, logged = self.parse_losses(losses)
        update_part(optim_wrapper, total)
        return without_sum(logged)

    def _update_generator(
        self, source: Tensor, own: Tensor, drawn: Tensor, pose: Tensor, samples: dict, optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        weights = self.weights
        with optim_wrapper.optim_context(self):
            fake = self.generator(drawn, pose)
            losses = dict(gen_loss_adv=generator_loss(self._judge(fake, pose)))
            if weights['pose']:
                with evaluating(self.student.head):
                    losses.update(self._head_losses('gen', fake, samples, weights['pose']))
            if weights['consistency']:
                # the running statistics are for drawn nuisances, which the estimator is taught with
                with untracked_statistics(self.generator):
                    mine = self.generator(own, pose)
                losses['gen_loss_consistency'] = weights['consistency'] * _distance(mine, source.detach())
            total, logged = self.parse_losses(losses)
        update_part(optim_wrapper, total)
        return without_sum(logged)

    def _update_student(
        self, source: Tensor, drawn: Tensor, pose: Tensor, samples: dict, optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        weights = self.weights
        with optim_wrapper.optim_context(self):
            losses = self._head_losses('sup', source, samples)
            if weights['counterfactual'] or weights['distance']:
                with torch.no_grad(), evaluating(self.generator):
                    fake = self.generator(drawn, pose)
                losses['causal_spread'] = fake.std(0).mean()
            if weights['counterfactual']:
                # generated features are normalised by themselves; tests will bring real ones
                with untracked_statistics(self.student.head):
                    losses.update(self._head_losses('causal', fake, samples, weights['counterfactual']))
            if weights['distance']:
                losses['causal_loss_distance'] = weights['distance'] * _distance(source, fake)
            losses['causal_saturated'] = (source.detach().abs() > 0.99).float().mean()
            total, logged = self.parse_losses(losses)
        update_part(optim_wrapper, total)
        return without_sum(logged)

    def _head_losses(self, prefix: str, features: Tensor, samples: dict, weight: float = 1.0) -> dict[str, Tensor]:
        losses = prefixed(prefix, self.student.head.loss((features,), samples['source']))
        return {key: weight * value if 'loss' in key else value for key, value in losses.items()}

    def _judge(self, features: Tensor, pose: Tensor) -> Tensor:
        return self.discriminator(features, pose if self.cond_pose else None)


def _distance(features: Tensor, others: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (features.float() - others.float()).abs().mean()
