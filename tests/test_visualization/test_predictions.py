import numpy as np
import pytest

from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization import draw_pose, prediction_panel

LSP = Skeleton.from_metainfo('lsp')


def one_joint(name, at, size=20, scale=3):
    points = np.full((LSP.num_joints, 2), np.nan)
    points[LSP.index(name)] = at
    return draw_pose(np.zeros((size, size, 3), np.uint8), points, LSP, scale=scale).astype(int)


def test_joints_sit_where_the_enlarged_pixel_is():
    drawn = one_joint('left_wrist', (12, 5)).sum(-1)
    rows, columns = np.nonzero(drawn)
    centre = np.average(columns, weights=drawn[rows, columns]), np.average(rows, weights=drawn[rows, columns])
    assert centre == pytest.approx((12.5 * 3 - 0.5, 5.5 * 3 - 0.5), abs=0.3)


def test_sides_have_their_colours():
    left, right = one_joint('left_knee', (9, 9)), one_joint('right_knee', (9, 9))
    assert left[..., 2].max() > left[..., 0].max() and right[..., 0].max() > right[..., 2].max()


def test_hidden_joints_and_their_links_are_not_drawn():
    points = np.random.default_rng(0).uniform(2, 18, (LSP.num_joints, 2))
    nothing = draw_pose(np.zeros((20, 20, 3), np.uint8), points, LSP, np.zeros(LSP.num_joints, bool))
    assert not nothing.any()


def test_panel_has_a_row_a_picture_and_a_column_a_name():
    images = [np.full((10, 12, 3), 90, np.uint8)] * 3
    poses = [np.full((LSP.num_joints, 2), 5.0)] * 3
    panel = prediction_panel({'plain': (images, None), 'posed': (images, poses)}, LSP, scale=2)
    body = panel[-3 * 20 :]
    assert panel.shape[1] == 2 * 24
    assert (body[:, :24] == 90).all() and (body[:, 24:] != 90).any()


def test_columns_of_different_lengths_are_refused():
    images = [np.zeros((10, 12, 3), np.uint8)] * 3
    with pytest.raises(ValueError, match="'b': 2"):
        prediction_panel({'a': (images, None), 'b': (images[:2], None)}, LSP)
