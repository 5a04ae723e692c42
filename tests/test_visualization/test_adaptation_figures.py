"""Figures of pseudo-labels, of two heads' maps and of two domains' features show what they are given."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmposeda.structures.skeleton import metainfo_path
from mmposeda.visualization import DomainFeatures, HeadMaps, LabelledPictures, domain_maps, label_sheet, map_panel
from mmposeda.visualization.adaptation import threshold_between
from mmposeda.visualization.plane import in_plane
from mmposeda.visualization.style import COLORS

INFO = parse_pose_metainfo(dict(from_file=metainfo_path('lsp')))
JOINTS, HEADER, GAP = 14, 18, 3


def labelled(count=3, size=(32, 24), seed=0, kept=None):
    """Black pictures (w, h) with joints anywhere on them."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, size, (count, JOINTS, 2))
    kept = rng.random((count, JOINTS)) > 0.5 if kept is None else np.full((count, JOINTS), kept)
    pictures = np.zeros((count, *size[::-1], 3), np.uint8)
    return LabelledPictures(pictures, points, kept, rng.random((count, JOINTS)))


def painted(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


class TestLabelSheet:
    def test_a_row_a_group_and_a_histogram_of_all_labels(self):
        groups = dict(surest=labelled(), least=labelled(2, seed=1))
        confidence = np.random.default_rng(0).random((40, JOINTS))
        figure = label_sheet(groups, confidence, confidence > 0.7, INFO, title='mine')
        *pictures, histogram = figure.axes
        assert [len(axes.images) for axes in pictures] == [1] * 5 and not histogram.images
        boxes = [axes.get_position() for axes in figure.axes]
        assert boxes[0].y0 == boxes[2].y0 > boxes[3].y0 == boxes[4].y0 > boxes[5].y1
        assert boxes[0].x0 < boxes[1].x0 < boxes[2].x0 and boxes[0].x0 == boxes[3].x0
        texts = [text.get_text() for text in figure.texts]
        for name, group in groups.items():
            assert name in texts
            for kept, sure in zip(group.kept, group.confidence):
                assert f'mean {sure.mean():.2f}, {kept.sum()}/14 kept' in texts
        assert painted(figure).std() > 5

    @pytest.mark.parametrize('kept, strong, weak', [(True, 1, 0), (False, 0, 1)])
    def test_kept_joints_are_green_and_others_red_where_they_are(self, kept, strong, weak):
        group = labelled(1, size=(48, 48), kept=kept)
        group.points[:] = np.nan
        group.points[0, 3] = 30, 12
        shown = label_sheet(dict(all=group), np.ones((1, JOINTS)), np.full((1, JOINTS), kept), 'lsp').axes[0].images[0]
        picture = np.asarray(shown.get_array())
        rows, columns = np.nonzero(picture.any(-1))
        scale = picture.shape[1] / 48
        assert abs(rows.mean() - (12.5 * scale - 0.5)) < 1 and abs(columns.mean() - (30.5 * scale - 0.5)) < 1
        color = picture[rows, columns].mean(0)
        assert color[strong] > 2 * color[weak]

    def test_the_histogram_counts_every_label_once(self):
        confidence = np.random.default_rng(1).random((30, JOINTS))
        keep = confidence > 0.6
        axes = label_sheet(dict(all=labelled()), confidence, keep, INFO).axes[-1]
        heights = np.array([[bar.get_height() for bar in bars] for bars in axes.containers])
        assert heights.sum(1) == pytest.approx([100 * keep.mean(), 100 - 100 * keep.mean()])
        threshold = threshold_between(confidence, keep)
        assert confidence[~keep].max() <= threshold <= confidence[keep].min()
        for bars, side in zip(axes.containers, (1, -1)):  # no bar lies on both sides of it
            filled = [bar for bar in bars if bar.get_height()]
            edges = np.array([[bar.get_x(), bar.get_x() + bar.get_width()] for bar in filled])
            assert (side * (edges - threshold)).min() > -1e-9
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert f'threshold {threshold:.2f}' in labels and f'kept, {100 * keep.mean():.0f} %' in labels

    def test_no_line_is_drawn_where_joints_have_thresholds_of_their_own(self):
        confidence = np.random.default_rng(1).random((30, JOINTS))
        keep = confidence > np.linspace(0.2, 0.8, JOINTS)
        assert threshold_between(confidence, keep) is None
        assert not label_sheet(dict(all=labelled()), confidence, keep, INFO).axes[-1].lines
        assert threshold_between(confidence, np.ones_like(keep)) is None

    def test_what_does_not_fit_is_refused(self):
        confidence, keep = np.ones((5, JOINTS)), np.ones((5, JOINTS), bool)
        with pytest.raises(ValueError, match='expected pictures in every group and 14 joints'):
            label_sheet({}, confidence, keep, INFO)
        with pytest.raises(ValueError, match="14 joints of joint set 'lsp'"):
            group = labelled()
            label_sheet(dict(all=group._replace(points=group.points[:, 1:])), confidence, keep, INFO)
        with pytest.raises(ValueError, match=r'expected finite confidence \(N, 14\)'):
            label_sheet(dict(all=labelled()), confidence * np.nan, keep, INFO)
        with pytest.raises(ValueError, match=r'got \(5, 14\) and \(4, 14\)'):
            label_sheet(dict(all=labelled()), confidence, keep[1:], INFO)


def maps_at(main, adversarial, cells=(8, 6), factor=4.0):
    """Maps (W, H) of one cell each, over a grey picture ``factor`` times as large; the false ones are empty."""
    found = []
    for place in (main, adversarial, None):
        part = np.zeros((1, cells[1], cells[0]), np.float32)
        if place is not None:
            part[0, place[1], place[0]] = 3.0
        found.append(part)
    size = int(cells[1] * factor), int(cells[0] * factor)
    return HeadMaps(np.full((1, *size, 3), 120, np.uint8), *found, (factor, factor))


class TestMapPanel:
    def columns(self, maps, cell=160):
        panel = map_panel(maps, 'left_wrist', cell)
        assert panel.shape[1] == 4 * cell and panel.dtype == np.uint8
        return np.split(panel[HEADER:], 4, axis=1)

    def test_heat_is_where_the_largest_cell_is(self):
        cell, cells = 160, (2, 4)
        plain, cold = (self.columns(maps_at(place, (6, 1)), cell)[1].astype(int) for place in (cells, (7, 0)))
        # cell p stands for pixel 4 p, which is drawn five times as large
        x, y = ((np.array(cells) * 4 + 0.5) * cell / 32 - 0.5).round().astype(int)
        warm = plain[..., 0] - cold[..., 0]
        rows, columns = np.nonzero(warm > 60)
        assert abs(np.median(columns) - x) <= 3 and abs(np.median(rows) - y) <= 3

    def test_each_place_is_marked_in_its_maps(self):
        (x, y), (u, v) = (((np.array(p) * 4 + 0.5) * 5 - 0.5).round().astype(int) for p in ((2, 4), (6, 1)))
        first, main, adversarial, false = self.columns(maps_at((2, 4), (6, 1)))
        for picture in (first, main, adversarial, false):
            assert tuple(picture[y, x]) == (90, 255, 90)
        assert tuple(adversarial[v, u]) == (90, 200, 255)
        assert all(tuple(picture[v, u]) != (90, 200, 255) for picture in (first, main, false))

    def test_a_row_a_picture(self):
        one = maps_at((2, 4), (6, 1))
        three = HeadMaps(*(np.repeat(part, 3, 0) for part in one[:4]), one.scale_factor)
        assert len(map_panel(three, 'left_wrist', 160)) == HEADER + 3 * 120
        assert len(map_panel(one, 'left_wrist', 64)) == HEADER + 48

    def test_what_does_not_fit_is_refused(self):
        maps = maps_at((2, 4), (6, 1))
        with pytest.raises(ValueError, match='the adversarial maps of left_wrist are not finite'):
            map_panel(maps._replace(adversarial=maps.adversarial * np.nan), 'left_wrist')
        with pytest.raises(ValueError, match='expected maps .* of each of 1 pictures'):
            map_panel(maps._replace(false=maps.false[:, 1:]), 'left_wrist')
        with pytest.raises(ValueError, match='of each of 0 pictures'):
            map_panel(HeadMaps(*(part[:0] for part in maps[:4]), (4.0, 4.0)), 'left_wrist')


def two_domains(gap, count=20, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(2 * count, 6))
    features[:count, 0] += gap
    return DomainFeatures(features, np.arange(2 * count) < count, 0.875)


class TestDomainMaps:
    @pytest.mark.parametrize('method', ['tsne', 'pca'])
    def test_a_panel_a_model_and_a_colour_a_domain(self, method):
        models = {f'model {i}': two_domains(gap) for i, gap in enumerate((0, 3, 30, 9))}
        figure = domain_maps(models, method, title='mine')
        panels = [axes for axes in figure.axes if axes.axison]
        assert [axes.get_title() for axes in panels] == list(models)
        for axes in panels:
            points = axes.collections[0]
            colors = [to_hex(color).upper() for color in points.get_facecolor()]
            assert {color: colors.count(color) for color in COLORS[:2]} == dict.fromkeys(COLORS[:2], 20)
            assert 'tells 88 % right' in axes.get_xlabel()
            places = np.asarray(points.get_offsets())
            assert places.min() >= 0 and places.max() <= 1
        far = panels[2].collections[0]
        source = np.array([to_hex(color).upper() == COLORS[0] for color in far.get_facecolor()])
        places = np.asarray(far.get_offsets())
        middles = [places[chosen].mean(0) for chosen in (source, ~source)]
        nearest = np.linalg.norm(places[:, None] - np.stack(middles), axis=-1).argmin(1)
        assert (nearest == ~source).all(), 'domains far apart are so in the plane'
        assert painted(figure).std() > 5

    def test_is_the_same_again_whatever_the_random_state(self):
        first, again = (painted(domain_maps(dict(one=two_domains(1)))) for _ in range(2))
        assert (first == again).all()

    def test_what_does_not_fit_is_refused(self):
        one = two_domains(1)
        with pytest.raises(ValueError, match='one model at least'):
            domain_maps({})
        with pytest.raises(ValueError, match='mine: its features are not finite'):
            domain_maps(dict(mine=one._replace(features=one.features * np.nan)))
        with pytest.raises(ValueError, match='mine: expected features .* of two domains'):
            domain_maps(dict(mine=one._replace(labelled=np.ones(40, bool))))
        with pytest.raises(ValueError, match='method must be one of'):
            domain_maps(dict(mine=one), 'umap')


class TestPlane:
    def test_pca_keeps_distances_of_features_in_a_plane(self):
        rng = np.random.default_rng(0)
        flat = rng.normal(size=(12, 2)) @ np.linalg.qr(rng.normal(size=(7, 2)))[0].T
        places = in_plane(flat, 'pca')
        wanted, found = (np.linalg.norm(x[:, None] - x, axis=-1) for x in (flat, places))
        ratio = found[0, 1] / wanted[0, 1]
        assert found == pytest.approx(ratio * wanted) and np.ptp(places, 0).max() == pytest.approx(1)

    @pytest.mark.parametrize('method', ['tsne', 'pca'])
    @pytest.mark.parametrize('shape', [(4, 1), (2, 5), (30, 3)])
    def test_equal_and_few_features_have_places(self, method, shape):
        for features in (np.zeros(shape), np.random.default_rng(0).normal(size=shape)):
            places = in_plane(features, method)
            assert places.shape == (shape[0], 2) and np.isfinite(places).all()

    def test_single_features_are_refused(self):
        with pytest.raises(ValueError, match='N of 2 at least'):
            in_plane(np.ones((1, 4)))
