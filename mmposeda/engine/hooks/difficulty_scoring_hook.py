"""Makes the score files of difficulty samplers that are not there yet."""

from __future__ import annotations

import os.path as osp
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop

from mmposeda.datasets.difficulty import ScoreFileError, read_poses
from mmposeda.datasets.samplers import DifficultyBinSampler
from mmposeda.registry import HOOKS

from .. import random_state
from ._model import unwrapped

_TELL_SECONDS = 15.0


@HOOKS.register_module()
class DifficultyScoringHook(Hook):
    """Before a training, trains a VAE on the poses of a difficulty sampler's data set and writes their scores.

    It serves every ``DifficultyBinSampler`` of the training loader, alone or as a part's in ``DomainSampler``, whose
    strategy needs scores and whose ``score_file`` is missing. A file that is there is left alone, whatever it holds:
    the sampler checks it. The VAE is written beside it (``scores.npz``, ``scores.vae.pth``), for
    ``tools/score_poses.py --vae`` on a validation set. The run itself goes on as with a file that was there before.

    With several processes the first does the work and the others wait, no longer than their process group waits for
    anything; so score millions of poses with the tool beforehand. All must see the file: on several machines its folder
    must be shared. It needs this package's training loops: with workers, MMEngine's loop over iterations asks for
    samples before any hook is called.

    Args:
        vae (dict, optional): Arguments of :class:`~mmposeda.models.networks.pose_vae.PoseVAE`.
        norm_mode (str): Its normalisation.
        k (int, optional): Number of bins; None takes the sampler's.
        training (dict, optional): Further arguments of :func:`~mmposeda.engine.difficulty.train_pose_vae`.
        device (str, optional): Where to train and score; None takes the model's.

    Raises:
        ScoreFileError: In the other processes, when the first could not make a file, or they do not see it.
    """

    def __init__(
        self,
        vae: dict | None = None,
        norm_mode: str = 'bbox',
        k: int | None = None,
        training: dict | None = None,
        device: str | None = None,
    ) -> None:
        self.vae, self.norm_mode, self.k, self.device = vae, norm_mode, k, device
        self.training = dict(training or {})

    def before_run(self, runner) -> None:
        """Make what is missing; a run that only validates or tests has no training loop yet."""
        loop = runner._train_loop
        if not isinstance(loop, BaseLoop):
            return
        samplers = {s.score_file: s for s in difficulty_samplers(loop.dataloader) if s.needs_scores}
        if not samplers:
            return
        failure, reason = None, ['']
        if is_main_process():  # alone, so that one look at the disk counts
            try:
                self._make_missing(runner, samplers)
            except Exception as error:
                runner.logger.error(f'DifficultyScoringHook: {error}')
                failure, reason = error, [f'{type(error).__name__}: {error}']
        broadcast_object_list(reason)
        if failure is not None:
            raise failure
        if reason[0]:
            raise ScoreFileError(f'the first process could not score the poses. {reason[0]}')
        unseen = [path for path in samplers if not osp.isfile(path)]
        if unseen:
            raise ScoreFileError(
                f'the first process has written {", ".join(unseen)}, which process {runner.rank} does not see: '
                'score_file must be in a folder that all machines share'
            )

    def _make_missing(self, runner, samplers: dict[str, DifficultyBinSampler]) -> None:
        for path, sampler in samplers.items():
            if osp.isfile(path):
                runner.logger.info(f'DifficultyScoringHook: {path} is there and left as it is')
                continue
            with random_state.kept():
                self._make(runner, path, sampler)

    def _make(self, runner, path: str, sampler: DifficultyBinSampler) -> None:
        # here, because that module needs an error of a hook
        from ..difficulty import examine_pose_vae, rate_poses, size_correlation, train_pose_vae
        from ..pose_vae_file import joint_names, save_pose_vae, vae_path

        name, say = type(sampler.dataset).__name__, runner.logger.info
        say(f'DifficultyScoringHook: {path} is missing; reading the poses of {name}')
        poses = read_poses(sampler.dataset, _teller(say, 'poses read'))
        device = self.device or next((p.device for p in unwrapped(runner).parameters()), torch.device('cpu'))
        vae = train_pose_vae(
            poses,
            {'joint_names': joint_names(sampler.dataset), **(self.vae or {})},
            self.norm_mode,
            **{'device': device, 'progress': _teller(say, 'steps of the pose VAE'), **self.training},
        )
        scores = rate_poses(vae, poses, self.k or sampler.k)
        report = examine_pose_vae(vae, poses)
        save_pose_vae(vae, vae_path(path))
        scores.save(path)
        say(
            f'DifficultyScoringHook: wrote {path}: {len(scores.order)} of {len(poses.ids)} poses of {name} scored. VAE '
            f'{vae_path(path)}: {report.kl:.2f} nat, error {report.reconstruction:.4g} against {report.mean_pose:.4g} '
            f"of the mean pose; Spearman's correlation of score and size in the picture "
            f'{size_correlation(scores.scores, poses):.2f}'
        )


def difficulty_samplers(loader: Any) -> Iterator[DifficultyBinSampler]:
    """The difficulty samplers of a loader, also those of parts inside a ``DomainSampler``."""
    sampler = getattr(loader.batch_sampler, 'sampler', loader.sampler)
    for candidate in (sampler, *getattr(sampler, 'streams', ())):
        if isinstance(candidate, DifficultyBinSampler):
            yield candidate


def _teller(say: Callable[[str], None], what: str) -> Callable[[int, int], None]:
    last = time.time()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.time() - last > _TELL_SECONDS:
            last = time.time()
            say(f'DifficultyScoringHook: {done} of {total} {what}')

    return tell
