import cv2
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.container import BarContainer, ErrorbarContainer

from mmposeda.datasets.images import PictureError
from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization import accuracy_bars, bin_examples, hardest_sheet, similarity_map

LSP = Skeleton.from_metainfo('lsp')
LINKS = sum(parent >= 0 for parent in LSP.parents)


def poses(count=40, seed=0, joints=14):
    rng = np.random.default_rng(seed)
    return rng.uniform(5, 60, (count, joints, 2)).astype(np.float32), np.ones((count, joints), np.float32)


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def lines(axes):
    return [s for c in axes.collections if isinstance(c, LineCollection) for s in c.get_segments()]


def examples(points, visible, k=4, count=40, **kwargs):
    order = np.random.default_rng(1).permutation(count)
    scores, bins = np.empty(count), np.empty(count, int)
    scores[order] = np.geomspace(0.001, 2, count)
    bins[order] = np.arange(count) * k // count
    return bin_examples(points, visible, scores, bins, LSP, k, **kwargs), scores, bins


def test_every_bin_has_its_examples_in_its_column():
    points, visible = poses()
    figure, scores, bins = examples(points, visible, examples=3)
    drawn = lines(figure.axes[0])
    assert len(drawn) == 4 * 3 * LINKS
    columns = np.array([segment.mean(0)[0] for segment in drawn]).round()
    assert (np.bincount(columns.astype(int)) == 3 * LINKS).all()
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert heights == pytest.approx([np.median(scores[bins == j]) for j in range(4)])
    assert figure.axes[1].get_yscale() == 'log' and len(np.unique(pixels(figure))) > 10


def test_poses_keep_their_shape_and_stand_upright():
    points, visible = poses(1)
    points = points * [[[1, 2]]]
    figure, *_ = examples(points, visible, k=1, count=1, examples=1)
    drawn = np.concatenate(lines(figure.axes[0]))
    extent, true = np.ptp(drawn, 0), np.ptp(points[0], 0)
    assert extent[1] / extent[0] == pytest.approx(true[1] / true[0]) and extent.max() <= 1.2 + 1e-6
    head = LSP.index('head_top')
    points[0, head] = points[0].mean(0) - [0, 500]
    figure, *_ = examples(points, visible, k=1, count=1, examples=1)
    ys = np.concatenate(lines(figure.axes[0]))[:, 1]
    assert ys.max() > 0 and np.median(ys) < 0  # the head is on top


def test_hidden_joints_and_empty_bins_are_left_out():
    points, visible = poses()
    visible[:, LSP.index('right_knee')] = 0
    points[:, LSP.index('right_knee')] = np.nan
    figure, *_ = examples(points, visible)
    assert len(lines(figure.axes[0])) == 4 * 3 * (LINKS - 2)
    scores, bins = np.ones(40), np.full(40, -1)
    bins[:2] = 3
    figure = bin_examples(points, np.zeros_like(visible), scores, bins, LSP, 5)
    assert not lines(figure.axes[0]) and np.isfinite(pixels(figure)).all()
    with pytest.raises(ValueError, match='none of the 40 poses is in a bin'):
        bin_examples(points, visible, scores, np.full(40, -1), LSP)


def test_bars_stand_side_by_side_at_their_heights():
    rng = np.random.default_rng(0)
    values = dict(one=rng.uniform(40, 90, 25), three=rng.uniform(40, 90, (3, 25)))
    figure = accuracy_bars(values, 'PCK', title='a task')
    one, three = (c.patches for c in figure.axes[0].containers if isinstance(c, BarContainer))
    assert [bar.get_height() for bar in one] == pytest.approx(values['one'])
    assert [bar.get_height() for bar in three] == pytest.approx(values['three'].mean(0))
    assert all(a.get_x() + a.get_width() == pytest.approx(b.get_x()) for a, b in zip(one, three))
    (whiskers,) = (c for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer))
    whisker = whiskers.lines[2][0].get_segments()[4]
    assert np.ptp(whisker[:, 1]) == pytest.approx(2 * values['three'][:, 4].std(ddof=1))
    legend = figure.legends[0]
    labels = [text.get_text() for text in legend.get_texts()]
    slope = np.polyfit(np.arange(25), values['one'], 1)[0]
    assert labels[0] == f'one: {slope:+.2f} a bin, hardest 5: {values["one"][20:].mean():.1f}'
    pixels(figure)
    assert legend.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1  # above, not over the bars


