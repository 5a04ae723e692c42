import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from zoo_results import MACHINE, SOURCE_ONLY, UDAPE, collect, pck, record, result


class TestRecords:
    def test_mean_and_spread_are_numpys(self, zoo_main, zoo_root, tmp_path):
        values = [38.031735, 37.5, 37.912345]
        for seed, value in enumerate(values):
            result(tmp_path / 'bench', 'udape', seed, pck(value))
        collect(zoo_main, zoo_root, tmp_path / 'bench', '--commit', 'abc1234')
        content = json.loads(record(zoo_root).read_text())
        entry = content['summary']['PCK/all@0.05']
        assert entry['seeds'] == 3
        assert entry['mean'] == pytest.approx(np.mean(values), abs=1e-4)
        assert entry['spread'] == pytest.approx(np.std(values, ddof=1), abs=1e-4)
        run = content['runs'][1]
        assert (run['commit'], run['seed'], run['iterations']) == ('abc1234', 1, 400)
        assert run['minutes'] == dict(pretrain=41.2, adapt=13.7) and run['machine'] == MACHINE
        assert content['config'] == UDAPE

    def test_one_seed_has_no_spread_and_bins_are_left_out(self, zoo_main, zoo_root, tmp_path):
        extra = {'PCK/all@0.1_bin_03': 1.0, 'PCK/unbinned': 1.0, 'PCK/all@0.1_head': 77.0, 'x/actions': float('nan')}
        result(tmp_path, 'udape', 0, {**pck(38.0), **extra})
        collect(zoo_main, zoo_root, tmp_path)
        content = json.loads(record(zoo_root).read_text())
        assert content['summary']['PCK/all@0.05'] == dict(mean=38.0, seeds=1, spread=None)
        assert set(content['summary']) == {*pck(0), 'PCK/all@0.1_head'}

    def test_seeds_are_added_and_replaced(self, zoo_main, zoo_root, tmp_path):
        for folder, seed, value in (('a', 0, 38.0), ('a', 1, 37.0), ('b', 1, 36.0), ('b', 2, 35.0)):
            result(tmp_path / folder, 'udape', seed, pck(value))
        collect(zoo_main, zoo_root, tmp_path / 'a', '--commit', 'first')
        collect(zoo_main, zoo_root, tmp_path / 'b', '--commit', 'second')
        runs = json.loads(record(zoo_root).read_text())['runs']
        assert [(run['seed'], run['commit'], run['metrics']['PCK/all@0.05']) for run in runs] == [
            (0, 'first', 38.0),
            (1, 'second', 36.0),
            (2, 'second', 35.0),
        ]

    def test_files_and_page_are_stable(self, zoo_main, zoo_root, tmp_path):
        for seed in (1, 0):
            result(tmp_path / 'bench', 'udape', seed, dict(reversed(pck(38.0 + seed).items())))
        collect(zoo_main, zoo_root, tmp_path / 'bench')
        zoo_main(['--root', str(zoo_root), 'write'])
        first = record(zoo_root).read_bytes(), (zoo_root / 'docs' / 'model_zoo.md').read_bytes()
        record(zoo_root).unlink()
        for seed in (0, 1):
            result(tmp_path / 'again', 'udape', seed, pck(38.0 + seed))
        collect(zoo_main, zoo_root, tmp_path / 'again')
        zoo_main(['--root', str(zoo_root), 'write'])
        assert (record(zoo_root).read_bytes(), (zoo_root / 'docs' / 'model_zoo.md').read_bytes()) == first

    def test_unfinished_runs_are_named_and_left_out(self, zoo_main, zoo_root, tmp_path, capsys):
        result(tmp_path, 'udape', 0, pck(38.0))
        (tmp_path / 'udape' / 'seed_1' / 'adapt').mkdir(parents=True)
        collect(zoo_main, zoo_root, tmp_path)
        assert 'not finished: udape/seed_1' in capsys.readouterr().out
        assert len(json.loads(record(zoo_root).read_text())['runs']) == 1

    def test_the_same_run_from_two_folders_counts_once(self, zoo_main, zoo_root, tmp_path):
        result(tmp_path / 'a', 'udape', 0, pck(38.0))
        result(tmp_path / 'b', 'udape', 0, {**pck(38.0), 'PCK/all@0.1_head': 77.0})
        zoo_main(['--root', str(zoo_root), 'collect', str(tmp_path / 'a'), str(tmp_path / 'b')])
        (run,) = json.loads(record(zoo_root).read_text())['runs']
        assert len(run['metrics']) == 4

    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            (dict(metrics={'PCK/all@0.1': float('nan')}), r'result.json: PCK/all@0.1 is nan, expected a finite number'),
            (dict(metrics={'PCK/all@0.1': 'high'}), "PCK/all@0.1 is 'high'"),
            (dict(metrics=None), 'has no metrics'),
            (dict(seed=None), 'has seed None'),
            (dict(config='configs/udape/nowhere/other.py'), 'which is in no table'),
        ],
    )
    def test_bad_results_are_named(self, zoo_main, zoo_root, tmp_path, changes, message):
        result(tmp_path, 'udape', 0, **{'metrics': pck(38.0), **changes})
        with pytest.raises(SystemExit, match=message):
            collect(zoo_main, zoo_root, tmp_path)
        assert not record(zoo_root).exists()

    def test_damaged_and_foreign_results_are_named(self, zoo_main, zoo_root, tmp_path):
        path = result(tmp_path, 'udape', 0, pck(38.0))
        path.write_text(path.read_text()[:100])
        with pytest.raises(SystemExit, match=r'seed_0/result.json is no whole JSON file .* was it cut off'):
            collect(zoo_main, zoo_root, tmp_path)
        path.write_text('{"seed": 0}')
        with pytest.raises(SystemExit, match='it lacks config, method, iterations'):
            collect(zoo_main, zoo_root, tmp_path)

    def test_empty_folders_and_two_results_of_a_seed_are_refused(self, zoo_main, zoo_root, tmp_path):
        with pytest.raises(SystemExit, match='holds no runs: expected ROW/seed_N'):
            collect(zoo_main, zoo_root, tmp_path)
        for folder, value in (('a', 38.0), ('b', 39.0)):
            result(tmp_path / folder, 'udape', 0, pck(value))
        with pytest.raises(SystemExit, match=r'both are seed 0 of .*, but PCK/all@0.05 is 38.0 and 39.0'):
            zoo_main(['--root', str(zoo_root), 'collect', str(tmp_path / 'a'), str(tmp_path / 'b')])

    def test_rows_of_changed_configs_are_left_out_by_name(self, zoo_main, zoo_root, tmp_path):
        for row, value in (('udape', 38.0), ('udape_slow', 20.0)):
            result(tmp_path, row, 0, pck(value))
            result(tmp_path, row, 1, pck(value))
        with pytest.raises(SystemExit, match='udape, udape_slow all are of .* with --only'):
            collect(zoo_main, zoo_root, tmp_path)
        collect(zoo_main, zoo_root, tmp_path, '--only', 'udape', '--seeds', 1)
        (run,) = json.loads(record(zoo_root).read_text())['runs']
        assert (run['seed'], run['metrics']['PCK/all@0.05']) == (1, 38.0)

    @pytest.mark.parametrize(
        ('spoil', 'message'),
        [
            (lambda content: content['summary']['PCK/all@0.05'].update(mean=99.0), 'changed by hand; collect it again'),
            (lambda content: content['runs'][0]['metrics'].update({'PCK/all@0.05': 99.0}), 'is not that of its runs'),
            (
                lambda content: content['runs'][0]['metrics'].update({'PCK/all@0.05': None}),
                'is None, expected a finite',
            ),
            (lambda content: content.pop('summary'), 'lacks summary'),
            (lambda content: content['runs'].clear(), 'lacks runs'),
            (lambda content: content['runs'][0].pop('seed'), 'lacks runs.0.seed'),
            (lambda content: content.update(row='dann'), 'says that it is of synthbody2lsp, dann'),
        ],
    )
    def test_spoilt_records_are_named(self, zoo_main, zoo_root, tmp_path, spoil, message):
        result(tmp_path, 'udape', 0, pck(38.0))
        collect(zoo_main, zoo_root, tmp_path)
        content = json.loads(record(zoo_root).read_text())
        spoil(content)
        record(zoo_root).write_text(json.dumps(content))
        with pytest.raises(SystemExit, match=message):
            zoo_main(['--root', str(zoo_root), 'write'])

    def test_records_of_no_row_and_cut_ones_are_named(self, zoo_main, zoo_root, tmp_path):
        result(tmp_path, 'udape', 0, pck(38.0))
        collect(zoo_main, zoo_root, tmp_path)
        other = shutil.copy(record(zoo_root), record(zoo_root, row='unheard_of'))
        with pytest.raises(SystemExit, match='unheard_of.json is of no row'):
            zoo_main(['--root', str(zoo_root), 'write'])
        Path(other).unlink()
        record(zoo_root).write_text(record(zoo_root).read_text()[:200])
        with pytest.raises(SystemExit, match=r'udape.json is no whole JSON file'):
            zoo_main(['--root', str(zoo_root), 'write'])


