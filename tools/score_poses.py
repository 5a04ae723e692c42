"""Score the poses of a data set by how hard they are for a VAE trained on them, and cut them into bins of equal size.

Example:
    python tools/score_poses.py configs/udape/surreal2lsp/udape_res101_1xb32-35k_surreal2lsp-256x256.py \
        --out data/surreal_scores.npz
    python tools/score_poses.py CONFIG --loader val --vae data/surreal_scores.vae.pth --out data/lsp_scores.npz
    python tools/score_poses.py --array keypoints.npz --out scores.npz

The VAE is written beside the scores (scores.vae.pth). For an analysis of a validation set by difficulty, score it with
the VAE of the source (--vae). Such bins are made from labels and must not steer a training.
"""

import argparse
import os.path as osp

import numpy as np
import torch
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.utils import ProgressBar, Timer

import mmposeda  # noqa: F401  (makes MMPose importable)
from mmposeda.datasets.difficulty import load_pose_array, read_poses
from mmposeda.engine.difficulty import (
    examine_pose_vae,
    rate_poses,
    size_correlation,
    support_correlation,
    train_pose_vae,
)
from mmposeda.engine.failures import one_line
from mmposeda.engine.pose_vae_file import check_joints, joint_names, load_pose_vae, save_pose_vae, vae_path
from mmposeda.engine.stages import StageError, stage_config, stage_names
from mmposeda.registry import DATASETS
from mmposeda.structures.pose2d import NORM_MODES

# options that shape the VAE, and what they are called there
NETWORK = dict(latent='latent', kl_weight='kl_weight', root='root')
TRAINING = ('epochs', 'max_steps', 'min_steps', 'batch_size', 'lr', 'rotation', 'seed')


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', nargs='?', help='config with the data set')
    add(
        '--array', metavar='FILE', help='npz of keypoints (N, K, 2) and if wanted visible, ids, boxes; or npy (N, K, 3)'
    )
    add('--out', required=True, metavar='FILE.npz', help='score file to write')
    add('--loader', choices=('train', 'val', 'test'), default='train', help='whose data set (default: train)')
    add('--stage', metavar='NAME', help='stage of a staged config (default: the last)')
    add(
        '--part',
        metavar='N',
        help="number of a joined data set's part, or 'all' (default: 0 under DomainSampler, the source, else all)",
    )
    add('--vae', metavar='FILE.pth', help='score with this VAE and train none')
    add('--k', type=int, default=25, help='number of bins (default: 25)')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='values merged over the config')
    vae = parser.add_argument_group('training of the VAE', 'defaults are those of PoseVAE and train_pose_vae')
    add = vae.add_argument
    add('--norm-mode', choices=NORM_MODES, help='how poses are normalised (default: bbox)')
    add('--root', type=int, nargs='+', metavar='JOINT', help='root joint for --norm-mode root, or several for a middle')
    add('--latent', type=int, help='size of the latent space (default: 8, for hands 12)')
    add('--kl-weight', type=float, help='weight of the Kullback-Leibler term (default: 1e-3)')
    add('--epochs', type=int, help='passes over the poses (default: 100)')
    add('--max-steps', type=int, help='at most so many steps (default: 50000)')
    add('--min-steps', type=int, help='at least so many steps (default: 300)')
    add('--batch-size', type=int, help='poses a step (default: 1024)')
    add('--lr', type=float, help='learning rate (default: 1e-3)')
    add('--rotation', type=float, help='turn poses at random by up to so many degrees (default: 0)')
    add('--seed', type=int, help='default: 0')
    args = parser.parse_args(argv)
    if (args.config is None) == (args.array is None):
        parser.error('give a config or --array FILE, one of them')
    trained = [name for name in ('norm_mode', *NETWORK, *TRAINING) if getattr(args, name) is not None]
    if args.vae and trained:
        parser.error(f'--{trained[0].replace("_", "-")} is for training a VAE, but --vae gives a trained one')
    return args


