"""tools/score_poses.py: what it writes and prints, which data set it takes, and what it says of mistakes."""

import os

import numpy as np
import pytest
import torch
from mmengine.config import Config
from processes import exit_codes, start_all

from mmposeda.datasets.difficulty import DifficultyScores, load_pose_array, read_poses
from mmposeda.engine.difficulty import score_poses
from mmposeda.engine.pose_vae_file import load_pose_vae, vae_hash
from mmposeda.registry import DATASETS

QUICK = ['--epochs', '1', '--min-steps', '5', '--device', 'cpu']


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_array(path, count=60, joints=16, seed=0):
    rng = np.random.default_rng(seed)
    visible = np.ones((count, joints), np.float32)
    visible[0, 3:] = 0
    np.savez(path, keypoints=rng.uniform(0, 200, (count, joints, 2)), visible=visible)
    return str(path)


@pytest.fixture
def config(domain_pair):
    """Path of a staged config: a plain source first, then both domains."""
    loader = dict(batch_size=2, num_workers=0)
    plain = dict(**loader, sampler=dict(type='DefaultSampler', shuffle=True), dataset=domain_pair['source'])
    both = dict(**loader, sampler=dict(type='DomainSampler', quotas=[1, 1]), dataset=domain_pair['joined'])
    content = dict(
        default_scope='mmposeda',
        train_dataloader=plain,
        val_dataloader=dict(**loader, dataset=domain_pair['target']),
        stages=[dict(name='pretrain'), dict(name='adapt', train_dataloader=dict(_delete_=True, **both))],
    )
    path = domain_pair['root'] / 'task.py'
    Config(content).dump(path)
    return str(path)


class TestArray:
    def test_scores_bins_and_vae_are_written(self, tool, tmp_path, capsys):
        array, out = write_array(tmp_path / 'poses.npz'), str(tmp_path / 'scores.npz')
        more = ['--k', '7', '--norm-mode', 'root', '--root', '2', '3', '--latent', '5', '--seed', '3']
        tool('score_poses').main(['--array', array, '--out', out, *QUICK, *more])
        scores, poses = DifficultyScores.load(out), load_pose_array(array)
        vae = load_pose_vae(str(tmp_path / 'scores.vae.pth'))
        assert (vae.norm_mode, vae.root, vae.latent) == ('root', (2, 3), 5)
        assert scores.vae_hash == vae_hash(vae) and scores.norm_mode == 'root' and scores.k == 7
        np.testing.assert_array_equal(scores.scores, score_poses(vae, poses))
        assert np.isnan(scores.scores).nonzero()[0].tolist() == [0]
        text = capsys.readouterr().out
        for part in (
            '59 of 60 poses scored, 1.67 % have fewer than 4 visible joints',
            '7 bins of 8 to 9 poses, mean scores from easy to hard: ',
            'scores.vae.pth: ',
            "Spearman's correlation of the score with the distance to the 10th nearest pose: ",
            ' poses a second scored',
            f'Wrote {out} and {tmp_path / "scores.vae.pth"}',
        ):
            assert part in text

    def test_another_set_takes_the_vae_of_the_first(self, tool, tmp_path):
        first, second = write_array(tmp_path / 'a.npz'), write_array(tmp_path / 'b.npz', seed=1)
        tool('score_poses').main(['--array', first, '--out', str(tmp_path / 'a_scores.npz'), *QUICK])
        vae = str(tmp_path / 'a_scores.vae.pth')
        for array, name in ((first, 'again'), (second, 'other')):
            tool('score_poses').main(['--array', array, '--vae', vae, '--out', str(tmp_path / f'{name}.npz')])
            assert not (tmp_path / f'{name}.vae.pth').exists()
        a, again, other = (DifficultyScores.load(str(tmp_path / f'{n}.npz')) for n in ('a_scores', 'again', 'other'))
        assert a.vae_hash == again.vae_hash == other.vae_hash
        np.testing.assert_array_equal(a.scores, again.scores)
        assert a.fingerprint == again.fingerprint != other.fingerprint

    def test_same_command_gives_the_same_file(self, tool, tmp_path):
        array = write_array(tmp_path / 'poses.npz')
        for name in 'ab':
            tool('score_poses').main(['--array', array, '--out', str(tmp_path / f'{name}.npz'), *QUICK])
        one, two = (DifficultyScores.load(str(tmp_path / f'{name}.npz')) for name in 'ab')
        assert one.vae_hash == two.vae_hash
        np.testing.assert_array_equal(one.order, two.order)