class TestPlainRuns:
    """Of tools/train.py and tools/test.py, in the form of MMEngine's logs."""

    def write(self, folder, validated=400, seed=5):
        name = Path(SOURCE_ONLY).stem
        for stage, iterations in {'frontal': 400, 'pretrain': 2600, 'continue': 400}.items():
            run = folder / stage / '20260101_120000'
            (run / 'vis_data').mkdir(parents=True)
            (folder / stage / f'{name}.py').write_text(f'randomness = dict(seed={seed})\n')
            (folder / stage / 'last_checkpoint').write_text(f'/somewhere/{stage}/iter_{iterations}.pth')
            lines = [dict(loss=0.1, time=1.5, step=step) for step in range(100, iterations + 1, 100)]
            if stage == 'continue':
                lines.append({**pck(35.0), 'data_time': 0.1, 'time': 0.2, 'step': validated})
            (run / 'vis_data' / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
            (run / '20260101_120000.log').write_text('    CUDA available: False\n    PyTorch: 2.4.1+cpu\n    Seed: 5\n')
        return folder

    def test_validation_of_the_last_iteration(self, zoo_main, zoo_root, tmp_path):
        collect(zoo_main, zoo_root, self.write(tmp_path / 'run'))
        (run,) = json.loads(record(zoo_root, row='source_only').read_text())['runs']
        assert (run['seed'], run['iterations'], run['metrics']) == (5, 400, pck(35.0))
        assert run['machine'] == dict(device='CPU', torch='2.4.1+cpu')
        assert run['minutes'] == {'frontal': 10.0, 'pretrain': 65.0, 'continue': 10.0}

    def test_a_test_counts_before_a_validation(self, zoo_main, zoo_root, tmp_path):
        folder = self.write(tmp_path / 'run', validated=200)
        with pytest.raises(SystemExit, match=r'iteration 400, the last, was not evaluated: run tools/test.py'):
            collect(zoo_main, zoo_root, folder)
        (folder / 'metrics.json').write_text(json.dumps(pck(36.0)))
        collect(zoo_main, zoo_root, folder)
        assert json.loads(record(zoo_root, row='source_only').read_text())['runs'][0]['metrics'] == pck(36.0)

    def test_log_of_a_test(self, zoo_main, zoo_root, tmp_path):
        folder = self.write(tmp_path / 'run', validated=200)
        log = folder / 'test' / '20260102_120000' / '20260102_120000.json'
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps({**pck(36.5), 'data_time': 0.1, 'time': 0.2}))
        collect(zoo_main, zoo_root, folder)
        assert json.loads(record(zoo_root, row='source_only').read_text())['summary']['PCK/all@0.05']['mean'] == 36.5

    def test_cut_logs_and_foreign_configs_are_named(self, zoo_main, zoo_root, tmp_path):
        folder = self.write(tmp_path / 'run')
        log = folder / 'continue' / '20260101_120000' / 'vis_data' / 'scalars.json'
        log.write_text(log.read_text()[:-20])
        with pytest.raises(SystemExit, match=r'line 5 of .*scalars.json is no JSON'):
            collect(zoo_main, zoo_root, folder)
        for path in folder.glob('*/*.py'):
            path.rename(path.with_name('mine.py'))
        with pytest.raises(SystemExit, match=r'expected the copy of one config of the model zoo, found mine.py'):
            collect(zoo_main, zoo_root, folder)
