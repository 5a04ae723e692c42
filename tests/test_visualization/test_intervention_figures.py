"""Figures of interventions."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmposeda.evaluation import cluster_numbers, interventional_distances
from mmposeda.structures.skeleton import metainfo_path
from mmposeda.visualization import feature_map, reconstruction_rows, sensitivity_figure
from mmposeda.visualization.interventions import _SIDE, _free_places
from mmposeda.visualization.style import COLORS

INFO = parse_pose_metainfo(dict(from_file=metainfo_path('lsp')))


@pytest.fixture
def seen():
    """Features and predictions of three poses under twelve nuisances, and the poses."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 1, 16)) + 0.1 * rng.normal(size=(3, 12, 16))
    poses = rng.normal(size=(3, 14, 3)) / 3
    return features, poses, poses[:, None] + 0.05 * rng.normal(size=(3, 12, 14, 3))


def painted(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


class TestFeatureMap:
    def test_a_colour_and_a_skeleton_a_pose(self, seen):
        features, poses, _ = seen
        figure = feature_map(features, poses, 'lsp', title='mine')
        (axes,) = figure.axes
        points, *skeletons = axes.collections
        assert points.get_offsets().shape == (36, 2)
        colors = [to_hex(color).upper() for color in points.get_facecolor()]
        assert colors == list(COLORS[:3]) * 12
        assert [to_hex(lines.get_color()[0]).upper() for lines in skeletons] == list(COLORS[:3])
        assert all(len(lines.get_segments()) == len(INFO['skeleton_links']) for lines in skeletons)
        numbers = cluster_numbers(features)
        assert f'silhouette by pose {numbers["silhouette"]:.2f}, distance within' in axes.get_xlabel()
        assert painted(figure).std() > 5

    def test_features_of_a_pose_lie_together(self, seen):
        features, poses, _ = seen
        plane = feature_map(features, poses, INFO).axes[0].collections[0].get_offsets().reshape(12, 3, 2)
        assert cluster_numbers(np.asarray(plane).swapaxes(0, 1))['silhouette'] > 0.5

    def test_is_the_same_again(self, seen):
        features, poses, _ = seen
        first, again = (painted(feature_map(features, poses, 'lsp')) for _ in range(2))
        assert (first == again).all()

    def test_hidden_joints_are_not_drawn(self, seen):
        features, poses, _ = seen
        visible = np.ones((3, 14))
        visible[1, 13] = 0
        _, *skeletons = feature_map(features, poses, 'lsp', visible).axes[0].collections
        first, second, _ = (len(lines.get_segments()) for lines in skeletons)
        assert second < first

    def test_features_that_are_all_the_same_are_drawn(self, seen):
        assert painted(feature_map(np.ones((2, 6, 8)), seen[1][:2], 'lsp')).std() > 5

    def test_skeletons_lie_over_no_feature_and_no_other(self):
        rng = np.random.default_rng(1)
        plane = rng.uniform(0.2, 0.8, (8, 1, 2)) + 0.03 * rng.normal(size=(8, 40, 2))
        corners = _free_places(plane)
        for i, corner in enumerate(corners):
            assert not ((plane > corner) & (plane < corner + _SIDE)).all(-1).any()
            assert all((np.abs(corner - other) > _SIDE).any() for other in corners[:i])

    def test_skeletons_find_a_place_in_a_crowd(self):
        corners = _free_places(np.random.default_rng(0).uniform(-1, 2, (8, 150, 2)))
        assert len({tuple(corner) for corner in corners}) == 8 and np.isfinite(corners).all()

    def test_what_does_not_fit_is_refused(self, seen):
        features, poses, _ = seen
        with pytest.raises(ValueError, match=r"\(3, 13, 3\), expected finite \(3, 14, 3\) for joint set 'lsp'"):
            feature_map(features, poses[:, 1:], 'lsp')
        with pytest.raises(ValueError, match='expected 2 to 8 poses'):
            feature_map(features[[0] * 9], poses[[0] * 9], 'lsp')
        with pytest.raises(ValueError, match='are not finite'):
            feature_map(features * np.nan, poses, 'lsp')


class TestReconstructions:
    def test_rows_are_pictures_and_what_is_kept(self):
        rng = np.random.default_rng(0)
        domains = {
            name: tuple(rng.integers(0, 255, (b, 16, 16, 3), dtype=np.uint8) for _ in range(2))
            for name, b in (('source', 5), ('dusk', 3))
        }
        figure = reconstruction_rows(domains, count=4, title='mine')
        shown = [axes.images[0].get_array() for axes in figure.axes]
        assert [picture.shape for picture in shown] == [(16, 64, 3)] * 2 + [(16, 48, 3)] * 2
        assert (shown[1][:, 16:32] == domains['source'][1][1]).all()
        texts = [text.get_text() for text in figure.texts]
        assert texts[:6] == ['picture', 'reconstruction', 'source', 'picture', 'reconstruction', 'dusk']
        assert painted(figure).std() > 5

    @pytest.mark.parametrize('shapes', [{}, dict(a=(2, 3)), dict(a=(0, 0))])
    def test_what_does_not_fit_is_refused(self, shapes):
        domains = {name: tuple(np.zeros((b, 4, 4, 3), np.uint8) for b in pair) for name, pair in shapes.items()}
        with pytest.raises(ValueError, match='expected pictures and as many reconstructions'):
            reconstruction_rows(domains)


class TestSensitivity:
    def test_a_column_a_pose_and_a_bar_a_joint(self, seen):
        _, poses, predicted = seen
        figure = sensitivity_figure(predicted, poses, 'lsp', title='mine')
        *panels, bars = figure.axes
        assert len(panels) == 6
        links = len(INFO['skeleton_links'])
        assert [len(lines.get_segments()) for lines in panels[0].collections] == [12 * links, links]
        distances = interventional_distances(predicted)
        assert [panel.get_title() for panel in panels[:3]] == [f'{x:.0f} mm' for x in distances.mean(1)]
        assert [bar.get_height() for bar in bars.patches] == pytest.approx(list(distances.mean(0)))
        names = [label.get_text() for label in bars.get_xticklabels()]
        assert names == [INFO['keypoint_id2name'][i].replace('_', ' ') for i in range(14)]
        assert f'Mean distance of two predictions: {distances.mean():.1f} mm' in figure.get_suptitle()
        assert painted(figure).std() > 5

    def test_hidden_joints_do_not_count(self, seen):
        _, poses, predicted = seen
        visible = np.ones((3, 14))
        visible[0, 2], visible[:, 5] = 0, 0
        *panels, bars = sensitivity_figure(predicted, poses, 'lsp', visible).axes
        distances = interventional_distances(predicted)
        heights = [bar.get_height() for bar in bars.patches]
        assert heights[2] == pytest.approx(distances[1:, 2].mean()) and np.isnan(heights[5])
        assert panels[0].get_title() == f'{distances[0][visible[0] > 0].mean():.0f} mm'

    def test_predictions_that_do_not_move_have_no_bars(self, seen):
        _, poses, _ = seen
        *_, bars = sensitivity_figure(poses[:, None].repeat(4, 1), poses, 'lsp').axes
        assert [bar.get_height() for bar in bars.patches] == [0] * 14

    def test_what_does_not_fit_is_refused(self, seen):
        _, poses, predicted = seen
        with pytest.raises(ValueError, match='other joints'):
            sensitivity_figure(predicted[:, :, 1:], poses, 'lsp')
        with pytest.raises(ValueError, match=r'expected finite \(3, 14, 3\)'):
            sensitivity_figure(predicted, poses[:2], 'lsp')
