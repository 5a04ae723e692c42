import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ZOO = ROOT / 'docs' / 'model_zoo'
CONFIGS = sorted(f'{p.relative_to(ROOT)}' for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts)
UDAPE = 'configs/udape/synthbody2lsp/udape_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py'
SOURCE_ONLY = 'configs/source_only/synthbody2lsp/source-only_effnetlite0_1xb32-3k_synthbody2lsp-128x128.py'
MACHINE = dict(device='x86_64', torch='2.13.0+cpu')


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.chdir(ROOT)


@pytest.fixture
def zoo(path):
    import zoo.catalogue
    import zoo.page
    import zoo.records
    import zoo.runs

    return zoo


@pytest.fixture
def main(path):
    import model_zoo

    return model_zoo.main


@pytest.fixture
def root(tmp_path):
    """A repository with the tasks and papers of ours, and no record."""
    folder = tmp_path / 'repository' / 'docs' / 'model_zoo'
    folder.mkdir(parents=True)
    for name in ('tasks.yml', 'papers.yml'):
        shutil.copy(ZOO / name, folder)
    (folder.parent / 'methods').mkdir()
    return folder.parents[1]


def pck(value):
    return {f'PCK/all@{thr}': value + 10 * i for i, thr in enumerate(('0.05', '0.1', '0.2'))}


def result(work_dir, row, number, metrics, config=UDAPE, **changes):
    content = dict(
        method=row,
        seed=number,
        config=config,
        checkpoint='iter_400.pth',
        iterations=400,
        minutes=dict(pretrain=41.24, adapt=13.69),
        machine=MACHINE,
        fingerprint='0',
        metrics=metrics,
    )
    path = work_dir / row / f'seed_{number}' / 'result.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **changes}))
    return path


def collect(main, root, work_dir, *flags):
    main(['--root', str(root), 'collect', str(work_dir), *map(str, flags)])


def record(root, task='synthbody2lsp', row='udape'):
    return root / 'docs' / 'model_zoo' / 'runs' / task / f'{row}.json'


def section(root, title):
    text = (root / 'docs' / 'model_zoo.md').read_text()
    return text[text.index(f'### {title}\n') :].split('\n### ')[0]


class TestOurPage:
    def test_is_what_the_script_writes(self, zoo):
        text = zoo.page.render(zoo.catalogue.load_catalogue(ZOO), ROOT)
        assert (ROOT / 'docs' / 'model_zoo.md').read_text() == text, 'run python tools/model_zoo.py write'

    def test_every_config_is_in_it_or_left_out_for_a_reason(self, zoo):
        catalogue = zoo.catalogue.load_catalogue(ZOO)
        listed = catalogue.configs()
        lost = [config for config in CONFIGS if (config in listed) == bool(catalogue.why_excluded(config))]
        assert not lost, 'they need a row in docs/model_zoo/tasks.yml, or a reason among its excluded ones, not both'

    def test_every_link_leads_somewhere(self, zoo):
        text = (ROOT / 'docs' / 'model_zoo.md').read_text()
        anchors = {zoo.page.anchor(title) for title in re.findall(r'^#+ (.+)$', text, re.MULTILINE)}
        links = set(re.findall(r'\]\(([^)]+)\)', text))
        assert len(links) > 200
        for link in links:
            name, _, heading = link.partition('#')
            assert heading in anchors if not name else (ROOT / 'docs' / name).exists(), link

    def test_no_exclusion_and_no_row_is_of_nothing(self, zoo):
        catalogue = zoo.catalogue.load_catalogue(ZOO)
        assert catalogue.configs() <= set(CONFIGS)
        left_out = [config for config in CONFIGS if catalogue.why_excluded(config)]
        for pattern in catalogue.excluded:
            assert any(Path(config).match(f'configs/{pattern}') for config in left_out), pattern

    def test_rows_of_the_small_tasks_are_those_of_the_benchmarks(self, zoo):
        """So that a benchmark's work folder can be recorded as it is."""
        catalogue = zoo.catalogue.load_catalogue(ZOO)
        for path in (ROOT / 'tools' / 'benchmarks').glob('*.txt'):
            for line in path.read_text().splitlines():
                row, _, config = line.partition('=')
                if ' ' not in config:
                    assert [place.name for _, place in catalogue.places(config)] == [row], line

    def test_records_are_small(self):
        paths = list((ZOO / 'runs').rglob('*.json'))
        assert paths and max(path.stat().st_size for path in paths) < 12000


