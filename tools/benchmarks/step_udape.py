"""UDAPE's adaptation step: views, style transfer, pseudo-labels, occlusion, losses, backward, optimiser and teacher.

The bare time is a forward and backward pass of the student on either domain, a forward pass of the teacher and the
style network's passes.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

import torch
from mmengine.optim import OptimWrapper
from step_common import Contest, estimator, labelled_samples

from mmposeda.models.heatmap_estimator import predict_heatmaps
from mmposeda.models.networks.adain import _decoder, _encoder
from mmposeda.registry import MODELS


def build(args: Namespace) -> torch.nn.Module:
    """UDAPE around the network, with transfer in both directions in every step, so that the runs compare."""
    network = estimator(args, loss=dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5))
    with tempfile.TemporaryDirectory() as folder:
        config = dict(type='UDAPE', estimator=network, style=style(args, folder), s2t=1.0, t2s=1.0, mask_scope='batch')
        model = MODELS.build(config)
    return model.to(args.device).train()


def style(args: Namespace, folder: str) -> dict | None:
    """Config of the style network, with random weights in a folder where it wants files."""
    if args.style == 'none':
        return None
    if args.style == 'statistics':
        return dict(type='StatisticsStyleTransfer')
    files = dict(encoder_weights=Path(folder, 'encoder.pth'), decoder_weights=Path(folder, 'decoder.pth'))
    for file, network in zip(files.values(), (_encoder(), _decoder())):
        torch.save(network.state_dict(), file)
    return dict(type='AdaINStyleNet', **{name: str(file) for name, file in files.items()})


def make_batch(args: Namespace) -> dict:
    """Random pictures and heatmaps on the device, as the preprocessor hands them over."""
    pictures = {d: torch.randn(args.batch, 3, args.size, args.size, device=args.device) for d in ('source', 'target')}
    return dict(inputs=pictures, data_samples=dict(source=labelled_samples(args), target=[]))


def contest(args: Namespace) -> Contest:
    """Get everything ready."""
    model, batch = build(args), make_batch(args)
    wrapper = OptimWrapper(torch.optim.Adam(model.student.parameters(), 1e-4))
    source, target = batch['inputs']['source'], batch['inputs']['target']

    def step():
        losses, _ = model.parse_losses(model(**batch, mode='loss'))
        wrapper.update_params(losses)
        model.update_teacher()

    def bare():
        if args.style == 'adain':
            with torch.no_grad():
                for pair in ((source, target), (target, source)):
                    model.style.stylize(*pair, 0.5, model.data_preprocessor.mean, model.data_preprocessor.std)
        with torch.no_grad():
            predict_heatmaps(model.teacher, target)
        out = predict_heatmaps(model.student, source).square().mean()
        (out + predict_heatmaps(model.student, target).square().mean()).backward()
        model.student.zero_grad()

    if not args.reference:
        return Contest(step, bare)
    from udape_reference import ReferenceStep

    reference = ReferenceStep(args.reference, model, batch, args.device)
    return Contest(step, bare, reference, reference.note)
