import numpy as np
import pytest
from matplotlib.colors import to_hex

from mmposeda.visualization import quality_curves
from mmposeda.visualization.style import COLORS


def run(offset=0.0, three=True, iterations=(0, 100, 200)):
    rows = []
    for n, iteration in enumerate(iterations):
        row = {'iter': iteration, 'right': 0.5 + 0.1 * n + offset, 'kept': 0.5, 'precision': 0.6, 'ever_correct': 0.4}
        row['right/Fin'] = 0.2
        if n:
            row['repeat'] = 0.27
        rows.append({**row, **(dict(overlap=0.4 + 0.2 * n) if three else {})})
    return rows


def lines(figure):
    """Panel -> method -> line."""
    shown = [axes for axes in figure.axes if axes.axison]
    return {axes.get_title(): {line.get_label(): line for line in axes.lines} for axes in shown}


def test_a_panel_a_number_and_a_line_a_method():
    found = lines(quality_curves(dict(both=[run()], pseudo=[run(0.1, three=False)])))
    assert list(found) == [
        'right',
        'kept',
        'right of those kept',
        'right and kept at least once',
        'overlap of 2D and 3D masks (IoU)',
        'wrong and kept, now and last time (IoU)',
    ]
    right = found['right']
    assert right['both'].get_xydata() == pytest.approx(np.array([[0, 0.5], [100, 0.6], [200, 0.7]]))
    assert [to_hex(right[name].get_color()).upper() for name in ('both', 'pseudo')] == list(COLORS[:2])
    assert found['overlap of 2D and 3D masks (IoU)']['pseudo'].get_xydata().size == 0
    assert found['wrong and kept, now and last time (IoU)']['both'].get_xdata().tolist() == [100, 200]


def test_lines_are_means_over_seeds_and_bands_their_deviations():
    figure = quality_curves(dict(both=[run(), run(0.2)]))
    assert lines(figure)['right']['both'].get_ydata() == pytest.approx([0.6, 0.7, 0.8])
    (band,) = figure.axes[0].collections
    low, high = (f(band.get_paths()[0].vertices[:, 1]) for f in (np.min, np.max))
    assert (low, high) == pytest.approx((0.6 - np.sqrt(0.02), 0.8 + np.sqrt(0.02)))


def test_runs_of_other_lengths_count_where_they_are():
    figure = quality_curves(dict(both=[run(), run(0.2, iterations=(0, 100))]))
    assert lines(figure)['right']['both'].get_ydata() == pytest.approx([0.6, 0.7, 0.7])


def test_a_group_has_its_own_numbers():
    figure = quality_curves(dict(both=[run()]), 'Fin')
    found = lines(figure)
    assert list(found) == ['right'] and found['right']['both'].get_ydata().tolist() == [0.2] * 3
    assert figure.get_supylabel() == '% (joints of Fin)'
    low, high = figure.axes[0].get_ylim()
    assert high - low == pytest.approx(0.1), 'a number that does not change looks like one'


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="nothing was measured of group 'Head'; groups are Fin"):
        quality_curves(dict(both=[run()]), 'Head')
    with pytest.raises(ValueError, match='expected 1 to 8 methods, got 9'):
        quality_curves({str(i): [run()] for i in range(9)})
