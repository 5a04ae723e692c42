import base64
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization.adaptation_report import AdaptationSummary, adaptation_report, moved_most, pair
from mmposeda.visualization.report import Report
from mmposeda.visualization.run_curves import curve_title, run_curves

SKELETON = Skeleton.from_metainfo('lsp')


class Text(HTMLParser):
    """What is read on a page, and its tables row by row."""

    def __init__(self, page):
        super().__init__()
        self.said, self.tables, self._silent, self._cell = [], [], False, False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self._silent = tag == 'style'
        if tag == 'table':
            self.tables.append([])
        elif tag == 'tr':
            self.tables[-1].append([])
        elif tag in ('td', 'th'):
            self.tables[-1][-1].append('')
            self._cell = True

    def handle_endtag(self, tag):
        self._cell = self._cell and tag not in ('td', 'th')

    def handle_data(self, data):
        if not self._silent:
            self.said.append(data)
            if self._cell:
                self.tables[-1][-1][-1] += data


def compared(pictures=5, joints=14, seed=0):
    rng = np.random.default_rng(seed)
    before = rng.uniform(0, 64, (pictures, joints, 2))
    after = before.copy()
    after[2] += [8, 0]
    after[4, 3] += [0, 6.4]
    moved = np.linalg.norm(after - before, axis=-1) / 64
    scores = rng.uniform(size=(2, pictures, joints))
    return SimpleNamespace(
        crops=[rng.integers(0, 256, (64, 48, 3), np.uint8) for _ in range(pictures)],
        names=[f'<b>{n}</b>.jpg' for n in range(pictures)],
        before=before,
        after=after,
        moved=moved,
        scores_before=scores[0],
        scores_after=scores[1],
    )


def summary(**changed):
    curves = {'loss': ([1, 2], [3.0, 2.0]), 'unsup_kept': ([1, 2], [0.5, 0.5]), 'lr': ([1, 2], [1e-4, 1e-5])}
    given = dict(
        title='mine & yours',
        subtitle='today',
        settings=dict(method='udape', iterations=2, command='python <this>'),
        target=['5 pictures'],
        source=['4 rendered people'],
        joints=[['neck']] * 13 + [None],
        minutes=dict(Adapting=3.0, Exporting=0.5),
        config='model = dict()',
        files=dict(checkpoint='out/model.pth'),
        curves=curves,
        warnings=[],
        panel=None,
    )
    return AdaptationSummary(**{**given, **changed})


def test_what_moved_most_comes_first():
    assert moved_most(compared().moved, 2) == [2, 4]


def test_a_pair_shows_one_crop_twice():
    data = compared()
    data.after = data.before
    picture = pair(data, 0, SKELETON)
    width = (picture.shape[1] - 6) // 2
    assert width == 48 * 5 and picture.shape[0] == 64 * 5  # enlarged to about 300 pixels
    below = slice(40, None)  # the names
    assert np.array_equal(picture[below, :width], picture[below, -width:])


def test_all_that_was_done_is_said_and_nothing_is_taken_for_html():
    page = adaptation_report(summary(warnings=['Sign of collapse: <spread>']), compared(), SKELETON, 4).html()
    text = Text(page)
    said = ' '.join(text.said)
    for part in ('mine & yours', 'python <this>', '5 pictures', '4 rendered people', 'out/model.pth', 'model = dict()'):
        assert part in said
    assert 'Sign of collapse: <spread>' in said and '<b>2</b>.jpg' in said
    assert 'No sign of collapse' not in said and '3.5' not in said and '4 min' in said
    movement = text.tables[0]
    assert [row[0] for row in movement[1:]] == [name.replace('_', ' ') for name in SKELETON.joint_names]
    assert len({len(row) for row in movement}) == 1
    # a fifth of the pictures moved by an eighth of the side
    assert movement[1][1] == '0.0' and movement[1][-1] == 'yes' and movement[-1][-1] == 'no'


def test_labels_add_a_table_of_accuracy():
    pck = {
        side: {f'PCK/{g}@{t}': value for g in ('head', 'all') for t in (0.05, 0.1)}
        for side, value in dict(before=40.0, after=42.5).items()
    }
    text = Text(adaptation_report(summary(pck=pck), compared(), SKELETON, 2).html())
    assert text.tables[0][1:] == [[g, *['40.0', '42.5', '+2.5'] * 2] for g in ('head', 'all')]
    assert '40.0 → 42.5' in text.said
    assert 'No sign of collapse was met.' in text.said


def test_pictures_are_inlined_as_they_were():
    report, picture = Report('page'), np.full((20, 30, 3), (200, 100, 50), np.uint8)
    report.picture(picture, 'a "quoted" name')
    page = report.html()
    (data,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    back = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert back.shape == picture.shape and np.abs(back.astype(int) - picture).max() < 6
    assert 'alt="a &quot;quoted&quot; name"' in page


def test_tables_show_what_has_no_number_as_a_dash():
    report = Report('page')
    report.table(['joint', 'moved'], [['a', float('nan')], ['b', 2.0], ['c', 1.0]], bars=1)
    rows = Text(report.html()).tables[0]
    assert [row[:2] for row in rows[1:]] == [['a', '–'], ['b', '2.0'], ['c', '1.0']]
    widths = [int(width) for width in re.findall(r'width:(\d+)px"></span>', report.html())]
    assert widths == [140, 70]


def test_curves_get_a_panel_each_under_names_in_words():
    curves = {f'unsup_{name}': (range(20), np.linspace(0, 1, 20)) for name in ('kept', 'merged', 'else')}
    figure = run_curves(curves)
    axes = [a for a in figure.axes if a.axison]
    assert [a.get_title() for a in axes] == [curve_title(name) for name in curves]
    assert axes[0].get_ylim() == (0, 1) and curve_title('unsup_else') == 'unsup else'
    # a straight line is its own running mean, but for the ends
    drawn = axes[0].lines[1].get_ydata()
    assert np.allclose(drawn[2:-2], np.linspace(0, 1, 20)[2:-2])
    with pytest.raises(ValueError, match='nothing was logged'):
        run_curves({})
