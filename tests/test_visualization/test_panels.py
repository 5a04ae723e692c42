"""Panels show the pictures they are given."""

import numpy as np
import torch

from mmposeda.visualization import adaptation_panel, draw_skeleton, grid, to_uint8

MEAN, STD = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1), torch.tensor([50.0, 60.0, 70.0]).view(1, 3, 1, 1)


def test_normalisation_is_undone_exactly():
    pictures = torch.randint(0, 256, (2, 3, 8, 6)).float()
    shown = to_uint8((pictures - MEAN) / STD, MEAN, STD)
    assert np.array_equal(shown, pictures.permute(0, 2, 3, 1).numpy().astype(np.uint8))


def test_joints_and_links_are_drawn_where_they_are():
    image = np.zeros((40, 60, 3), np.uint8)
    out = draw_skeleton(image, np.array([[10.0, 5.0], [50.0, 30.0], [np.nan, 3.0]]), [(0, 1), (1, 2)])
    assert image.max() == 0
    assert (out[5, 10] > 0).any() and (out[30, 50] > 0).any()
    rows, columns = out.any(-1).nonzero()
    assert rows.min() >= 3 and rows.max() <= 32 and columns.min() >= 8 and columns.max() <= 52


def test_dropped_joints_are_red_and_unlinked():
    out = draw_skeleton(np.zeros((40, 40, 3), np.uint8), np.array([[5.0, 20.0], [35.0, 20.0]]), [(0, 1)], [True, False])
    assert out[20, 5, 1] > out[20, 5, 0] and out[20, 35, 0] > out[20, 35, 1]
    assert not out[:, 15:25].any()


def test_grid_keeps_every_picture_under_its_header():
    columns = {name: np.full((3, 10, 12, 3), value, np.uint8) for name, value in (('a', 50), ('b', 90))}
    sheet = grid(columns)
    body = sheet[-30:]
    assert sheet.shape[1] == 24 and (body[:, :12] == 50).all() and (body[:, 12:] == 90).all()


def test_a_gap_leaves_the_edge_of_each_picture_white():
    columns = {name: np.full((2, 10, 12, 3), value, np.uint8) for name, value in (('a', 50), ('b', 90))}
    body = grid(columns, gap=2)[-20:]
    assert (body[:8, :10] == 50).all() and (body[10:18, 12:22] == 90).all()
    assert all((white == 255).all() for white in (body[8:10], body[18:], body[:, 10:12], body[:, 22:]))
    assert (columns['a'] == 50).all()


def shown():
    pictures = torch.zeros(5, 3, 16, 16)
    return {
        'source': pictures,
        'teacher view': pictures,
        'student view': pictures,
        'points': torch.full((5, 2, 2), 8.0),
        'kept': torch.ones(5, 2, dtype=torch.bool),
    }


def test_adaptation_panel_has_a_column_a_view():
    panel = adaptation_panel(shown(), MEAN, STD, [(0, 1)], samples=4)
    assert panel.shape[1] == 3 * 16 and panel.shape[0] > 4 * 16
    labelled = panel[-64:, 32:]
    assert (labelled[8, 8] == (60, 220, 60)).all()


def test_what_is_hidden_from_the_student_is_framed_and_not_covered():
    hidden = torch.zeros(5, 16, 16, dtype=torch.bool)
    hidden[0, 4:8, 5:11] = True
    panel = adaptation_panel({**shown(), 'hidden': hidden}, MEAN, STD, [(0, 1)])
    assert panel.shape[1] == 4 * 16
    first, second = (panel[-64 + top : -64 + top + 16, 32:48] for top in (0, 16))
    rows, columns = np.nonzero((first == (255, 255, 0)).all(-1))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 8, 4, 11)
    assert not (first[4:8, 5:11] == (255, 255, 0)).all(-1).any()
    assert not (second == (255, 255, 0)).all(-1).any(), 'nothing is hidden in the second'


def test_adaptation_panel_is_enlarged_with_its_joints():
    panel = adaptation_panel(shown(), MEAN, STD, [(0, 1)], samples=2, cell=64)
    assert panel.shape[1] == 3 * 64 and len(panel) - 2 * 64 == len(grid({'a': np.zeros((1, 1, 9, 3), np.uint8)})) - 1
    labelled = panel[-128:, 128:]
    green = np.nonzero((labelled[:64] == (60, 220, 60)).all(-1))
    # the centre of pixel 8 is that of the four pixels from 32 to 35
    assert all(abs(np.mean(place) - 33.5) <= 1 for place in green)
