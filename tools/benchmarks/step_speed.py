"""Time of UDAPE's adaptation step against the bare networks, and against the authors' own step.

Prints medians and their ratios, all measured in one process, in turn. The step is everything between two batches:
views, style transfer, pseudo-labels, occlusion, losses, backward, optimiser and teacher. The bare time is a forward and
backward pass of the student on either domain, a forward pass of the teacher and the style network's passes.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

import mmposeda  # noqa: F401  (makes MMPose importable)
from mmposeda.models.heatmap_estimator import predict_heatmaps
from mmposeda.models.networks.adain import _decoder, _encoder
from mmposeda.registry import MODELS

JOINTS = 16


def parse_args():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--reference', help='clone of VisionLearningGroup/UDA_PoseEstimation to run beside ours')
    parser.add_argument('--depth', type=int, default=18, help='of the ResNet; the paper uses 101')
    parser.add_argument('--size', type=int, default=128, help='input side, pixels; the paper uses 256')
    parser.add_argument('--batch', type=int, default=16, help='samples per domain; the paper uses 32')
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--style', choices=('none', 'statistics', 'adain'), default='none')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser.parse_args()


def build(args):
    """UDAPE around MMPose's ResNet and deconvolution head, randomly initialised."""
    size, channels = args.size, 512 if args.depth < 50 else 2048
    codec = dict(type='MSRAHeatmap', input_size=(size, size), heatmap_size=(size // 4, size // 4), sigma=2)
    head = dict(type='HeatmapHead', in_channels=channels, out_channels=JOINTS, decoder=codec)
    head['loss'] = dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5)
    preprocessor = dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3)
    backbone = dict(type='ResNet', depth=args.depth)
    estimator = dict(type='TopdownPoseEstimator', data_preprocessor=preprocessor, backbone=backbone, head=head)
    style = None
    if args.style == 'statistics':
        style = dict(type='StatisticsStyleTransfer')
    elif args.style == 'adain':
        folder = Path(tempfile.mkdtemp())
        torch.save(_encoder().state_dict(), folder / 'encoder.pth')
        torch.save(_decoder().state_dict(), folder / 'decoder.pth')
        style = dict(
            type='AdaINStyleNet',
            encoder_weights=str(folder / 'encoder.pth'),
            decoder_weights=str(folder / 'decoder.pth'),
        )
    # Both directions in every step, so that the runs compare.
    model = MODELS.build(dict(type='UDAPE', estimator=estimator, style=style, s2t=1.0, t2s=1.0, mask_scope='batch'))
    return model.to(args.device).train()


def make_batch(args):
    """Random pictures and heatmaps on the device, as the preprocessor hands them over."""
    pictures = {d: torch.randn(args.batch, 3, args.size, args.size, device=args.device) for d in ('source', 'target')}
    samples = []
    for _ in range(args.batch):
        sample = PoseDataSample()
        side = args.size // 4
        sample.gt_fields = PixelData(heatmaps=torch.rand(JOINTS, side, side, device=args.device))
        sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, JOINTS, device=args.device))
        samples.append(sample)
    return dict(inputs=pictures, data_samples=dict(source=samples, target=[]))


def seconds(function, device):
    """Wall time of one call, with the device drained before and after."""
    if device == 'cuda':
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main():
    """Measure and print."""
    args = parse_args()
    init_default_scope('mmposeda')
    torch.manual_seed(0)
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

    contestants = {'step': step, 'bare': bare}
    if args.reference:
        from udape_reference import ReferenceStep

        reference = ReferenceStep(args.reference, model, batch, args.device)
        contestants['reference'] = reference
        print(reference.note)
    times = {name: [] for name in contestants}
    for round_ in range(args.repeats + 1):
        for name, function in contestants.items():
            elapsed = seconds(function, args.device)
            if round_:  # the first round warms up
                times[name].append(elapsed)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f'ResNet-{args.depth}, {args.size} px, {args.batch} + {args.batch}, style {args.style}, {args.device}')
    for name, value in medians.items():
        print(
            f'{name:10s} {1000 * value:8.1f} ms (min {1000 * min(times[name]):.1f}, max {1000 * max(times[name]):.1f})'
        )
    print(f'step / bare      {medians["step"] / medians["bare"]:.2f}')
    if args.reference:
        print(f'reference / step {medians["reference"] / medians["step"]:.2f}')


if __name__ == '__main__':
    main()
