import json
import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRST = """
stages = [dict(name='pretrain')]
"""
SECOND = """
stages += [dict(name='adapt', load_from='{pretrain}', train_cfg=dict(max_iters=2))]
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'benchmarks'))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def bench():
    import adaptation

    return adaptation


@pytest.fixture
def runs():
    import adaptation_runs

    return adaptation_runs


@pytest.fixture
def configs(toy, tmp_path):
    """Staged configs with the same first stage, of which one goes on, and one without stages."""
    base, paths = toy(), {}
    for name, more in dict(source_only=FIRST, udape=FIRST + SECOND + 'helper = 1', oracle='').items():
        paths[name] = tmp_path / f'{name}.py'
        paths[name].write_text(f"_base_ = ['{base.name}']\n{more}")
    return paths


def command(configs, work_dir, *flags, only=('source_only', 'udape')):
    return [*(f'{name}={configs[name]}' for name in only), '--work-dir', str(work_dir), '--threads', '1', *flags]


def result(work_dir, method, seed=0):
    return json.loads((work_dir / method / f'seed_{seed}' / 'result.json').read_text())


def test_trains_shares_stages_resumes_and_prints(bench, configs, tmp_path, monkeypatch, capsys):
    work_dir, say = tmp_path / 'bench', bench.say
    flags = command(configs, work_dir, '--seeds', '0', '--jobs', '2')

    def interrupt(text):
        say(text)
        if 'adapt started' in text:
            raise KeyboardInterrupt

    monkeypatch.setattr(bench, 'say', interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.main(flags)
    monkeypatch.setattr(bench, 'say', say)
    first = capsys.readouterr().out
    assert first.count('pretrain started') == 1 and 'udape seed 0 pretrain copied from source_only seed 0' in first
    folders = [work_dir / method / 'seed_0' / 'pretrain' for method in ('source_only', 'udape')]
    weights = [folder / 'iter_4.pth' for folder in folders]
    stamps = [path.stat().st_mtime_ns for path in weights]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert [(folder / 'iter_2.pth').exists() for folder in folders] == [True, False], 'only the last is copied'

    assert bench.main(flags) == 0
    again = capsys.readouterr().out
    assert 'pretrain' not in again.partition('|')[0] and stamps == [path.stat().st_mtime_ns for path in weights]
    assert (work_dir / 'table.md').read_text() in again
    adapted = result(work_dir, 'udape')
    assert (adapted['checkpoint'], result(work_dir, 'source_only')['checkpoint']) == ('iter_2.pth', 'iter_4.pth')
    assert set(adapted['minutes']) == {'pretrain', 'adapt'} and min(adapted['minutes'].values()) > 0
    assert 0 <= adapted['metrics']['PCK'] <= 1

    before = {path: path.stat().st_mtime_ns for path in work_dir.rglob('*')}
    assert bench.main([*flags, '--seeds', '0', '1', '--table']) == 0
    assert 'Machine:' in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in work_dir.rglob('*')}, '--table only reads'

    with pytest.raises(SystemExit, match='was begun with other values of optim_wrapper'):
        bench.main([*flags, '--cfg-options', 'optim_wrapper.optimizer.lr=0.5'])


def test_a_failing_run_is_named_and_its_stage_not_tried_twice(bench, configs, tmp_path, capsys):
    (tmp_path / 'labels.json').unlink()
    assert bench.main(command(configs, tmp_path / 'bench', '--seeds', '0')) == 1
    out = capsys.readouterr().out
    assert 'source_only seed 0 pretrain failed with exit code 1' in out and 'labels.json' in out
    assert "udape seed 0 needs stage 'pretrain', which failed in source_only seed 0" in out


def test_methods_come_from_a_file_and_an_evaluation_by_difficulty_is_made_up_for(bench, runs, configs, tmp_path):
    listed = tmp_path / 'methods.txt'
    listed.write_text(f'source_only={configs["source_only"]}\n')
    args = bench.parse_args([f'@{listed}', '--scores', 'scores.npz'])
    assert list(args.methods) == ['source_only']
    run = runs.Run('source_only', str(configs['source_only']), 0, tmp_path / 'run', [])
    runs.write_json(run.result_file, dict(metrics={'PCK/all@0.1': 50.0}))
    assert run.has_result() and not run.has_result(binned=True)
    runs.write_json(run.result_file, dict(metrics={'PCK/all@0.1': 50.0, 'PCK/all@0.1_bin_00': 70.0}))
    assert run.has_result(binned=True)


def test_rows_may_change_their_config(bench, configs, capsys):
    config = configs['source_only']
    args = bench.parse_args(
        [f'plain={config}', f"longer={config} stages.0.train_cfg.max_iters=8 model.type='inplane(50)'"]
    )
    assert args.methods['plain'] == (str(config), [])
    assert args.methods['longer'] == (str(config), ['stages.0.train_cfg.max_iters=8', 'model.type=inplane(50)'])
    with pytest.raises(SystemExit):
        bench.parse_args([f'plain={config} longer'])
    assert 'and maybe KEY=VALUE after it' in capsys.readouterr().err


@pytest.mark.skipif(os.name != 'posix', reason='flock')
def test_one_benchmark_a_folder(bench, configs, tmp_path):
    import fcntl

    (tmp_path / 'bench').mkdir()
    with open(tmp_path / 'bench' / '.lock', 'w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SystemExit, match='at work in'):
            bench.main(command(configs, tmp_path / 'bench'))


def test_a_config_without_stages_is_one_run(runs, configs, tmp_path):
    run = runs.Run('oracle', str(configs['oracle']), 0, tmp_path / 'run', [])
    assert run.stages == [''] and not run.finished('')
    run.stage_folder('').mkdir()
    (tmp_path / 'run' / 'iter_4.pth').touch()
    (tmp_path / 'run' / 'last_checkpoint').write_text('/moved/since/iter_4.pth')
    assert not run.finished(''), 'a checkpoint alone does not say that training has ended'
    run.note_end('')
    assert run.finished('') and run.checkpoint == tmp_path / 'run' / 'iter_4.pth'
    assert '--stage' not in run.train_command('') and 'randomness.seed=0' in run.train_command('')


def test_stages_are_shared_only_when_everything_behind_them_is_equal(runs, configs, tmp_path):
    def marks(name, seed=0, options=()):
        return runs.Run(name, str(configs[name]), seed, tmp_path / name, list(options)).fingerprints

    first, second = marks('source_only'), marks('udape')
    assert first['pretrain'] == second['pretrain']
    assert marks('udape', seed=1)['pretrain'] != second['pretrain']
    longer = marks('udape', options=['stages.0.train_cfg.max_iters=8'])
    assert longer['pretrain'] != second['pretrain']
    assert longer['adapt'] != second['adapt'], 'a stage depends on the one whose weights it takes'


@pytest.mark.parametrize('entry', ['udape', 'udape=nowhere.py', '=a.py'])
def test_wrong_methods_are_refused(bench, capsys, entry):
    with pytest.raises(SystemExit):
        bench.main([entry])
    error = capsys.readouterr().err
    assert 'NAME=CONFIG' in error or 'no config' in error


def test_table_matches_closed_forms(bench):
    def entry(method, seed, value):
        metrics = {'PCK/head@0.1': 50.0, 'PCK/all@0.1': value, 'PCK/all@0.2': value + 20, 'sides': 0.5}
        by_bin = dict(bin_00=value + 9, bin_24=value - 9, head=value + 8, tail=value - 8, slope=-0.25)
        metrics.update({f'PCK/all@0.1_{what}': number for what, number in by_bin.items()})
        machine = dict(cores=2, threads=1, jobs=2, torch='2.0', device='cpu')
        minutes = dict(pretrain=10.0, adapt=2.0 + seed)
        return dict(method=method, seed=seed, metrics=metrics, minutes=minutes, iterations=9, machine=machine)

    values = dict(source_only=(50, 52), udape=(55, 58), oracle=(60, 64))
    results = [entry(m, s, v) for m, pair in values.items() for s, v in enumerate(pair)]
    text = bench.render(results, list(values), 'source_only', 'oracle')
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]
    assert ['udape', '56.5 ± 2.1', '50.0 ± 0.0'] in cells
    # closed: 5/10 and 6/12; gains 5 and 6; gaps 10 and 12
    assert ['udape', 'PCK/all@0.1', '5.5 ± 0.7', '11.0 ± 1.4', '50.0 ± 0.0', '50.0, 50.0'] in cells
    assert ['udape', '2', '9', '12.5 ± 0.7', 'pretrain 10.0 ± 0.0, adapt 2.5 ± 0.7'] in cells
    assert ['udape', '0.500 ± 0.000'] in cells
    assert ['udape', '64.5 ± 2.1', '48.5 ± 2.1', '-0.25 ± 0.00'] in cells, 'easiest and hardest bins, slope'
    assert 'bin_00' not in text

    partial = bench.render(results[:3], list(values), 'source_only', 'oracle')
    assert 'closed' not in partial and '| udape' in partial
    assert '| 55.0' in partial and '55.0 ±' not in partial, 'one seed has no spread'


def test_errors_of_lifters_are_laid_out_by_test_set_and_compared_with_the_same_lifter(bench):
    def entry(method, seed, value):
        metrics = {'lifting/MPJPE/run': value, 'lifting/MPJPE/frames': value / 2, 'lifting/PA-MPJPE/run': 40.0}
        machine = dict(cores=2, threads=1, jobs=2, torch='2.0', device='cpu')
        return dict(method=method, seed=seed, metrics=metrics, minutes=dict(adapt=1.0), iterations=9, machine=machine)

    values = dict(gcn_supervised=(100.0, 110.0), gcn_poseaug=(90.0, 94.0), mlp_poseaug=(1.0, 2.0))
    results = [entry(m, s, v) for m, pair in values.items() for s, v in enumerate(pair)]
    text = bench.render(results, list(values), 'source_only', 'oracle')
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if '|' in line]
    assert ['', 'run', 'frames'] in cells and ['', 'run'] in cells
    assert ['gcn_poseaug', '92.0 ± 2.8', '46.0 ± 1.4'] in cells
    assert ['gcn_poseaug', '13.0 ± 4.2', '6.5 ± 2.1'] in cells, 'gains of 10 and 16, not of the means alone'
    assert sum(row[0] == 'mlp_poseaug' for row in cells) == 3, 'without its baseline it has no gain: two tables, times'
    assert 'Other metrics' not in text
