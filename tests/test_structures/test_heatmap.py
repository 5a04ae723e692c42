"""Gaussians against a loop and against MMPose's codec."""

import math

import numpy as np
import pytest
import torch
from mmpose.codecs import MSRAHeatmap

from mmposeda.structures.heatmap import gaussian_heatmaps, heatmap_argmax


def loop(points, size, sigma):
    out = torch.zeros(*points.shape[:2], size[1], size[0])
    for b, k in np.ndindex(*points.shape[:2]):
        for y in range(size[1]):
            for x in range(size[0]):
                dx, dy = x - points[b, k, 0], y - points[b, k, 1]
                if max(abs(dx), abs(dy)) <= 3 * sigma:
                    out[b, k, y, x] = math.exp(-(dx**2 + dy**2) / (2 * sigma**2))
    return out


def test_equals_a_naive_loop_also_at_borders_and_outside():
    points = torch.tensor([[[3, 4], [0, 0], [18, 2], [-4, 5], [40, 40]]]).float()
    drawn = gaussian_heatmaps(points, (20, 12), 2.0)
    torch.testing.assert_close(drawn, loop(points, (20, 12), 2.0), atol=1e-6, rtol=0)
    assert drawn[0, 4].sum() == 0


def test_equals_mmpose_codec():
    rng = np.random.default_rng(0)
    codec = MSRAHeatmap(input_size=(192, 256), heatmap_size=(48, 64), sigma=2)
    keypoints = rng.uniform(0, [192, 256], (1, 17, 2))
    encoded = codec.encode(keypoints, np.ones((1, 17)))['heatmaps']
    cells = torch.from_numpy((keypoints / 4 + 0.5).astype(np.int64)).float()
    torch.testing.assert_close(gaussian_heatmaps(cells, (48, 64), 2.0)[0], torch.from_numpy(encoded), atol=1e-6, rtol=0)


def test_value_one_cell_away_and_support():
    h = gaussian_heatmaps(torch.tensor([[[10.0, 10.0]]]), (32, 32), 2.0)[0, 0]
    assert h[10, 10] == 1
    assert h[10, 11].item() == pytest.approx(math.exp(-1 / 8))
    assert h[10, 17] == 0 and h[10, 16] > 0


def test_redrawing_is_idempotent_and_nan_draws_nothing():
    points = torch.tensor([[[10.0, 10.0], [float('nan'), 3.0]]])
    h = gaussian_heatmaps(points, (32, 32), 2.0)
    assert h[0, 1].sum() == 0
    again = gaussian_heatmaps(heatmap_argmax(h)[0], (32, 32), 2.0)
    assert torch.equal(again[0, 0], h[0, 0])


def test_argmax_of_a_negative_map_is_its_peak():
    h = torch.full((1, 1, 8, 6), -5.0)
    h[0, 0, 7, 2] = -1
    points, peaks = heatmap_argmax(h)
    assert points.tolist() == [[[2.0, 7.0]]] and peaks.item() == -1