def build_dataset(args):
    """The data set of the config that is to be scored, without the other parts of a joined one."""
    cfg = Config.fromfile(args.config)
    cfg = stage_config(cfg, args.stage or stage_names(cfg)[-1], args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'mmposeda'))
    loader = cfg.get(f'{args.loader}_dataloader')
    if not loader:
        raise StageError(f'there is no {args.loader}_dataloader, whose data set could be scored')
    dataset, part = loader.dataset, args.part
    sampler = loader.get('sampler') or {}
    if part is None and str(sampler.get('type')).endswith('DomainSampler'):
        part = '0'
    if part not in (None, 'all'):
        parts = dataset.get('datasets') or ()
        if not part.isdigit() or int(part) >= len(parts):
            kind = f'{dataset.type} of {len(parts)} parts' if parts else f'{dataset.type}, which has no parts'
            raise StageError(f'--part {part} does not fit the data set, a {kind}')
        dataset = parts[int(part)]
    return DATASETS.build(dataset)


class Bar:
    """A progress bar that is told how much is done.

    Attributes:
        seconds (float): Until it was told last.
    """

    def __init__(self, what):
        print(what, flush=True)
        self.timer, self.bar, self.seconds = Timer(), None, 0.0

    def __call__(self, done, total):
        """Show that ``done`` of ``total`` are done."""
        self.seconds = self.timer.since_start()
        if self.bar is None:
            self.bar = ProgressBar(total)
            self.bar.timer = self.timer
        self.bar.update(done - self.bar.completed)
        if done == total:
            print(flush=True)


def get_vae(args, poses, names, where):
    """The VAE of ``--vae``, or one trained on the poses."""
    if args.vae:
        vae = load_pose_vae(args.vae, args.device)
        check_joints(vae, poses.keypoints.shape[1], names, where)
        return vae
    network = {key: getattr(args, name) for name, key in NETWORK.items()}
    training = {name: getattr(args, name) for name in ('norm_mode', *TRAINING)}
    network, training = ({k: v for k, v in d.items() if v is not None} for d in (network, training))
    return train_pose_vae(
        poses, {'joint_names': names, **network}, device=args.device, progress=Bar('Training the VAE'), **training
    )


def summarize(scores, poses, vae, vae_file, seconds):
    """Lines that say what came out."""
    report = examine_pose_vae(vae, poses)
    count, scored = len(scores.ids), len(scores.order)
    sizes = np.bincount(scores.bins[scores.bins >= 0], minlength=scores.k)
    sums = np.bincount(scores.bins[scores.order], scores.scores[scores.order], scores.k)
    means = ' '.join(f'{value:.3g}' for value in (sums / np.maximum(sizes, 1))[sizes > 0])
    return '\n'.join(
        [
            f'{scored} of {count} poses scored, {100 * (1 - scored / count):.2f} % have fewer than 4 visible joints',
            f'{scores.k} bins of {sizes.min()} to {sizes.max()} poses, mean scores from easy to hard: {means}',
            f'VAE {vae_file}: {report.kl:.2f} nat a pose, error {report.reconstruction:.4g} against '
            f'{report.mean_pose:.4g} of the mean pose',
            "Spearman's correlation of the score with the distance to the 10th nearest pose: "
            f'{support_correlation(vae, scores.scores, poses):.2f}, with the size in the picture: '
            f'{size_correlation(scores.scores, poses):.2f}',
            f'{count / max(seconds, 1e-9):.0f} poses a second scored',
        ]
    )


def run(args):
    """Read, train, score, write."""
    if args.array:
        poses, names, where = load_pose_array(args.array), (), args.array
    else:
        dataset = build_dataset(args)
        where = f'{type(dataset).__name__} of {args.config}'
        poses, names = read_poses(dataset, Bar('Reading poses')), joint_names(dataset)
    vae = get_vae(args, poses, names, where)
    bar = Bar('Scoring')
    scores = rate_poses(vae, poses, args.k, progress=bar)
    vae_file = args.vae or vae_path(args.out)
    if not args.vae:
        save_pose_vae(vae, vae_file)
    scores.save(args.out)
    print(summarize(scores, poses, vae, vae_file, bar.seconds))
    print(f'Wrote {args.out}' + ('' if args.vae else f' and {vae_file}'))


def main(argv=None):
    """Run the command; what a user can mend is said in one line."""
    args = parse_args(argv)
    if osp.splitext(args.out)[1] != '.npz':
        raise SystemExit(f'--out {args.out} must end in .npz')
    name = args.config or args.array
    try:
        with one_line(name):
            run(args)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f'{name}: {type(error).__name__}: {error}') from error


if __name__ == '__main__':
    main()