def test_bars_need_methods_with_the_same_bins():
    with pytest.raises(ValueError, match="same number of bins, got {'a': 25, 'b': 5}"):
        accuracy_bars(dict(a=np.ones(25), b=np.ones(5)))
    with pytest.raises(ValueError, match='expected 1 to 8 methods'):
        accuracy_bars({})
    pixels(accuracy_bars(dict(a=np.r_[np.nan, np.ones(24)])))


def test_the_map_shows_the_matrix_and_grey_where_there_is_nothing():
    matrix = np.linspace(0.8, 1, 16).reshape(4, 4)
    matrix[3, 3] = np.nan
    figure = similarity_map(matrix)
    shown = figure.axes[0].images[0].get_array()
    assert (shown.mask == np.isnan(matrix)).all() and (shown.data[~shown.mask] == matrix[~shown.mask]).all()
    box = figure.axes[0].get_window_extent()
    drawn = pixels(figure)[::-1]
    corner = drawn[int(box.y0) + 20, int(box.x1) - 20]
    assert (corner == corner[0]).all()
    for wrong in (np.ones((2, 3)), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match=r'expected a \(k, k\) matrix'):
            similarity_map(wrong)


def test_hardest_come_first_and_those_without_a_score_not_at_all():
    points, visible = poses()
    scores = np.linspace(0, 1, 40)
    scores[39] = np.nan
    figure = hardest_sheet(points, visible, scores, LSP, names=[f'n{i}' for i in range(40)], count=7, columns=3)
    told = [text.get_text() for text in figure.axes[0].texts]
    assert told[0::2] == [f'{rank}.  n{i}' for rank, i in enumerate(range(38, 31, -1), 1)]
    assert told[1] == f'{scores[38]:.3g}' and len(lines(figure.axes[0])) == 7 * LINKS
    size = pixels(figure).shape
    assert size[0] > 3 * 180 and size[1] > 3 * 180  # three rows of three
    with pytest.raises(ValueError, match='none of the 40 poses has a score'):
        hardest_sheet(points, visible, np.full(40, np.nan), LSP)


def test_pictures_are_cropped_around_the_pose_with_it_drawn_on(tmp_path):
    points, visible = poses(2)
    path = str(tmp_path / 'x.png')
    picture = np.full((80, 400, 3), (40, 80, 120), np.uint8)
    picture[:, 200:] = 255 - picture[:, 200:]  # nobody is there
    cv2.imwrite(path, picture[..., ::-1])
    figure = hardest_sheet(points, visible, np.ones(2), LSP, paths=[path] * 2, cell=120)
    sheet = figure.axes[0].images[0].get_array()
    assert (sheet == (40, 80, 120)).all(-1).sum() > 2 * 120 * 120 // 3
    assert not (sheet == (215, 175, 135)).all(-1).any()
    assert ((sheet == (60, 140, 255)).all(-1).sum() > 50) and ((sheet == (255, 90, 60)).all(-1).sum() > 50)


@pytest.mark.parametrize('where', [(-3000, 40), (5000, -5000), (1e6, 1e6)])
def test_poses_beside_their_picture_are_no_trouble(tmp_path, where):
    path = str(tmp_path / 'x.png')
    cv2.imwrite(path, np.zeros((50, 70, 3), np.uint8))
    points, visible = poses(1)
    for moved in (points + where, np.where(np.arange(14)[:, None] == 3, points + where, points)):
        pixels(hardest_sheet(moved.astype(np.float32), visible, np.ones(1), LSP, paths=[path], cell=60))
    pixels(hardest_sheet(points * np.nan, visible, np.ones(1), LSP, paths=[path], cell=60))


def test_missing_and_broken_pictures_are_named(tmp_path):
    points, visible = poses(1)
    with pytest.raises(FileNotFoundError, match='none.jpg'):
        hardest_sheet(points, visible, np.ones(1), LSP, paths=[str(tmp_path / 'none.jpg')])
    (tmp_path / 'bad.jpg').write_bytes(b'no picture')
    with pytest.raises(PictureError, match='bad.jpg'):
        hardest_sheet(points, visible, np.ones(1), LSP, paths=[str(tmp_path / 'bad.jpg')])


def test_poses_of_another_joint_set_are_refused():
    points, visible = poses(joints=16)
    for draw in (
        lambda: bin_examples(points, visible, np.ones(40), np.zeros(40, int), LSP),
        lambda: hardest_sheet(points, visible, np.ones(40), LSP),
    ):
        with pytest.raises(ValueError, match="got keypoints .40, 16, 2.*'lsp' has 14 joints"):
            draw()
