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


def test_adaptation_panel_has_a_column_a_view():
    pictures = torch.zeros(5, 3, 16, 16)
    preview = {
        'source': pictures,
        'teacher view': pictures,
        'student view': pictures,
        'points': torch.full((5, 2, 2), 8.0),
        'kept': torch.ones(5, 2, dtype=torch.bool),
    }
    panel = adaptation_panel(preview, MEAN, STD, [(0, 1)], samples=4)
    assert panel.shape[1] == 3 * 16 and panel.shape[0] > 4 * 16
    labelled = panel[-64:, 32:]
    assert (labelled[8, 8] == (60, 220, 60)).all()
