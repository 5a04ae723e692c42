import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer

from mmposeda.visualization import error_by_action
from mmposeda.visualization.style import COLORS

RNG = np.random.default_rng(0)
SETS = ['walk', 'run', 'sit', 'eat']


def bars(axes):
    return [container.patches for container in axes.containers if isinstance(container, BarContainer)]


def heights(patches):
    return [bar.get_height() for bar in patches]


def test_bars_stand_by_action_with_the_mean_at_the_end():
    values = dict(baseline=RNG.uniform(40, 90, 4), augmented=RNG.uniform(40, 90, (3, 4)))
    figure = error_by_action({'': values}, SETS, title='errors')
    (axes,) = figure.axes
    one, three = bars(axes)
    assert heights(one) == pytest.approx([*values['baseline'], values['baseline'].mean()])
    rows = values['augmented']
    assert heights(three) == pytest.approx([*rows.mean(0), rows.mean()])
    assert all(a.get_x() + a.get_width() == pytest.approx(b.get_x()) for a, b in zip(one, three))
    (whiskers,) = (c for c in axes.containers if isinstance(c, ErrorbarContainer))
    lengths = [np.ptp(segment[:, 1]) for segment in whiskers.lines[2][0].get_segments()]
    assert lengths == pytest.approx(2 * np.array([*rows.std(0, ddof=1), rows.mean(1).std(ddof=1)]))
    assert [text.get_text() for text in axes.texts] == [f'{values["baseline"].mean():.1f}', f'{rows.mean():.1f}']
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['baseline', 'augmented']
    assert figure.legends[0].get_title().get_text() == 'errors'
    assert [label.get_text() for label in axes.get_xticklabels()] == [*SETS, 'mean']
    figure.canvas.draw()


def test_what_stands_apart_is_not_in_the_mean():
    values = RNG.uniform(100, 190, (3, 4))
    (axes,) = error_by_action({'': dict(a=values)}, SETS, apart=1).axes
    (drawn,) = bars(axes)
    assert heights(drawn) == pytest.approx([*values.mean(0), values[:, 1:].mean()])
    steps = np.diff([bar.get_x() + bar.get_width() / 2 for bar in drawn])
    assert steps[0] > 1.2 * steps[1] and steps[1] == pytest.approx(steps[2]) and steps[3] > steps[1]
    assert axes.get_xticklabels()[-1].get_text() == 'mean without\nwalk'
    lines = sorted(line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1)
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in drawn]
    assert ends[0][1] < lines[0] < ends[1][0] and ends[3][1] < lines[-1] < ends[4][0]
    assert axes.texts[0].get_text() == f'{values[:, 1:].mean():.0f}'


def test_a_method_has_one_colour_in_all_panels():
    panels = dict(first=dict(a=np.ones(4), b=np.ones(4)), second=dict(b=np.ones(4)), third=dict(c=np.ones((2, 4))))
    figure = error_by_action(panels, SETS, 'PCK (%)')
    drawn = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in drawn] == ['first', 'second', 'third']
    colors = [[to_hex(patches[0].get_facecolor()).upper() for patches in bars(axes)] for axes in drawn]
    assert colors == [list(COLORS[:2]), [COLORS[1]], [COLORS[2]]]
    assert bars(drawn[0])[1][0].get_x() == pytest.approx(bars(drawn[1])[0][0].get_x())
    assert len({axes.get_ylim() for axes in drawn}) == 1
    assert [axes.get_ylabel() for axes in drawn] == ['PCK (%)', '', 'PCK (%)']
    figure.canvas.draw()


def test_names_of_actions_do_not_run_into_each_other():
    actions = ['Directions', 'Discussion', 'Greeting', 'SittingDown', 'WalkTogether', 'Purchases', 'Photo', 'Phoning']
    for panels in (1, 4):
        values = dict(a=np.arange(8.0), b=np.r_[np.nan, np.ones(7)])
        figure = error_by_action({str(i): values for i in range(panels)}, actions)
        figure.canvas.draw()
        labels = figure.axes[0].get_xticklabels()
        if labels[0].get_rotation() == 0:
            boxes = [label.get_window_extent() for label in labels]
            assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:]))


def test_numbers_over_the_means_do_not_run_into_each_other():
    panel = {name: RNG.uniform(150, 155, (3, 5)) for name in ('supervised', 'random', 'no feedback', 'poseaug')}
    figure = error_by_action(dict.fromkeys(('vpose', 'mlp', 'gcn', 'stgcn'), panel), [*SETS, 'acrobatics'], apart=1)
    figure.canvas.draw()
    for axes in figure.axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 4 and all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:]))
        assert all(box.y1 < axes.title.get_window_extent().y0 for box in boxes)


def test_bars_need_a_value_for_each_action():
    with pytest.raises(ValueError, match=r"value for each of 2 actions, got \[\('a', \(1, 3\)\)\]"):
        error_by_action({'': dict(a=np.ones(3))}, ['walk', 'run'])
    for panels in ({}, {'': {}}):
        with pytest.raises(ValueError, match='expected 1 to 8 methods'):
            error_by_action(panels, ['walk'])
    with pytest.raises(ValueError, match='2 of 2 actions cannot stand apart: none is left'):
        error_by_action({'': dict(a=np.ones(2))}, ['walk', 'run'], apart=2)
