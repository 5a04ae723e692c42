"""The space of motions of non-local relation distillation: an auto-encoder of sequences of pose latents."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import at_least_float32

from .mlp import bounded, check_last, check_scale, he_init

DECODER_INPUTS = ('repeat', 'zeros')
_STACKED, _WAYS = 2, 2


class TrainingLSTM(nn.LSTM):
    """An LSTM that stays in training mode.

    cuDNN refuses the way back through an LSTM in evaluation mode, but gradients must pass a frozen motion encoder to
    what is before it. With no dropout inside both modes give the same values; what freezes it is ``requires_grad``.
    """

    def train(self, mode: bool = True) -> TrainingLSTM:
        """Training mode, whatever is asked for."""
        return super().train(True)


@MODELS.register_module()
class MotionAutoEncoder(BaseModule):
    """Sequences of pose latents to one motion latent in [-s, s] and back.

    Encoder: two stacked bidirectional LSTMs; the last states of the upper one, of both directions, and a linear layer.
    Decoder: the same LSTMs, whose states all begin as the motion latent, and a linear layer for every frame. Both end
    in ``s tanh(a / s)``. The LSTMs run in float32, under automatic mixed precision too: they are small, and
    their errors would add up over the frames. They stay in training mode, see :class:`TrainingLSTM`.

    Source: non-local relation distillation (Kundu et al., NeurIPS 2021), supplementary. With the defaults 594,048
    weights in the encoder and 667,680 in the decoder. Directions meet between the layers; in the authors' code they are
    two networks apart.

    Legend: B sequences, T frames (30 in the paper, any number here), L numbers of a pose latent, s scale.

    Args:
        latent (int): L.
        dim (int): Numbers of the motion latent, and width of the decoder's states, which begin as it.
        hidden (int): Width of the encoder's states.
        decoder_input (str): What the decoder reads at each frame: 'repeat' for the motion latent, as in the authors'
            code, or 'zeros' for nothing, as the text of the paper has it.
        scale (float): s, also of the pose latents.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Attributes:
        encoder, decoder (nn.ModuleDict): ``lstm`` and ``out`` of both ways.
        latent (int), dim (int), scale (float): L, numbers of the motion latent, s.

    Raises:
        ValueError: Unknown ``decoder_input``, or numbers out of range.
    """

    def __init__(
        self,
        latent: int = 32,
        dim: int = 128,
        hidden: int = 128,
        decoder_input: str = 'repeat',
        scale: float = 1.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if decoder_input not in DECODER_INPUTS:
            raise ValueError(f'decoder_input must be one of {DECODER_INPUTS}, got {decoder_input!r}')
        if min(latent, dim, hidden) < 1:
            raise ValueError(f'latent, dim and hidden must be 1 at least, got {latent}, {dim}, {hidden}')
        self.latent, self.dim, self.scale = latent, dim, check_scale(scale)
        self.decoder_input = decoder_input
        self.encoder, self.decoder = (
            nn.ModuleDict(
                dict(
                    lstm=TrainingLSTM(inputs, width, _STACKED, batch_first=True, bidirectional=True),
                    out=he_init(nn.Linear(_WAYS * width, outputs)),
                )
            )
            for inputs, width, outputs in (
                (latent, hidden, dim),
                (dim if decoder_input == 'repeat' else 1, dim, latent),
            )
        )

    def encode(self, z: Tensor) -> Tensor:
        """Motion latents (B, dim) of sequences of pose latents (B, T, L).

        Raises:
            ValueError: Another shape, or no frame.
        """
        check_last(z, self.latent, 'sequences of pose latents')
        if z.ndim != 3 or not z.shape[1]:
            raise ValueError(f'expected sequences of pose latents (B, T, {self.latent}), got {tuple(z.shape)}')
        z = at_least_float32(z)
        with torch.autocast(z.device.type, enabled=False):
            _, (last, _) = self.encoder.lstm(z)
            return bounded(self.encoder.out(torch.cat([last[-2], last[-1]], 1)), self.scale)

    def decode(self, v: Tensor, frames: int) -> Tensor:
        """Sequences of pose latents (B, ``frames``, L) of motion latents (B, dim).

        Raises:
            ValueError: Another shape, or no frame.
        """
        check_last(v, self.dim, 'motion latents')
        if v.ndim != 2 or frames < 1:
            raise ValueError(
                f'expected motion latents (B, {self.dim}) and 1 frame at least, got {tuple(v.shape)}, {frames}'
            )
        v = at_least_float32(v)
        state = v.expand(_STACKED * _WAYS, -1, -1).contiguous()
        given = v[:, None].expand(-1, frames, -1) if self.decoder_input == 'repeat' else v.new_zeros(len(v), frames, 1)
        with torch.autocast(v.device.type, enabled=False):
            hidden, _ = self.decoder.lstm(given, (state, state))
            return bounded(self.decoder.out(hidden), self.scale)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Motion latents (B, dim) of sequences (B, T, L), and the sequences (B, T, L) that these decode to."""
        v = self.encode(z)
        return v, self.decode(v, z.shape[1])