class TestRecords:
    def test_mean_and_spread_are_numpys(self, main, root, tmp_path):
        values = [38.031735, 37.5, 37.912345]
        for seed, value in enumerate(values):
            result(tmp_path / 'bench', 'udape', seed, pck(value))
        collect(main, root, tmp_path / 'bench', '--commit', 'abc1234')
        content = json.loads(record(root).read_text())
        entry = content['summary']['PCK/all@0.05']
        assert entry['seeds'] == 3
        assert entry['mean'] == pytest.approx(np.mean(values), abs=1e-4)
        assert entry['spread'] == pytest.approx(np.std(values, ddof=1), abs=1e-4)
        run = content['runs'][1]
        assert (run['commit'], run['seed'], run['iterations']) == ('abc1234', 1, 400)
        assert run['minutes'] == dict(pretrain=41.2, adapt=13.7) and run['machine'] == MACHINE
        assert content['config'] == UDAPE

    def test_one_seed_has_no_spread_and_bins_are_left_out(self, main, root, tmp_path):
        extra = {'PCK/all@0.1_bin_03': 1.0, 'PCK/unbinned': 1.0, 'PCK/all@0.1_head': 77.0, 'x/actions': float('nan')}
        result(tmp_path, 'udape', 0, {**pck(38.0), **extra})
        collect(main, root, tmp_path)
        content = json.loads(record(root).read_text())
        assert content['summary']['PCK/all@0.05'] == dict(mean=38.0, seeds=1, spread=None)
        assert set(content['summary']) == {*pck(0), 'PCK/all@0.1_head'}

    def test_seeds_are_added_and_replaced(self, main, root, tmp_path):
        for folder, seed, value in (('a', 0, 38.0), ('a', 1, 37.0), ('b', 1, 36.0), ('b', 2, 35.0)):
            result(tmp_path / folder, 'udape', seed, pck(value))
        collect(main, root, tmp_path / 'a', '--commit', 'first')
        collect(main, root, tmp_path / 'b', '--commit', 'second')
        runs = json.loads(record(root).read_text())['runs']
        assert [(run['seed'], run['commit'], run['metrics']['PCK/all@0.05']) for run in runs] == [
            (0, 'first', 38.0),
            (1, 'second', 36.0),
            (2, 'second', 35.0),
        ]

    def test_files_and_page_are_stable(self, main, root, tmp_path):
        for seed in (1, 0):
            result(tmp_path / 'bench', 'udape', seed, dict(reversed(pck(38.0 + seed).items())))
        collect(main, root, tmp_path / 'bench')
        main(['--root', str(root), 'write'])
        first = record(root).read_bytes(), (root / 'docs' / 'model_zoo.md').read_bytes()
        record(root).unlink()
        for seed in (0, 1):
            result(tmp_path / 'again', 'udape', seed, pck(38.0 + seed))
        collect(main, root, tmp_path / 'again')
        main(['--root', str(root), 'write'])
        assert (record(root).read_bytes(), (root / 'docs' / 'model_zoo.md').read_bytes()) == first

    def test_unfinished_runs_are_named_and_left_out(self, main, root, tmp_path, capsys):
        result(tmp_path, 'udape', 0, pck(38.0))
        (tmp_path / 'udape' / 'seed_1' / 'adapt').mkdir(parents=True)
        collect(main, root, tmp_path)
        assert 'not finished: udape/seed_1' in capsys.readouterr().out
        assert len(json.loads(record(root).read_text())['runs']) == 1

    def test_the_same_run_from_two_folders_counts_once(self, main, root, tmp_path):
        result(tmp_path / 'a', 'udape', 0, pck(38.0))
        result(tmp_path / 'b', 'udape', 0, {**pck(38.0), 'PCK/all@0.1_head': 77.0})
        main(['--root', str(root), 'collect', str(tmp_path / 'a'), str(tmp_path / 'b')])
        (run,) = json.loads(record(root).read_text())['runs']
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
    def test_bad_results_are_named(self, main, root, tmp_path, changes, message):
        result(tmp_path, 'udape', 0, **{'metrics': pck(38.0), **changes})
        with pytest.raises(SystemExit, match=message):
            collect(main, root, tmp_path)
        assert not record(root).exists()

    def test_damaged_and_foreign_results_are_named(self, main, root, tmp_path):
        path = result(tmp_path, 'udape', 0, pck(38.0))
        path.write_text(path.read_text()[:100])
        with pytest.raises(SystemExit, match=r'seed_0/result.json is no whole JSON file .* was it cut off'):
            collect(main, root, tmp_path)
        path.write_text('{"seed": 0}')
        with pytest.raises(SystemExit, match='it lacks config, method, iterations'):
            collect(main, root, tmp_path)

    def test_empty_folders_and_two_results_of_a_seed_are_refused(self, main, root, tmp_path):
        with pytest.raises(SystemExit, match='holds no runs: expected ROW/seed_N'):
            collect(main, root, tmp_path)
        for folder, value in (('a', 38.0), ('b', 39.0)):
            result(tmp_path / folder, 'udape', 0, pck(value))
        with pytest.raises(SystemExit, match=r'both are seed 0 of .*, but PCK/all@0.05 is 38.0 and 39.0'):
            main(['--root', str(root), 'collect', str(tmp_path / 'a'), str(tmp_path / 'b')])

    def test_rows_of_changed_configs_are_left_out_by_name(self, main, root, tmp_path):
        for row, value in (('udape', 38.0), ('udape_slow', 20.0)):
            result(tmp_path, row, 0, pck(value))
            result(tmp_path, row, 1, pck(value))
        with pytest.raises(SystemExit, match='udape, udape_slow all are of .* with --only'):
            collect(main, root, tmp_path)
        collect(main, root, tmp_path, '--only', 'udape', '--seeds', 1)
        (run,) = json.loads(record(root).read_text())['runs']
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
    def test_spoilt_records_are_named(self, main, root, tmp_path, spoil, message):
        result(tmp_path, 'udape', 0, pck(38.0))
        collect(main, root, tmp_path)
        content = json.loads(record(root).read_text())
        spoil(content)
        record(root).write_text(json.dumps(content))
        with pytest.raises(SystemExit, match=message):
            main(['--root', str(root), 'write'])

    def test_records_of_no_row_and_cut_ones_are_named(self, main, root, tmp_path):
        result(tmp_path, 'udape', 0, pck(38.0))
        collect(main, root, tmp_path)
        other = shutil.copy(record(root), record(root, row='unheard_of'))
        with pytest.raises(SystemExit, match='unheard_of.json is of no row'):
            main(['--root', str(root), 'write'])
        Path(other).unlink()
        record(root).write_text(record(root).read_text()[:200])
        with pytest.raises(SystemExit, match=r'udape.json is no whole JSON file'):
            main(['--root', str(root), 'write'])


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

    def test_validation_of_the_last_iteration(self, main, root, tmp_path):
        collect(main, root, self.write(tmp_path / 'run'))
        (run,) = json.loads(record(root, row='source_only').read_text())['runs']
        assert (run['seed'], run['iterations'], run['metrics']) == (5, 400, pck(35.0))
        assert run['machine'] == dict(device='CPU', torch='2.4.1+cpu')
        assert run['minutes'] == {'frontal': 10.0, 'pretrain': 65.0, 'continue': 10.0}

    def test_a_test_counts_before_a_validation(self, main, root, tmp_path):
        folder = self.write(tmp_path / 'run', validated=200)
        with pytest.raises(SystemExit, match=r'iteration 400, the last, was not evaluated: run tools/test.py'):
            collect(main, root, folder)
        (folder / 'metrics.json').write_text(json.dumps(pck(36.0)))
        collect(main, root, folder)
        assert json.loads(record(root, row='source_only').read_text())['runs'][0]['metrics'] == pck(36.0)

    def test_log_of_a_test(self, main, root, tmp_path):
        folder = self.write(tmp_path / 'run', validated=200)
        log = folder / 'test' / '20260102_120000' / '20260102_120000.json'
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps({**pck(36.5), 'data_time': 0.1, 'time': 0.2}))
        collect(main, root, folder)
        assert json.loads(record(root, row='source_only').read_text())['summary']['PCK/all@0.05']['mean'] == 36.5

    def test_cut_logs_and_foreign_configs_are_named(self, main, root, tmp_path):
        folder = self.write(tmp_path / 'run')
        log = folder / 'continue' / '20260101_120000' / 'vis_data' / 'scalars.json'
        log.write_text(log.read_text()[:-20])
        with pytest.raises(SystemExit, match=r'line 5 of .*scalars.json is no JSON'):
            collect(main, root, folder)
        for path in folder.glob('*/*.py'):
            path.rename(path.with_name('mine.py'))
        with pytest.raises(SystemExit, match=r'expected the copy of one config of the model zoo, found mine.py'):
            collect(main, root, folder)


