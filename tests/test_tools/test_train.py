import json
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
STAGES = """
stages = [
    dict(name='pretrain'),
    dict(name='adapt', load_from='{pretrain}', optim_wrapper=dict(optimizer=dict(lr=0.0)), train_cfg=dict(max_iters=2)),
]
"""


@pytest.fixture(autouse=True)
def few_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def logs(folder):
    return ''.join(path.read_text() for path in sorted(folder.glob('*/*.log')))


def weights(path):
    return torch.load(path, map_location='cpu', weights_only=False)['state_dict']


class TestPlainRun:
    def test_trains_resumes_and_tests(self, toy, tool, tmp_path, capsys):
        config, work_dir = str(toy()), tmp_path / 'run'
        tool('train').main([config, '--work-dir', str(work_dir), '--no-validate'])
        checkpoint = work_dir / 'iter_4.pth'
        assert checkpoint.is_file()
        assert 'eta' in logs(work_dir)
        assert 'stage' in capsys.readouterr().out.rpartition('Training finished')[2]

        more = ['--resume', '--cfg-options', 'train_cfg.max_iters=6']
        tool('train').main([config, '--work-dir', str(work_dir), *more])
        assert 'resumed epoch: 0, iter: 4' in logs(work_dir)
        assert (work_dir / 'iter_6.pth').is_file()

        out, dump, shown = tmp_path / 'metrics.json', tmp_path / 'predictions.pkl', tmp_path / 'shown'
        flags = ['--out', str(out), '--dump', str(dump), '--show-dir', str(shown), '--work-dir', str(work_dir)]
        tool('test').main([config, str(work_dir / 'iter_6.pth'), *flags])
        assert 0 <= json.loads(out.read_text())['PCK'] <= 1
        assert len(pickle.loads(dump.read_bytes())) == 4
        assert len(list(shown.rglob('*.png'))) == 4

    def test_tensorboard_is_one_option(self, toy, tool, tmp_path):
        pytest.importorskip('tensorboard')
        option = 'visualizer.vis_backends.0.type=TensorboardVisBackend'
        flags = ['--work-dir', str(tmp_path / 'run'), '--no-validate', '--cfg-options', option, 'train_cfg.max_iters=1']
        tool('train').main([str(toy("visualizer = dict(name='with_tensorboard')")), *flags])
        assert list(tmp_path.rglob('events.out.tfevents*'))


class TestStagedRun:
    def test_stages_run_in_order_and_hand_weights_on(self, toy, tool, tmp_path, capsys):
        config, work_dir = str(toy(STAGES)), tmp_path / 'run'
        tool('train').main([config, '--work-dir', str(work_dir)])
        table = capsys.readouterr().out.rpartition('Training finished')[2].splitlines()
        assert [row.split()[:2] for row in table[2:4]] == [['pretrain', '4'], ['adapt', '2']]
        assert 'PCK' in table[2]
        assert json.loads((work_dir / 'pretrain' / 'finished.json').read_text())['checkpoint'] == 'iter_4.pth'

        before, after = weights(work_dir / 'pretrain' / 'iter_4.pth'), weights(work_dir / 'adapt' / 'iter_2.pth')
        key = 'head.final_layer.weight'
        torch.testing.assert_close(before[key], after[key], rtol=0, atol=0, msg='adapt runs with a zero learning rate')
        # each stage has a log of its own: mmengine's per-process instances did not leak
        assert 'Iter(train) [4/4]' in logs(work_dir / 'pretrain')
        assert 'Iter(train) [4/4]' not in logs(work_dir / 'adapt')
        assert 'Iter(train) [2/2]' in logs(work_dir / 'adapt')
        assert len(list((work_dir / 'adapt').rglob('scalars.json'))) == 1

        stamp = (work_dir / 'adapt' / 'iter_2.pth').stat().st_mtime_ns
        tool('train').main([config, '--work-dir', str(work_dir)])
        assert 'adapt' in capsys.readouterr().out
        assert (work_dir / 'adapt' / 'iter_2.pth').stat().st_mtime_ns == stamp, 'finished stages are skipped'

        tool('train').main([config, '--work-dir', str(work_dir), '--cfg-options', 'optim_wrapper.optimizer.lr=0.5'])
        assert "Stage 'adapt' was run with other values of optim_wrapper than" in capsys.readouterr().out

    def test_resume_goes_on_inside_the_unfinished_stage(self, toy, tool, tmp_path):
        config, work_dir = str(toy(STAGES)), tmp_path / 'run'
        tool('train').main([config, '--work-dir', str(work_dir), '--stage', 'pretrain'])
        adapt = [config, '--work-dir', str(work_dir), '--no-validate', '--resume', '--cfg-options']
        tool('train').main([*adapt, 'train_cfg.max_iters=2'])
        # nothing to resume in adapt yet: it starts from its own load_from
        assert 'Load checkpoint from' in logs(work_dir / 'adapt')
        (work_dir / 'adapt' / 'finished.json').unlink()
        tool('train').main([*adapt, 'train_cfg.max_iters=4'])
        assert 'resumed epoch: 0, iter: 2' in logs(work_dir / 'adapt')
        assert (work_dir / 'adapt' / 'iter_4.pth').is_file()

    def test_stage_alone_says_which_weights_are_missing(self, toy, tool, tmp_path):
        with pytest.raises(SystemExit, match="weights of stage 'pretrain', which are missing.*--stage pretrain"):
            tool('train').main([str(toy(STAGES)), '--work-dir', str(tmp_path / 'run'), '--stage', 'adapt'])

    def test_names_that_only_helped_to_write_the_config_are_no_references(self, toy, tool, tmp_path, capsys):
        helped = "later = dict(name='adapt', load_from='{pretrain}')\nstages = [dict(name='pretrain'), later]"
        flags = ['--work-dir', str(tmp_path / 'run'), '--stage', 'pretrain', '--no-validate']
        tool('train').main([str(toy(helped)), *flags, '--cfg-options', 'train_cfg.max_iters=2'])
        assert (tmp_path / 'run' / 'pretrain' / 'finished.json').is_file()
        tool('train').main([str(toy(helped)), *flags, '--cfg-options', 'train_cfg.max_iters=2', 'helper=3'])
        assert 'was run with other values' not in capsys.readouterr().out

    def test_unknown_stage_lists_the_names(self, toy, tool, tmp_path):
        with pytest.raises(SystemExit, match="no stage 'adpat': expected one of pretrain, adapt"):
            tool('train').main([str(toy(STAGES)), '--work-dir', str(tmp_path / 'run'), '--stage', 'adpat'])

    def test_one_checkpoint_cannot_resume_several_stages(self, toy, tool, tmp_path):
        with pytest.raises(SystemExit, match='choose one with --stage'):
            tool('train').main([str(toy(STAGES)), '--work-dir', str(tmp_path / 'run'), '--resume', 'a.pth'])


