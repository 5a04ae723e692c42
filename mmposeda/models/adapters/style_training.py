"""Stage 0 of UDAPE: training the decoder of the style network."""

from __future__ import annotations

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmposeda.registry import MODELS

from ..data_preprocessor import DomainDataPreprocessor


@MODELS.register_module()
class StyleTraining(BaseModel):
    """Trains :class:`~mmposeda.models.networks.AdaINStyleNet`'s decoder on both domains (UDAPE code, ``adain/``).

    With even odds the source is the content and the target the style of a batch, or the other way round. A later stage
    takes the checkpoint by ``style=dict(..., decoder_weights='{style}')``.

    Args:
        style (dict): Config of a style network with ``loss(content, style, mean, std)``.
        data_preprocessor (dict): The estimator's preprocessor, so that both see pictures normalised alike.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        TypeError: The style network learns nothing (has no ``loss``).
    """

    def __init__(self, style: dict, data_preprocessor: dict, init_cfg: dict | None = None) -> None:
        super().__init__(DomainDataPreprocessor(data_preprocessor), init_cfg)
        self.style = MODELS.build(style)
        if not hasattr(self.style, 'loss'):
            raise TypeError(f'{type(self.style).__name__} has nothing to train: leave the stage out')

    def forward(self, inputs: dict[str, Tensor], data_samples: dict | None = None, mode: str = 'loss'):
        """Losses of the decoder; the networks predict nothing else.

        Args:
            inputs (dict[str, Tensor]): Normalised pictures (B, 3, h, w) of 'source' and 'target'.
            data_samples (dict, optional): Not read.
            mode (str): 'loss'.
        """
        if mode != 'loss':
            raise ValueError(
                f'StyleTraining only trains; got mode={mode!r}. Leave val_cfg and test_cfg out of the stage.'
            )
        content, style = inputs['source'], inputs['target']
        if torch.rand(()) < 0.5:
            content, style = style, content
        number = min(len(content), len(style))
        return self.style.loss(
            content[:number], style[:number], self.data_preprocessor.mean, self.data_preprocessor.std
        )