class TestConfig:
    def scored(self, tool, config, tmp_path, *flags):
        out = str(tmp_path / 'scores.npz')
        tool('score_poses').main([config, '--out', out, *flags])
        return DifficultyScores.load(out)

    def test_source_of_the_last_stage_by_default(self, tool, config, domain_pair, tmp_path):
        scores = self.scored(tool, config, tmp_path, '--k', '2', *QUICK)
        poses = read_poses(DATASETS.build(domain_pair['source']))
        assert scores.rows(poses, 'scores').tolist() == list(range(6))
        names = load_pose_vae(str(tmp_path / 'scores.vae.pth')).joint_names
        assert len(names) == 14 and names[0] == 'right_ankle'

    def test_another_stage_or_loader(self, tool, config, domain_pair, tmp_path):
        first = self.scored(tool, config, tmp_path, '--stage', 'pretrain', '--k', '2', *QUICK)
        vae = str(tmp_path / 'scores.vae.pth')
        os.rename(vae, tmp_path / 'source.pth')
        second = self.scored(
            tool, config, tmp_path, '--loader', 'val', '--k', '2', '--vae', str(tmp_path / 'source.pth')
        )
        assert first.fingerprint != second.fingerprint and first.vae_hash == second.vae_hash
        assert len(second.rows(read_poses(DATASETS.build(domain_pair['target'])), 'scores')) == 6

    def test_all_parts_of_a_joined_set(self, tool, config, domain_pair, tmp_path):
        joined = dict(type='ConcatDataset', datasets=[domain_pair['source'], domain_pair['target']])
        content = Config.fromfile(config)
        content.merge_from_dict(dict(val_dataloader=dict(dataset=dict(_delete_=True, **joined))))
        content.dump(tmp_path / 'joined.py')
        scores = self.scored(tool, str(tmp_path / 'joined.py'), tmp_path, '--loader', 'val', '--k', '2', *QUICK)
        assert scores.ids[[0, 6]].tolist() == ['0/1', '1/1']

    @pytest.mark.parametrize(
        'flags, message',
        [
            (['--part', '1'], 'AnnotationError: UnlabeledDataset has no joints'),
            (['--part', '2'], '--part 2 does not fit the data set, a CombinedDataset of 2 parts'),
            (['--stage', 'pretrain', '--part', '0'], 'a LSPDataset, which has no parts'),
            (['--stage', 'adopt'], "there is no stage 'adopt'"),
            (['--loader', 'test'], 'no test_dataloader'),
            (['--k', '0'], '0 bins asked for'),
            (['--norm-mode', 'root'], "norm_mode='root' needs root"),
            (['--latent', '28'], 'latent=28 must be'),
            (['--cfg-options', 'train_dataloader.dataset.datasets.0.ann_file=gone.json'], 'gone.json'),
        ],
    )
    def test_mistakes_are_one_line(self, tool, config, tmp_path, flags, message):
        with pytest.raises(SystemExit) as end:
            tool('score_poses').main([config, '--out', str(tmp_path / 'scores.npz'), *flags])
        assert message in str(end.value) and '\n' not in str(end.value)
        assert str(end.value).startswith(config) and not (tmp_path / 'scores.npz').exists()

    def test_poses_of_other_joints_are_refused(self, tool, config, tmp_path):
        array, out = write_array(tmp_path / 'poses.npz'), str(tmp_path / 'scores.npz')
        tool('score_poses').main(['--array', array, '--out', out, *QUICK])
        with pytest.raises(SystemExit, match='trained on 16 joints, LSPDataset of .*task.py have 14 .right_ankle'):
            self.scored(tool, config, tmp_path, '--vae', str(tmp_path / 'scores.vae.pth'))


