"""Labels of a whole set against references made another way."""

import cv2
import numpy as np
import pytest
import torch
from labelled_model import build, prepared

from mmposeda.models.adapters import cc_ssl
from mmposeda.models.heatmap_estimator import HeatmapLayout
from mmposeda.models.relabelling import FlowFollower, TurnRange, kept_share, label_views, prefer_flow
from mmposeda.structures.heatmap import gaussian_heatmaps
from mmposeda.structures.warp import transform_points, warp


def test_kept_shares_are_the_published_ones():
    epochs = np.arange(0, 60, 10)
    published = 1 - np.maximum(0.2, 1 - 0.02 * (epochs + 10))
    np.testing.assert_allclose([kept_share(epoch / 60) for epoch in epochs], published)
    np.testing.assert_allclose(published, [0.2, 0.4, 0.6, 0.8, 0.8, 0.8])
    assert kept_share(0.1, first=0.5, last=1.0, ramp=0.2) == 0.75


class TestTurns:
    def test_are_clipped_normals(self):
        turns = TurnRange(rotation=30, scale=0.25, probability=0.6)
        linear = turns.sample(20000, (64, 64), generator=torch.Generator().manual_seed(0))[:, :2, :2]
        side = 1 / torch.linalg.det(linear).sqrt()
        angle = torch.atan2(linear[:, 0, 1], linear[:, 0, 0]) * 180 / torch.pi
        assert side.min() == pytest.approx(0.75, abs=1e-4) and side.max() == pytest.approx(1.25, abs=1e-4)
        assert (side > 1.2499).float().mean() == pytest.approx(0.1587, abs=0.01), 'beyond one deviation'
        assert (angle.abs() > 1e-3).float().mean() == pytest.approx(0.6, abs=0.02)
        turned = angle[angle.abs() > 1e-3]
        assert turned.abs().max() == pytest.approx(60, abs=1e-2)
        assert (turned.abs() <= 30).float().mean() == pytest.approx(0.683, abs=0.02)

    def test_keep_the_centre_and_may_be_nothing(self):
        matrices = TurnRange().sample(50, (48, 32))
        centre = torch.tensor([[[23.5, 15.5]]])
        torch.testing.assert_close(transform_points(centre, matrices), centre.expand(50, 1, 2), atol=1e-4, rtol=0)
        still = TurnRange(rotation=0, scale=0).sample(3, (48, 32))
        torch.testing.assert_close(still, torch.eye(3).repeat(3, 1, 1), atol=1e-5, rtol=0)

    @pytest.mark.parametrize('bad', [dict(rotation=-1), dict(scale=1.0), dict(probability=1.1)], ids=str)
    def test_bad_ranges_are_refused(self, bad):
        with pytest.raises(ValueError, match=next(iter(bad))):
            TurnRange(**bad)


class TestLabelling:
    layout = HeatmapLayout((128, 96), (32, 24), (4.0, 4.0), 2.0, 3)

    def pictures(self, number=6):
        generator = torch.Generator().manual_seed(1)
        cells = torch.randint(0, 8, (number, 3, 2), generator=generator).float() + torch.tensor([12.0, 8.0])
        return gaussian_heatmaps(cells * 4, self.layout.input_size, 8.0, cut=9), cells * 4

    @staticmethod
    def read(images):
        """A network that is equivariant: channel k of the picture is the heatmap of joint k."""
        return images[..., ::4, ::4]

    def views(self, pictures, number=4):
        matrices = TurnRange().sample(len(pictures) * number, (128, 96), generator=torch.Generator().manual_seed(2))
        return warp(pictures.repeat_interleave(number, 0), matrices), matrices

    def test_an_equivariant_network_labels_as_without_turned_views(self):
        pictures, places = self.pictures()
        alone = label_views(self.read, pictures, pictures[:0], torch.zeros(0, 3, 3), self.layout)
        together = label_views(self.read, pictures, *self.views(pictures), self.layout)
        assert torch.equal(alone[0], places)
        assert torch.equal(together[0], places)
        assert (alone[1] == 1).all() and (together[1] > 0.9).all() and (together[1] <= 1).all()

    def test_views_outvote_the_picture_itself(self):
        pictures, places = self.pictures(1)

        def wrong_on_the_picture(images):
            out = self.read(images).clone()
            out[0] = 0
            out[0, :, 3, 3] = 1.5
            return out

        labels, confidence = label_views(wrong_on_the_picture, pictures, *self.views(pictures), self.layout)
        assert torch.equal(labels, places)
        assert (confidence < 0.85).all(), 'the disagreement shows in the confidence'

    def test_batches_do_not_matter(self, estimator, make_batch):
        model = build(estimator).eval()
        images = prepared(model, make_batch(target=6))['inputs']['target']
        matrices = model.turns.sample(24, (48, 32), generator=torch.Generator().manual_seed(0)).view(6, 4, 3, 3)
        whole = model.label(images, matrices)
        parts = [model.label(images[i : i + 2], matrices[i : i + 2]) for i in (0, 2, 4)]
        assert torch.equal(whole[0], torch.cat([part[0] for part in parts]))
        torch.testing.assert_close(whole[1], torch.cat([part[1] for part in parts]))

    def test_views_are_black_outside(self, estimator, monkeypatch):
        seen = []
        model = build(estimator)
        monkeypatch.setattr(cc_ssl, 'predict_heatmaps', lambda net, x: seen.append(x) or torch.rand(len(x), 3, 8, 12))
        half = torch.eye(3).repeat(1, 1, 1, 1)
        half[..., 0, 2] = 24.0
        white = torch.full((1, 3, 32, 48), (255 - 120) / 60)
        model.label(white, half)
        assert torch.equal(seen[0][0], white[0])
        torch.testing.assert_close(seen[0][1, :, :, 25:], white[0, :, :, 25:])
        torch.testing.assert_close(seen[0][1, :, :, :23], torch.full((3, 32, 23), -2.0))


