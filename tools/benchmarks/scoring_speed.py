"""Poses a second that a pose VAE scores, against the bare matrix products of its layers.

Goal: a million a second on two cores. Printed are the best and the median of many short rounds, in turn: the products
alone, the network (products, LayerNorm, GELU), the whole score (normalisation, network, errors), and the rate of
score_poses on a large array. Other work on the machine slows the median; the best is what the machine can do, and the
processor time of a pose is disturbed less than its wall time.

Example:
    python tools/benchmarks/scoring_speed.py --threads 2
"""

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import mmposeda  # noqa: F401  (makes MMPose importable)
from mmposeda.datasets.difficulty import PoseArray
from mmposeda.engine.difficulty import score_poses
from mmposeda.models.networks.pose_vae import CPU_CHUNK, GPU_CHUNK, PoseVAE

GOAL = 1e6


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--joints', type=int, default=16)
    parser.add_argument('--poses', type=int, default=1_000_000, help='size of the large array; 0 leaves it out')
    parser.add_argument('--rounds', type=int, default=300, help='of four chunks each')
    parser.add_argument('--chunk', type=int, help='poses at a time (default: as score_poses takes)')
    parser.add_argument('--threads', type=int, help='of torch (default: as torch takes)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    return parser.parse_args(argv)


def random_poses(count, joints):
    """Poses of people of all sizes, one joint in twenty invisible."""
    rng = np.random.default_rng(0)
    keypoints = rng.random((count, joints, 2), np.float32) * 200
    visible = (rng.random((count, joints), np.float32) > 0.05).astype(np.float32)
    boxes = np.concatenate([keypoints.min(1), keypoints.max(1)], 1)
    return PoseArray(np.arange(count), keypoints, visible, boxes)


def contestants(vae, poses, device, chunk):
    """Name -> function, on all poses; and the operations of a pose in the products."""
    y, v, _ = (torch.from_numpy(values).to(device) for values in poses[1:])
    pieces = torch.randn(len(y), 3 * vae.num_keypoints, device=device).split(chunk)
    modules = (*vae.encoder, vae.mean_head, *vae.decoder)
    layers = [module for module in modules if isinstance(module, nn.Linear)]

    def products():
        for piece in pieces:
            for layer in layers:
                piece = F.linear(piece, layer.weight, layer.bias)

    def network():
        for piece in pieces:
            vae.decoder(vae.mean_head(vae.encoder(piece)))

    functions = dict(products=products, network=network, score=lambda: vae.score(y, v, chunk=chunk))
    return functions, sum(2 * layer.weight.numel() for layer in layers)


def seconds(function, device):
    """Wall time of one call, with the device drained before and after."""
    if device != 'cpu':
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device != 'cpu':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main(argv=None):
    """Measure and print."""
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    chunk = args.chunk or (CPU_CHUNK * torch.get_num_threads() if args.device == 'cpu' else GPU_CHUNK)
    torch.manual_seed(0)
    vae = PoseVAE(args.joints).to(args.device).eval()
    count = 4 * chunk  # what is normalised at once
    functions, operations = contestants(vae, random_poses(count, args.joints), args.device, chunk)
    times = {name: [] for name in functions}
    with torch.inference_mode():
        for round_ in range(args.rounds + 3):
            for name, function in functions.items():
                elapsed = seconds(function, args.device) / count
                if round_ > 2:  # the first rounds warm up
                    times[name].append(elapsed)
    print(f'{args.joints} joints, chunks of {chunk}, {torch.get_num_threads()} thread(s), {args.device}')
    best = {name: min(values) for name, values in times.items()}
    for name, values in times.items():
        median = statistics.median(values)
        print(
            f'{name:9s} best {1e6 * best[name]:6.3f} us a pose ({1e-6 / best[name]:.2f} M/s), median '
            f'{1e6 * median:6.3f} us'
        )
    print(f'products  {operations / best["products"] / 1e9:.0f} GFLOP/s')
    print(
        f'network / products {best["network"] / best["products"]:.2f}, score / network '
        f'{best["score"] / best["network"]:.2f}, score / products {best["score"] / best["products"]:.2f}'
    )
    if args.poses:
        poses = random_poses(args.poses, args.joints)
        score_poses(vae, poses, args.chunk)
        used = time.process_time()
        rate = args.poses / seconds(lambda: score_poses(vae, poses, args.chunk), args.device)
        used = (time.process_time() - used) / args.poses
        print(
            f'score_poses on {args.poses} poses: {rate / 1e6:.2f} M/s, goal {GOAL / 1e6:.0f} M/s; {1e6 * used:.2f} us '
            'of processor time a pose'
        )


if __name__ == '__main__':
    main()