class TestFlags:
    def test_amp_without_a_gpu_is_refused(self, toy, tool, tmp_path, monkeypatch):
        train = tool('train')
        monkeypatch.setattr(train, 'get_device', lambda: 'cpu')
        with pytest.raises(SystemExit, match='--amp needs a GPU'):
            train.main([str(toy()), '--work-dir', str(tmp_path / 'run'), '--amp'])

    def test_auto_scale_lr_needs_a_base_batch_size(self, toy, tool, tmp_path):
        with pytest.raises(SystemExit, match='base_batch_size'):
            tool('train').main([str(toy()), '--work-dir', str(tmp_path / 'run'), '--auto-scale-lr'])

    def test_auto_scale_lr_scales_with_the_batch(self, toy, tool, tmp_path):
        config = toy('auto_scale_lr = dict(base_batch_size=4)')
        flags = ['--auto-scale-lr', '--no-validate', '--cfg-options', 'train_cfg.max_iters=1']
        tool('train').main([str(config), '--work-dir', str(tmp_path / 'run'), *flags])
        assert 'lr: 5.000000e-03' in logs(tmp_path / 'run')

    @pytest.mark.parametrize(
        'flags, message',
        [
            (['--dump', 'a.json'], 'ending in .pkl'),
            (['--out', 'a.txt'], '.json'),
            (['--scores', 'a.npz'], 'score_poses'),
            ([], 'no checkpoint'),
        ],
    )
    def test_test_checks_its_paths_first(self, tool, capsys, flags, message):
        with pytest.raises(SystemExit):
            tool('test').main(['config.py', 'nowhere.pth', *flags])
        assert message in capsys.readouterr().err


def test_scores_put_the_metrics_that_can_be_binned_into_bins(tool):
    pck, pose, reference = (
        dict(type='GroupedPCK', thr=0.1),
        dict(type='EvalPose'),
        dict(type='GroupedPCK', mode='reference'),
    )
    binned = tool('test').by_difficulty([pck, reference, pose], 'scores.npz')
    assert [metric['type'] for metric in binned] == ['BinnedMetric', 'GroupedPCK', 'BinnedMetric']
    assert (binned[0]['metric'], binned[1], binned[2]['metric']) == (pck, reference, pose)
    with pytest.raises(SystemExit, match='needs GroupedPCK or EvalPose'):
        tool('test').by_difficulty([reference], 'scores.npz')


def test_mixed_precision_of_several_optimisers_is_refused(tool, monkeypatch):
    module = tool('train')
    monkeypatch.setattr(module, 'get_device', lambda: 'cuda')
    cfg, args = Config(dict(optim_wrapper=dict(optimizer={}))), module.parse_args(['config.py', '--amp'])
    module.apply_flags(cfg, args)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper' and cfg.optim_wrapper.loss_scale == 'dynamic'
    cfg.optim_wrapper = dict(constructor='PartOptimWrapperConstructor', pose=dict(optimizer={}))
    with pytest.raises(SystemExit, match='PartOptimWrapperConstructor makes several'):
        module.apply_flags(cfg, args)