class TestPage:
    TITLE = 'Rendered people to sport photos'

    def rows(self, main, root, tmp_path, **values):
        configs = dict(source_only=SOURCE_ONLY, udape=UDAPE, dann=UDAPE.replace('udape', 'dann'))
        for row, seeds in values.items():
            for seed, value in enumerate(seeds):
                result(tmp_path / 'bench', row, seed, pck(value), config=configs[row])
        collect(main, root, tmp_path / 'bench')
        main(['--root', str(root), 'write'])
        return section(root, self.TITLE)

    def test_says_what_does_not_beat_source_only(self, main, root, tmp_path):
        text = self.rows(main, root, tmp_path, source_only=[35.0, 36.0, 34.0], udape=[38.0, 39.1, 37.2], dann=[35.4])
        assert '\n- Better: UDAPE (+3.1, 3 seeds).\n' in text
        assert '\n- **Not better**, within the spread of the seeds: DANN (+0.4, one seed).\n' in text
        assert '35.0 ± 1.0 | 45.0 ± 1.0 | 55.0 ± 1.0' in text and '| 35.4 | 45.4 | 55.4 |' in text

    def test_worse_is_worse_and_lower_errors_are_better(self, main, root, tmp_path):
        text = self.rows(main, root, tmp_path, source_only=[35.0], udape=[34.0])
        assert '\n- **Not better**: UDAPE (-1.0, one seed).\n' in text
        base = 'configs/causal_intervention/rendered_looks/{}_effnetlite0_1xb24_rendered-looks-128x128.py'
        for row, value in dict(source_only=190.0, dann=170.0, sd_td=191.0).items():
            metrics = {'lifting/MPJPE/frames': value, 'lifting/PA-MPJPE/frames': 1.0, 'lifting/PCK@150/frames': 1.0}
            result(tmp_path / 'looks', row, 0, metrics, config=base.format(row.replace('_', '-')))
        collect(main, root, tmp_path / 'looks')
        main(['--root', str(root), 'write'])
        text = section(root, 'Rendered people, tied to untied looks')
        assert '- Better: DANN (+20.0, one seed).' in text and '- **Not better**: SD + TD (-1.0, one seed).' in text

    def test_paper_and_ours_side_by_side_and_empty_where_there_is_none(self, main, root, tmp_path):
        main(['--root', str(root), 'write'])
        text = section(root, 'SURREAL to LSP')
        assert '**No runs of ours**' in text
        line = next(line for line in text.splitlines() if line.startswith('| RegDA |'))
        assert [cell.strip() for cell in line.split('|')[1:5]] == ['RegDA', '74.6', '', '']
        line = next(line for line in text.splitlines() if line.startswith('| DANN |'))
        assert [cell.strip() for cell in line.split('|')[1:7]] == ['DANN', '', '', '', '', '']
        config = 'configs/regda/surreal2lsp/regda_res101_1xb32-50k_surreal2lsp-256x256.py'
        result(tmp_path / 'bench', 'regda', 0, {'PCK_reference/all@0.05': 74.0}, config=config)
        collect(main, root, tmp_path / 'bench')
        main(['--root', str(root), 'write'])
        text = section(root, 'SURREAL to LSP')
        line = next(line for line in text.splitlines() if line.startswith('| RegDA |'))
        assert [cell.strip() for cell in line.split('|')[2:4]] == ['74.6', '74.0'] and 'No runs' not in text

    def test_a_column_of_several_metrics_is_their_mean(self, zoo):
        task = zoo.catalogue.load_catalogue(ZOO).tasks['cmu_walk2others']
        four = [zoo.page.values(task, 'mlp_random', name)[1] for name in ('run', 'dance', 'sport', 'acrobatics')]
        assert zoo.page.values(task, 'mlp_random', 'the four others')[1] == pytest.approx(np.mean(four))


