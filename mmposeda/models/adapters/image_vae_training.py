"""First stage of the causal intervention: training the autoencoder of pictures."""

from __future__ import annotations

import torch
from mmengine.model import BaseModel
from torch import Tensor

from mmposeda.registry import MODELS

from ..data_preprocessor import DomainDataPreprocessor


@MODELS.register_module()
class ImageVAETraining(BaseModel):
    """Trains an :class:`~mmposeda.models.networks.ImageVAE` on the pictures of both domains; labels are not read.

    A later stage takes its weights by ``vae=dict(..., init_cfg=dict(type='Pretrained', checkpoint='{vae}',
    prefix='vae.'))``.

    Args:
        vae (dict): Config of the network.
        data_preprocessor (dict): The estimator's preprocessor, so that both see the same colours.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(self, vae: dict, data_preprocessor: dict, init_cfg: dict | None = None) -> None:
        super().__init__(DomainDataPreprocessor(data_preprocessor), init_cfg)
        self.vae = MODELS.build(vae)

    def forward(self, inputs: dict[str, Tensor], data_samples: dict | None = None, mode: str = 'loss'):
        """Losses; the network predicts no poses.

        Args:
            inputs (dict[str, Tensor]): Normalised pictures (B, 3, h, w) by domain.
            data_samples (dict, optional): Not read.
            mode (str): 'loss'.
        """
        if mode != 'loss':
            raise ValueError(
                f'ImageVAETraining only trains; got mode={mode!r}. Leave val_cfg and test_cfg out of the stage.'
            )
        return self.vae.loss(torch.cat([self.data_preprocessor.unit(x) for x in inputs.values()]))