@pytest.mark.parametrize(
    'flags, message',
    [
        ([], 'give a config or --array'),
        (['x.py', '--array', 'y.npz'], 'one of them'),
        (['--array', 'y.npz', '--vae', 'z.pth', '--lr', '1'], '--lr is for training a VAE'),
    ],
)
def test_flags_that_do_not_go_together(tool, tmp_path, capsys, flags, message):
    with pytest.raises(SystemExit):
        tool('score_poses').main([*flags, '--out', str(tmp_path / 'scores.npz')])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('case', ['no array', 'broken array', 'NaN', 'no vae', 'no one seen', 'ending'])
def test_bad_files_are_one_line(tool, tmp_path, case):
    path, out = tmp_path / 'poses.npz', tmp_path / 'scores.npz'
    write_array(path)
    flags, message = [], 'poses.npz'
    if case == 'no array':
        path.unlink()
    elif case == 'broken array':
        path.write_bytes(path.read_bytes()[:500])
    elif case == 'NaN':
        np.savez(path, keypoints=np.full((5, 16, 2), np.nan), visible=np.ones((5, 16)))
    elif case == 'no vae':
        flags, message = ['--vae', str(tmp_path / 'gone.pth')], 'gone.pth does not exist'
    elif case == 'no one seen':
        np.savez(path, keypoints=np.ones((5, 16, 2)), visible=np.zeros((5, 16)))
        message = 'none of 5 poses has 4 visible joints'
    else:
        out, message = tmp_path / 'scores.txt', 'must end in .npz'
    with pytest.raises(SystemExit) as end:
        tool('score_poses').main(['--array', str(path), '--out', str(out), *flags])
    assert message in str(end.value) and '\n' not in str(end.value) and not out.exists()


HOOKED = """
train_dataloader = dict(sampler=dict(samplers={{'0': dict(
    type='DifficultyBinSampler', strategy='hard', score_file='{score_file}')}}))
custom_hooks = [dict(type='DifficultyScoringHook', k=2, training=dict(min_steps=5, epochs=1))]
"""


@pytest.mark.skipif(not hasattr(os, 'fork') or torch.cuda.is_available(), reason='needs POSIX processes on the CPU')
class TestTwoProcesses:
    """The hook of that job. The toy has two joints, too few for a score unless the bound is lowered."""

    def launch(self, tool, folder, config, port):
        def main():
            torch.set_num_threads(1)
            tool('train').main([str(config), '--work-dir', str(folder), '--launcher', 'pytorch', '--no-validate'])

        return exit_codes(start_all(main, port))

    def test_one_scores_and_both_train(self, tool, toy_adaptation, tmp_path, free_port, monkeypatch):
        monkeypatch.setattr('mmposeda.engine.difficulty.MIN_VISIBLE', 2)
        monkeypatch.setattr('mmposeda.models.networks.pose_vae.MIN_VISIBLE', 2)
        path = tmp_path / 'scores.npz'
        config = toy_adaptation(HOOKED.format(score_file=path))
        assert self.launch(tool, tmp_path / 'run', config, free_port) == [0, 0]
        assert len(DifficultyScores.load(str(path)).order) == 7
        assert (tmp_path / 'run' / 'iter_4.pth').is_file()

    def test_failure_of_the_first_ends_both(self, tool, toy_adaptation, tmp_path, free_port):
        path = tmp_path / 'scores.npz'
        config = toy_adaptation(HOOKED.format(score_file=path))
        codes = self.launch(tool, tmp_path / 'run', config, free_port)
        assert 0 not in codes and len(codes) == 2
        log = ''.join(p.read_text() for p in (tmp_path / 'run').glob('*/*.log'))
        assert 'DifficultyScoringHook: none of 7 poses has 4 visible joints' in log and not path.exists()


def test_the_benchmark_compares_scoring_with_its_network(tool, capsys):
    tool('benchmarks/scoring_speed').main(['--poses', '300', '--rounds', '2', '--chunk', '50', '--joints', '5'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('5 joints, chunks of 50')
    best = {line.split()[0]: float(line.split()[2]) for line in lines[1:4]}
    assert best.keys() == {'products', 'network', 'score'} and min(best.values()) > 0
    ratio = float(lines[5].split('score / network ')[1].split(',')[0])
    assert ratio == pytest.approx(best['score'] / best['network'], rel=0.05)
    assert lines[-1].startswith('score_poses on 300 poses: ')
