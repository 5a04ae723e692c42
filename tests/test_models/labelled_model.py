"""A CC-SSL model with labels at hand, for the tests of the adapter and of labelling."""

import copy

import torch

from mmposeda.registry import MODELS


def build(estimator, pictures=8, **kwargs):
    """A model whose table holds labels at random places, the confidence of which rises with the picture's number."""
    torch.manual_seed(0)
    model = MODELS.build(dict(type='CCSSL', estimator=copy.deepcopy(estimator), **kwargs))
    labels = torch.rand(pictures, 3, 2) * torch.tensor([30.0, 16.0]) + 8
    confidence = torch.arange(3.0 * pictures).view(pictures, 3) / (3 * pictures)
    model.table.fill(labels, confidence, confidence > 0.5, 1)
    return model


def prepared(model, batch):
    return model.data_preprocessor(batch, True)
