"""The hook in real runs: a source of LSP's joints and an unlabelled target, a network of a few layers."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.difficulty import DifficultyScores, read_poses
from mmposeda.datasets.samplers import DifficultyBinSampler
from mmposeda.engine.hooks import DifficultyScoringHook
from mmposeda.engine.hooks.difficulty_scoring_hook import difficulty_samplers
from mmposeda.engine.pose_vae_file import load_pose_vae, vae_hash
from mmposeda.engine.training import train
from mmposeda.registry import DATASETS, HOOKS

RUNTIME = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'default_runtime.py'
HOOK = dict(type='DifficultyScoringHook', k=3, training=dict(min_steps=5, epochs=1))


@pytest.fixture
def config(domain_pair):
    """Return a function that makes the config of a run of two iterations with this sampler over the source."""

    def make(hook=HOOK, **sampler):
        estimator = dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[64.0] * 3),
            backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(1,), frozen_stages=-1),
            head=dict(
                type='HeatmapHead',
                in_channels=8,
                out_channels=14,
                deconv_out_channels=None,
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                decoder=domain_pair['codec'],
            ),
        )
        text = dict(
            model=dict(type='SourceOnly', estimator=estimator),
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                sampler=dict(
                    type='DomainSampler', quotas=[2, 2], samplers=[dict(type='DifficultyBinSampler', **sampler), None]
                ),
                dataset=domain_pair['joined'],
            ),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=2, val_interval=10),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=2, by_epoch=False), difficulty=hook or {}
            ),
            randomness=dict(seed=0),
            default_scope='mmposeda',
        )
        base = Config.fromfile(RUNTIME)
        for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
            base.pop(key, None)
        base.merge_from_dict(text)
        if hook is None:
            del base.default_hooks['difficulty']
        return base

    return make


@pytest.fixture
def source(domain_pair):
    return DATASETS.build(domain_pair['source'])


def weights(folder):
    return torch.load(folder / 'iter_2.pth', weights_only=True)['state_dict']


class TestRun:
    def test_missing_file_is_made_and_then_left_alone(self, config, source, tmp_path):
        path = str(tmp_path / 'scores' / 'source.npz')
        train(config(score_file=path, strategy='hard'), str(tmp_path / 'first'))
        scores = DifficultyScores.load(path)
        poses = read_poses(source)
        assert scores.rows(poses, path).tolist() == list(range(6))
        assert np.bincount(scores.bins).tolist() == [2, 2, 2] and np.isfinite(scores.scores).all()
        vae = load_pose_vae(str(tmp_path / 'scores' / 'source.vae.pth'))
        assert vae_hash(vae) == scores.vae_hash and vae.joint_names[0] == 'right_ankle'
        np.testing.assert_allclose(vae.score(*map(torch.from_numpy, poses[1:])), scores.scores, rtol=1e-5)

        before = os.stat(path).st_mtime_ns, Path(path).read_bytes()
        train(config(score_file=path, strategy='hard'), str(tmp_path / 'second'))
        assert (os.stat(path).st_mtime_ns, Path(path).read_bytes()) == before
        log = ''.join(p.read_text() for p in (tmp_path / 'second').glob('*/*.log'))
        assert 'source.npz is there and left as it is' in log
        # making the file drew no number that the run would have drawn
        first, second = weights(tmp_path / 'first'), weights(tmp_path / 'second')
        assert all(torch.equal(first[key], second[key]) for key in first)

    def test_strategies_without_scores_need_no_file(self, config, tmp_path):
        path = tmp_path / 'scores.npz'
        train(config(score_file=str(path), strategy='random33'), str(tmp_path / 'run'))
        assert not path.exists()

    def test_labels_of_the_target_are_not_read(self, config, domain_pair, tmp_path, monkeypatch):
        read = []
        original = read_poses
        monkeypatch.setattr(
            'mmposeda.engine.hooks.difficulty_scoring_hook.read_poses',
            lambda dataset, *args: read.append(dataset.data_root) or original(dataset, *args),
        )
        train(config(score_file=str(tmp_path / 'scores.npz'), strategy='easy'), str(tmp_path / 'run'))
        assert read == [domain_pair['source']['data_root']]

    def test_failure_leaves_no_file(self, config, tmp_path):
        hook = {**HOOK, 'training': dict(lr=-1.0)}
        with pytest.raises(ValueError, match='lr=-1.0'):
            train(config(hook, score_file=str(tmp_path / 'scores.npz'), strategy='hard'), str(tmp_path / 'run'))
        assert not list(tmp_path.glob('*scores*'))
        log = ''.join(p.read_text() for p in (tmp_path / 'run').glob('*/*.log'))
        assert 'DifficultyScoringHook: lr=-1.0' in log

    def test_damaged_file_is_the_samplers_business(self, config, tmp_path):
        path = tmp_path / 'scores.npz'
        path.write_bytes(b'PK nonsense')
        with pytest.raises(AnnotationError, match='scores.npz'):
            train(config(score_file=str(path), strategy='hard'), str(tmp_path / 'run'))
        assert path.read_bytes() == b'PK nonsense'

    def test_without_the_hook_the_way_out_is_told(self, config, tmp_path):
        with pytest.raises(FileNotFoundError, match='DifficultyScoringHook'):
            train(config(None, score_file=str(tmp_path / 'scores.npz'), strategy='hard'), str(tmp_path / 'run'))


class TestParts:
    def test_a_sampler_alone_is_found(self, source):
        sampler = DifficultyBinSampler(source, 'scores.npz', 'hard', seed=0)
        assert list(difficulty_samplers(DataLoader(source, 2, sampler=sampler))) == [sampler]

    def test_other_samplers_are_passed_over(self, source):
        assert list(difficulty_samplers(DataLoader(source, 2, sampler=DefaultSampler(source, seed=0)))) == []

    def test_a_run_without_training_is_left_alone(self):
        class Runner:
            _train_loop = dict(type='IterBasedTrainLoop')

        DifficultyScoringHook().before_run(Runner())

    def test_other_processes_hear_of_a_failure(self, source, monkeypatch):
        """What the second process sees, with the first one's message put in the place of the group's."""
        module = 'mmposeda.engine.hooks.difficulty_scoring_hook'
        monkeypatch.setattr(f'{module}.is_main_process', lambda: False)
        runner, hook = waiting_runner(source, 'scores.npz'), DifficultyScoringHook()
        monkeypatch.setattr(
            f'{module}.broadcast_object_list', lambda box: box.__setitem__(0, 'OSError: the disk is full')
        )
        with pytest.raises(AnnotationError, match='first process could not score the poses. OSError: the disk is full'):
            hook.before_run(runner)
        monkeypatch.setattr(f'{module}.broadcast_object_list', lambda box: None)
        with pytest.raises(AnnotationError, match='which process 1 does not see'):
            hook.before_run(runner)

    def test_is_in_the_registry(self):
        hook = HOOKS.build(dict(type='DifficultyScoringHook', vae=dict(latent=4), norm_mode='root'))
        assert hook.vae == dict(latent=4) and hook.norm_mode == 'root' and hook.k is None


def waiting_runner(dataset, path):
    from mmengine.runner import BaseLoop

    class Loop(BaseLoop):
        def __init__(self, loader):
            self.dataloader = loader

        def run(self):
            pass

    class Runner:
        rank = 1
        _train_loop = Loop(DataLoader(dataset, 2, sampler=DifficultyBinSampler(dataset, path, 'hard', seed=0)))

    return Runner()