class TestTemporal:
    def test_the_rule_by_hand(self):
        labels, flow = np.zeros((5, 2)), np.ones((5, 2))
        confidence = np.array([0.8, 0.85, 0.1, -0.1, 0.0])
        before = np.array([1.0, 0.9, 0.0, 0.2, 0.0])  # 0: moved too far
        places, sure = prefer_flow(labels, confidence, flow, before)
        np.testing.assert_array_equal(places[:, 0], [1, 0, 0, 1, 0])
        np.testing.assert_allclose(sure, [0.9, 0.85, 0.1, 0.18, 0.0])

    @pytest.fixture
    def film(self):
        """Frames of a texture that moves by (3, -2) pixels each, and the places of four points on it."""
        rng = np.random.default_rng(0)
        texture = cv2.GaussianBlur(rng.integers(0, 256, (200, 200), dtype=np.uint8), (0, 0), 2)
        texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)
        frames = [texture[60 + 2 * t : 156 + 2 * t, 60 - 3 * t : 188 - 3 * t] for t in range(4)]
        start = np.array([[40.0, 40.0], [60.0, 50.0], [80.0, 60.0], [30.0, 70.0]])
        places = np.stack([start + t * np.array([3.0, -2.0]) for t in range(4)])
        return torch.from_numpy(np.stack(frames)[:, None].repeat(3, 1)), torch.tensor(places, dtype=torch.float32)

    def test_a_sure_label_travels_with_the_picture(self, film):
        frames, places = film
        labels, confidence = torch.zeros(4, 4, 2), torch.full((4, 4), 0.1)
        labels[0], confidence[0] = places[0], 1.0
        confidence[2, 0], labels[2, 0] = 0.95, torch.tensor([7.0, 7.0])  # this frame knows better
        paths = [f'clip/{i}.jpg' for i in range(4)]
        moved, sure = FlowFollower(max_motion=15 / 128)(frames, paths, labels, confidence)
        torch.testing.assert_close(moved[:, 1:], places[:, 1:], atol=0.3, rtol=0)
        torch.testing.assert_close(sure[:, 1], torch.tensor([1, 0.9, 0.81, 0.729]))
        assert moved[2, 0].tolist() == [7, 7] and sure[2, 0] == pytest.approx(0.95)
        assert (labels[1] == 0).all(), 'what came in is left alone'
        one_by_one = FlowFollower(max_motion=15 / 128)
        parts = [one_by_one(frames[[i]], paths[i : i + 1], labels[[i]], confidence[[i]]) for i in range(4)]
        assert torch.equal(torch.cat([part[0] for part in parts]), moved)

    def test_too_wide_a_motion_counts_for_nothing(self, film):
        frames, places = film
        labels, confidence = places[[0, 0]].clone(), torch.tensor([[1.0] * 4, [0.1] * 4])
        moved, sure = FlowFollower(max_motion=3 / 128)(frames[:2], ['a/1', 'a/2'], labels, confidence)
        assert torch.equal(moved, labels) and torch.equal(sure, confidence)

    @pytest.mark.parametrize('second', ['b/0.jpg', 'a/0.jpg'])
    def test_another_video_or_the_same_picture_begins_anew(self, film, second):
        frames, places = film
        labels, confidence = places[[0, 0]].clone(), torch.tensor([[1.0] * 4, [0.1] * 4])
        moved, sure = FlowFollower(max_motion=15 / 128)(frames[:2], ['a/0.jpg', second], labels, confidence)
        assert torch.equal(moved, labels) and torch.equal(sure, confidence)