class TestPapers:
    def change(self, root, edit):
        path = root / 'docs' / 'model_zoo' / 'papers.yml'
        content = yaml.safe_load(path.read_text())
        edit(content['regda']['tables'][0])
        path.write_text(yaml.safe_dump(content))

    @pytest.mark.parametrize(
        ('edit', 'message'),
        [
            (lambda table: table['rows'].update(unheard_of=[1, 2, 3, 4, 5]), "row 'unheard_of' of 'rhd2h3d'"),
            (lambda table: table.update(task='nowhere'), "of 'nowhere', which tasks.yml lacks"),
            (lambda table: table['rows']['regda'].pop(), 'regda has 4 figures for columns MCP, PIP, DIP, Fin, All'),
            (lambda table: table['columns'].__setitem__(0, 'Toe'), 'has Toe of rhd2h3d, .*, but no such column'),
        ],
    )
    def test_figures_without_a_place_are_named(self, main, root, edit, message):
        self.change(root, edit)
        with pytest.raises(SystemExit, match=message):
            main(['--root', str(root), 'write'])

    def test_figures_that_one_paper_gives_twice_are_one_line(self, zoo):
        row = zoo.catalogue.load_catalogue(ZOO).tasks['surreal2lsp'].rows['udape']
        assert [(f.paper, f.where) for f in row.figures] == [
            ('udape', 'quoted by Dua et al., table 1'),
            ('sampling', 'table 1, rerun; table 2, rerun'),
        ]
        assert row.figures[1].values['All'] == 80.6 and row.figures[1].values['EvalPose'] == 61.5
