import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from zoo_results import SOURCE_ONLY, UDAPE, collect, pck, result

ROOT = Path(__file__).resolve().parents[2]
ZOO = ROOT / 'docs' / 'model_zoo'
CONFIGS = sorted(f'{p.relative_to(ROOT)}' for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts)


def section(zoo_root, title):
    text = (zoo_root / 'docs' / 'model_zoo.md').read_text()
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


class TestPage:
    TITLE = 'Rendered people to sport photos'

    def rows(self, zoo_main, zoo_root, tmp_path, **values):
        configs = dict(source_only=SOURCE_ONLY, udape=UDAPE, dann=UDAPE.replace('udape', 'dann'))
        for row, seeds in values.items():
            for seed, value in enumerate(seeds):
                result(tmp_path / 'bench', row, seed, pck(value), config=configs[row])
        collect(zoo_main, zoo_root, tmp_path / 'bench')
        zoo_main(['--root', str(zoo_root), 'write'])
        return section(zoo_root, self.TITLE)

    def test_says_what_does_not_beat_source_only(self, zoo_main, zoo_root, tmp_path):
        text = self.rows(
            zoo_main, zoo_root, tmp_path, source_only=[35.0, 36.0, 34.0], udape=[38.0, 39.1, 37.2], dann=[35.4]
        )
        assert '\n- Better: UDAPE (+3.1, 3 seeds).\n' in text
        assert '\n- **Not better**, within the spread of the seeds: DANN (+0.4, one seed).\n' in text
        assert '35.0 ± 1.0 | 45.0 ± 1.0 | 55.0 ± 1.0' in text and '| 35.4 | 45.4 | 55.4 |' in text

    def test_worse_is_worse_and_lower_errors_are_better(self, zoo_main, zoo_root, tmp_path):
        text = self.rows(zoo_main, zoo_root, tmp_path, source_only=[35.0], udape=[34.0])
        assert '\n- **Not better**: UDAPE (-1.0, one seed).\n' in text
        base = 'configs/causal_intervention/rendered_looks/{}_effnetlite0_1xb24_rendered-looks-128x128.py'
        for row, value in dict(source_only=190.0, dann=170.0, sd_td=191.0).items():
            metrics = {'lifting/MPJPE/frames': value, 'lifting/PA-MPJPE/frames': 1.0, 'lifting/PCK@150/frames': 1.0}
            result(tmp_path / 'looks', row, 0, metrics, config=base.format(row.replace('_', '-')))
        collect(zoo_main, zoo_root, tmp_path / 'looks')
        zoo_main(['--root', str(zoo_root), 'write'])
        text = section(zoo_root, 'Rendered people, tied to untied looks')
        assert '- Better: DANN (+20.0, one seed).' in text and '- **Not better**: SD + TD (-1.0, one seed).' in text

    def test_paper_and_ours_side_by_side_and_empty_where_there_is_none(self, zoo_main, zoo_root, tmp_path):
        zoo_main(['--root', str(zoo_root), 'write'])
        text = section(zoo_root, 'SURREAL to LSP')
        assert '**No runs of ours**' in text
        line = next(line for line in text.splitlines() if line.startswith('| RegDA |'))
        assert [cell.strip() for cell in line.split('|')[1:5]] == ['RegDA', '74.6', '', '']
        line = next(line for line in text.splitlines() if line.startswith('| DANN |'))
        assert [cell.strip() for cell in line.split('|')[1:7]] == ['DANN', '', '', '', '', '']
        config = 'configs/regda/surreal2lsp/regda_res101_1xb32-50k_surreal2lsp-256x256.py'
        result(tmp_path / 'bench', 'regda', 0, {'PCK_reference/all@0.05': 74.0}, config=config)
        collect(zoo_main, zoo_root, tmp_path / 'bench')
        zoo_main(['--root', str(zoo_root), 'write'])
        text = section(zoo_root, 'SURREAL to LSP')
        line = next(line for line in text.splitlines() if line.startswith('| RegDA |'))
        assert [cell.strip() for cell in line.split('|')[2:4]] == ['74.6', '74.0'] and 'No runs' not in text

    def test_a_column_of_several_metrics_is_their_mean(self, zoo):
        task = zoo.catalogue.load_catalogue(ZOO).tasks['cmu_walk2others']
        four = [zoo.page.values(task, 'mlp_random', name)[1] for name in ('run', 'dance', 'sport', 'acrobatics')]
        assert zoo.page.values(task, 'mlp_random', 'the four others')[1] == pytest.approx(np.mean(four))


class TestPapers:
    def change(self, zoo_root, edit):
        path = zoo_root / 'docs' / 'model_zoo' / 'papers.yml'
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
    def test_figures_without_a_place_are_named(self, zoo_main, zoo_root, edit, message):
        self.change(zoo_root, edit)
        with pytest.raises(SystemExit, match=message):
            zoo_main(['--root', str(zoo_root), 'write'])

    def test_figures_that_one_paper_gives_twice_are_one_line(self, zoo):
        row = zoo.catalogue.load_catalogue(ZOO).tasks['surreal2lsp'].rows['udape']
        assert [(f.paper, f.where) for f in row.figures] == [
            ('udape', 'quoted by Dua et al., table 1'),
            ('sampling', 'table 1, rerun; table 2, rerun'),
        ]
        assert row.figures[1].values['All'] == 80.6 and row.figures[1].values['EvalPose'] == 61.5
