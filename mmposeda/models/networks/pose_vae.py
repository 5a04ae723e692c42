"""Variational autoencoder of 2D poses, whose reconstruction error says how unusual a pose is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.pose2d import NORM_MODES, joints_first, normalize_joints_first

#: With fewer visible joints a pose has no score.
MIN_VISIBLE = 4
#: Poses at a time: as many a thread as keep activations in a core's cache, and as many as keep a GPU busy.
CPU_CHUNK, GPU_CHUNK = 1024, 1 << 17


@MODELS.register_module()
class PoseVAE(BaseModel):
    """Encoder and decoder of single 2D poses; poses that are rare in what it was trained on come back worst.

    Source: "Towards Effective Synthetic Data Sampling for Domain Adaptive Pose Estimation". From the paper: a VAE on
    flattened keypoints, trained with the squared error summed over joints plus a weighted Kullback-Leibler term, and
    the squared error alone as score. Our choice, as the paper gives no numbers: the normalisation, two layers of 256
    and 128 on either side with LayerNorm (a pose's score must not depend on its batch) and GELU, 8 latent numbers for
    bodies and 12 for hands, the weight 1e-3, log variances clamped to [-8, 8], visibility as further inputs, and the
    score from the mean latent without noise. The sum in the paper runs over one joint more than there are, which we
    take for a slip.

    A latent space that is nearly as large as a pose (2 K numbers) would let everything through, and the score would be
    noise.

    Legend: B poses, K joints, Z latent numbers; keypoints in pixels, of any one frame, and normalised here.

    Args:
        num_keypoints (int): K, at least 4.
        latent (int, optional): Z, below 2 K. None: 12 for the 21 joints of a hand, else 8 (or K if that is less).
        hidden (Sequence[int]): Widths of the encoder's layers; the decoder's are the same backwards.
        kl_weight (float): Weight of the Kullback-Leibler term, for normalised coordinates.
        norm_mode (str): 'bbox', 'root' or 'image', see :func:`~mmposeda.structures.pose2d.normalize_pose2d`.
        root (int | Sequence[int], optional): Root joint for ``norm_mode='root'``.
        joint_names (Sequence[str], optional): Names of the K joints, kept so that poses of others can be refused.

    Attributes:
        kl_ratio (float): Share of ``kl_weight`` in force; the training raises it from 0 to 1.

    Raises:
        ValueError: Sizes, joints or the mode do not fit.
    """

    def __init__(
        self,
        num_keypoints: int,
        latent: int | None = None,
        hidden: Sequence[int] = (256, 128),
        kl_weight: float = 1e-3,
        norm_mode: str = 'bbox',
        root: int | Sequence[int] | None = None,
        joint_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if latent is None:
            latent = 12 if num_keypoints == 21 else min(8, num_keypoints)
        root = [root] if isinstance(root, int) else list(root or ())
        self._check(num_keypoints, latent, hidden, kl_weight, norm_mode, root, joint_names)
        self.num_keypoints, self.latent, self.hidden = num_keypoints, latent, tuple(hidden)
        self.kl_weight, self.kl_ratio = kl_weight, 1.0
        self.norm_mode, self.root = norm_mode, tuple(root)
        self.joint_names = tuple(joint_names or ())
        self.encoder = _layers(3 * num_keypoints, *hidden)
        self.mean_head, self.logvar_head = nn.Linear(hidden[-1], latent), nn.Linear(hidden[-1], latent)
        self.decoder = _layers(latent, *hidden[::-1])
        self.decoder.append(nn.Linear(hidden[0], 2 * num_keypoints))

    @property
    def config(self) -> dict:
        """Arguments that build the same network, of plain Python types."""
        names = ('num_keypoints', 'latent', 'kl_weight', 'norm_mode')
        lists = {name: list(getattr(self, name)) for name in ('hidden', 'root', 'joint_names')}
        return {**{name: getattr(self, name) for name in names}, **lists}

    def forward(
        self,
        keypoints: Tensor,
        visible: Tensor,
        boxes: Tensor | None = None,
        mode: str = 'tensor',
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor] | tuple[Tensor, ...] | Tensor:
        """Losses, scores or reconstructions.

        Args:
            keypoints (Tensor): (B, K, 2).
            visible (Tensor): (B, K), above 0 where a joint is visible.
            boxes (Tensor, optional): (B, 4), x1, y1, x2, y2, for ``norm_mode='image'``.
            mode (str): 'loss', 'predict' or 'tensor'.
            generator (torch.Generator, optional): For the noise of ``loss``, on the network's device.

        Returns:
            For 'loss' a dict of ``loss_rec``, the squared error in normalised coordinates summed over visible joints,
            ``loss_kl``, weighted, and ``kl`` in nats, to be logged; means over the batch. For 'predict' the scores (B,)
            of :meth:`score`. For 'tensor' the reconstructions (B, K, 2) from the mean latent, normalised, and mean and
            log variance (B, Z).

        Raises:
            ValueError: Poses of another number of joints, no boxes where they are needed, or an unknown mode.
        """
        if mode == 'predict':
            return self.score(keypoints, visible, boxes)
        if mode not in ('loss', 'tensor'):
            raise ValueError(f"mode {mode!r} is unknown, expected 'loss', 'predict' or 'tensor'")
        points, seen = self._normalize(keypoints, visible, boxes)
        inputs, mask = _inputs(points, seen)
        features = self.encoder(inputs)
        mean, logvar = self.mean_head(features), self.logvar_head(features).clamp(-8, 8)
        if mode == 'tensor':
            return self.decoder(mean).view(-1, self.num_keypoints, 2), mean, logvar
        noise = torch.empty_like(mean).normal_(generator=generator)
        error = _squared_error(self.decoder(mean + (logvar / 2).exp() * noise), points, mask).mean()
        kl = gaussian_kl(mean, logvar).mean()
        return dict(loss_rec=error, loss_kl=self.kl_weight * self.kl_ratio * kl, kl=kl.detach())

    @torch.inference_mode()
    def score(self, y: Tensor, v: Tensor, boxes: Tensor | None = None, chunk: int | None = None) -> Tensor:
        """Squared error of reconstruction, summed over visible joints, times K / (number of visible joints).

        Always in float32, from the mean latent: two calls give the same, and what other poses are in the batch does not
        matter beyond rounding.

        Args:
            y (Tensor): (N, K, 2), on the network's device.
            v (Tensor): (N, K), above 0 where a joint is visible.
            boxes (Tensor, optional): (N, 4), for ``norm_mode='image'``.
            chunk (int, optional): Poses at a time in the network; None takes what suits the device.

        Returns:
            Tensor: (N,) in normalised units, NaN where fewer than 4 joints are visible.

        Raises:
            ValueError: Poses of another number of joints, or no boxes where they are needed.
        """
        scores = torch.empty(len(y), device=y.device)
        chunk = chunk or (CPU_CHUNK * torch.get_num_threads() if y.device.type == 'cpu' else GPU_CHUNK)
        rooms = {width: torch.empty(min(chunk, len(y)), width, device=y.device) for width in self.hidden}
        with torch.autocast(y.device.type, enabled=False):
            for start in range(0, len(y), 4 * chunk):  # what is small beside the network is done for more at once
                part = slice(start, start + 4 * chunk)
                points, seen = self._normalize(y[part], v[part], None if boxes is None else boxes[part])
                inputs, mask = _inputs(points, seen)
                answer = torch.cat([self._reconstruct(piece, rooms) for piece in inputs.contiguous().split(chunk)])
                count = mask.sum(0)
                factor = torch.where(count >= MIN_VISIBLE, self.num_keypoints / count, torch.nan)
                scores[part] = _squared_error(answer, points, mask) * factor
        return scores

    def _normalize(self, y: Tensor, v: Tensor, boxes: Tensor | None) -> tuple[Tensor, Tensor]:
        """Normalised poses (K, 2, B) and their visibility (K, 1, B)."""
        if y.shape[1] != self.num_keypoints:
            raise ValueError(f'this PoseVAE is of {self.num_keypoints} joints, got poses of {y.shape[1]}')
        points, seen = joints_first(y.float(), v)
        return normalize_joints_first(points, seen, self.norm_mode, boxes, self.root)[0], seen

    def _reconstruct(self, inputs: Tensor, rooms: dict[int, Tensor]) -> Tensor:
        """Decoder's answer (B, 2 K) from the mean latent, without new memory where that would cost half of the time."""
        latent = self.mean_head(_through(list(self.encoder), inputs, rooms))
        *layers, last = self.decoder
        return last(_through(layers, latent, rooms))

    @staticmethod
    def _check(joints, latent, hidden, kl_weight, norm_mode, root, joint_names) -> None:
        if joints < MIN_VISIBLE:
            raise ValueError(f'a pose VAE needs at least {MIN_VISIBLE} joints, got {joints}')
        if not 1 <= latent < 2 * joints:
            raise ValueError(
                f'latent={latent} must be at least 1 and below {2 * joints}, the numbers in a pose: it is a bottleneck'
            )
        if not hidden or min(hidden) < 1 or kl_weight < 0:
            raise ValueError(f'hidden={hidden} must be widths, at least one, and kl_weight={kl_weight} not negative')
        if norm_mode not in NORM_MODES:
            raise ValueError(f'norm_mode={norm_mode!r} is unknown, expected one of {", ".join(NORM_MODES)}')
        if norm_mode == 'root' and (not root or any(not 0 <= joint < joints for joint in root)):
            raise ValueError(f"norm_mode='root' needs root, one or several of the joints 0 to {joints - 1}, got {root}")
        if joint_names and len(joint_names) != joints:
            raise ValueError(f'{len(joint_names)} joint_names for {joints} joints: {", ".join(joint_names)}')


def gaussian_kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, exp(logvar)), (B, Z), from the standard normal: (B,) in nats."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).sum(1)


def _inputs(points: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """What the encoder takes of poses (K, 2, B), coordinates and then visibility, (B, 3 K); and the latter (K, B)."""
    mask = seen[:, 0].to(points)
    return torch.cat([points.flatten(0, 1), mask]).t(), mask


def _squared_error(flat: Tensor, points: Tensor, mask: Tensor) -> Tensor:
    """Sum over visible joints, (B,), of poses as the decoder gives them, (B, 2 K), against (K, 2, B)."""
    error = (flat.t().contiguous().view_as(points) - points) * mask[:, None]
    return error.flatten(0, 1).square().sum(0)


def _layers(*widths: int) -> nn.Sequential:
    layers = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.GELU()]
    return nn.Sequential(*layers)


def _through(layers: list[nn.Module], x: Tensor, rooms: dict[int, Tensor]) -> Tensor:
    """What :func:`_layers` gives of x; ``rooms`` holds memory of each width, for the products."""
    for linear, norm in zip(layers[::3], layers[1::3]):
        x = torch.addmm(linear.bias, x, linear.weight.t(), out=rooms[linear.out_features][: len(x)])
        x = torch.ops.aten.gelu_(norm(x))
    return x
