"""CC-SSL's table, views and loss against references made another way."""

import copy

import cv2
import numpy as np
import pytest
import torch
from labelled_model import build, prepared
from mmengine.optim import OptimWrapper
from mmengine.runner.checkpoint import load_state_dict
from mmpose.codecs import MSRAHeatmap

from mmposeda.models.adapters import cc_ssl
from mmposeda.models.adapters.cc_ssl import LabelledViews
from mmposeda.models.pseudo_labels import collapse_signs
from mmposeda.models.relabelling import TurnRange
from mmposeda.models.views import ViewGenerator
from mmposeda.registry import MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps

STILL = dict(rotation=0, scale=0, flip=0, gain=0)
SWAP = [0, 2, 1]


class TestTable:
    def test_labels_are_found_by_place(self, estimator):
        table = build(estimator).table
        labels, keep = table.look_up([5, 0, 5])
        assert torch.equal(labels, table.labels[[5, 0, 5]]) and torch.equal(keep, table.keep[[5, 0, 5]])

    def test_an_empty_one_and_a_place_beyond_are_refused(self, estimator):
        table = build(estimator, pictures=2).table
        with pytest.raises(ValueError, match='of 2 pictures and none of picture 2'):
            table.look_up([0, 2])
        table.clear()
        assert table.round == 0
        with pytest.raises(ValueError, match='PseudoRelabelHook'):
            table.look_up([0])

    @pytest.mark.parametrize('pictures', [0, 8, 3])
    def test_a_checkpoint_brings_its_own_length(self, estimator, pictures):
        saved, model = build(estimator).state_dict(), build(estimator, pictures)
        result = model.load_state_dict(copy.deepcopy(saved))
        assert not result.missing_keys and not result.unexpected_keys
        assert all(torch.equal(value, saved[key]) for key, value in model.state_dict().items())
        assert len(model.table) == 8 and model.table.keep.dtype == torch.bool

    def test_a_checkpoint_without_labels_leaves_them(self, estimator):
        plain = MODELS.build(dict(type='SourceOnly', estimator=copy.deepcopy(estimator)))
        model = build(estimator)
        before = model.table.labels.clone()
        load_state_dict(model, plain.state_dict(), strict=True)
        model.load_state_dict(plain.plain_state_dict())
        assert torch.equal(model.table.labels, before)
        assert torch.equal(model.student.head.final_layer.weight, plain.student.head.final_layer.weight)

    def test_an_export_has_none(self, estimator):
        model = build(estimator)
        assert model.plain_state_dict().keys() == model.student.state_dict().keys()

    def test_new_labels_are_new_tensors(self, estimator):
        table = build(estimator).table
        before = dict(table.named_buffers())
        kept = {name: value.clone() for name, value in before.items()}
        table.fill(table.labels + 1, table.confidence / 2, ~table.keep, 2)
        assert all(torch.equal(before[name], value) for name, value in kept.items())
        assert all(value is not before[name] for name, value in table.named_buffers())


class TestViews:
    def smooth(self, number, size=(48, 32)):
        coarse = np.random.default_rng(0).integers(30, 220, (number, 6, 8, 3), dtype=np.uint8)
        return [cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image in coarse]

    @pytest.mark.parametrize('flip', [0, 1])
    def test_pictures_and_labels_go_where_opencv_puts_them(self, estimator, make_batch, monkeypatch, flip):
        model = build(estimator, rotation=20, scale=0.2, gain=0, flip=flip)
        turns = []
        sample = TurnRange.sample
        monkeypatch.setattr(TurnRange, 'sample', lambda *args: turns.append(sample(*args)) or turns[-1])
        batch, pictures = make_batch(source=0, target=5), self.smooth(5)
        batch['inputs'] = [torch.from_numpy(p[..., ::-1].copy()).permute(2, 0, 1) for p in pictures]
        data = prepared(model, batch)
        views = model.make_views(data['inputs']['target'], data['data_samples']['target'])
        shown = (views.images * 60 + 120).permute(0, 2, 3, 1).numpy()
        for i, picture in enumerate(pictures):
            matrix = turns[0][i].double().numpy()
            labels = model.table.labels[i].double().numpy()
            if flip:
                picture = picture[:, ::-1]
                labels = labels[SWAP]
                labels[:, 0] = 47 - labels[:, 0]
            wanted = cv2.warpAffine(np.ascontiguousarray(picture), matrix[:2], (48, 32), flags=cv2.INTER_LINEAR)
            difference = np.abs(shown[i] - wanted)
            assert np.median(difference) < 1.5 and np.percentile(difference, 95) < 6
            moved = labels @ matrix[:2, :2].T + matrix[:2, 2]
            np.testing.assert_allclose(views.cells[i] * 4, moved, atol=1e-3)

    def test_mirrored_views_exchange_left_and_right(self, estimator, make_batch):
        model = build(estimator, **{**STILL, 'flip': 1})
        model.table.keep[:, 1], model.table.keep[:, 2] = True, False
        data = prepared(model, make_batch())
        images, cells, weights = model.make_views(data['inputs']['target'], data['data_samples']['target'])
        torch.testing.assert_close(images, data['inputs']['target'].flip(-1), atol=1e-4, rtol=0)
        mirrored = model.table.labels[:4, SWAP]
        mirrored[..., 0] = 47 - mirrored[..., 0]
        torch.testing.assert_close(cells * 4, mirrored)
        assert (weights[:, 1] == 0).all() and (weights[:, 2] == 1).all()

    def test_half_of_the_views_are_mirrored_by_themselves(self, estimator, make_batch):
        model = build(estimator, pictures=200, **{**STILL, 'flip': 0.5})
        data = prepared(model, make_batch(source=0, target=200))
        images = model.make_views(data['inputs']['target'], data['data_samples']['target']).images
        same = (images - data['inputs']['target']).abs().amax((1, 2, 3)) < 1e-3
        mirrored = (images - data['inputs']['target'].flip(-1)).abs().amax((1, 2, 3)) < 1e-3
        assert (same ^ mirrored).all() and 70 < same.sum() < 130

    def test_gains_are_each_channels_own(self):
        views = ViewGenerator(brightness=0, contrast=0, saturation=0, gain=0.2)
        identity, mean, std = torch.eye(3).repeat(500, 1, 1), torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
        out = views(torch.full((500, 3, 4, 4), 100.0), identity, mean, std, identity).images[..., 0, 0] / 100
        assert out.min() >= 0.8 - 1e-5 and out.max() <= 1.2 + 1e-5 and out.std() > 0.1
        assert (out[:, 0] != out[:, 1]).all()
        bright = views(torch.full((50, 3, 4, 4), 250.0), identity[:50], mean, std, identity[:50]).images
        assert bright.max() == pytest.approx(255, abs=1e-3)

    def test_preview_shows_what_the_step_sees(self, estimator, make_batch):
        model = build(estimator)
        data = prepared(model, make_batch())
        shown = model.preview(**data)
        assert shown['student view'].shape == shown['target'].shape
        assert shown['points'].shape == (4, 3, 2) and shown['kept'].dtype == torch.bool


def labelled(cells, weights):
    return LabelledViews(torch.zeros(len(cells), 3, 32, 48), cells, weights)


class TestLoss:
    def answer(self, monkeypatch, heatmaps):
        monkeypatch.setattr(cc_ssl, 'predict_heatmaps', lambda net, x: heatmaps)

    def test_has_a_closed_form_and_keeps_its_denominator(self, estimator, monkeypatch):
        model = build(estimator)
        cells = torch.randint(1, 7, (4, 3, 2)).float()
        truth = gaussian_heatmaps(cells, (12, 8), 1.0)
        weights = torch.tensor([1.0, 1.0, 0.0]).repeat(4, 1)
        self.answer(monkeypatch, truth)
        assert model.pseudo_loss(labelled(cells, weights)) == 0
        self.answer(monkeypatch, truth + 0.3)
        assert model.pseudo_loss(labelled(cells, weights)).item() == pytest.approx(0.5 * 0.09 * 2 / 3)

    def test_equals_half_of_mmposes_masked_error(self, estimator, monkeypatch):
        model = build(estimator)
        cells, weights, heatmaps = torch.rand(4, 3, 2) * 8, (torch.rand(4, 3) < 0.5).float(), torch.rand(4, 3, 8, 12)
        self.answer(monkeypatch, heatmaps)
        loss = MODELS.build(dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5))
        wanted = loss(heatmaps, gaussian_heatmaps((cells + 0.5).floor(), (12, 8), 1.0), weights)
        torch.testing.assert_close(model.pseudo_loss(labelled(cells, weights)), wanted)

    def test_joints_dropped_or_out_of_view_pass_no_gradient(self, estimator, make_batch, monkeypatch):
        model = build(estimator, **STILL)
        model.table.keep.fill_(True)
        model.table.keep[:, 0] = False
        model.table.labels[1, 1] = torch.tensor([-9.0, 10.0])
        heatmaps = torch.rand(4, 3, 8, 12, requires_grad=True)
        self.answer(monkeypatch, heatmaps)
        data = prepared(model, make_batch())
        views = model.make_views(data['inputs']['target'], data['data_samples']['target'])
        model.pseudo_loss(views).backward()
        silent = (heatmaps.grad == 0).flatten(2).all(-1)
        wanted = torch.zeros(4, 3, dtype=torch.bool)
        wanted[:, 0] = wanted[1, 1] = True
        assert torch.equal(silent, wanted)

    def test_a_view_that_leaves_a_joint_out_masks_it(self, estimator, make_batch):
        model = build(estimator, pictures=40, **{**STILL, 'scale': 0.5})
        model.table.keep.fill_(True)
        model.table.labels[:, 0], model.table.labels[:, 1] = torch.tensor([2.0, 2.0]), torch.tensor([23.5, 15.5])
        data = prepared(model, make_batch(source=0, target=40))
        cells, weights = model.make_views(data['inputs']['target'], data['data_samples']['target'])[1:]
        there = ((cells >= -0.5) & (cells < torch.tensor([11.5, 7.5]))).all(-1)
        assert torch.equal(weights, there.float())
        assert (weights[:, 1] == 1).all() and 10 < weights[:, 0].sum() < 35

    @pytest.mark.parametrize('unbiased', [False, True])
    def test_targets_are_drawn_as_the_codec_draws_the_sources(self, estimator, monkeypatch, unbiased):
        codec = dict(input_size=(48, 32), heatmap_size=(12, 8), sigma=1.0, unbiased=unbiased)
        estimator['head']['decoder'] = dict(type='MSRAHeatmap', **codec)
        model = build(estimator)
        points = np.random.default_rng(0).uniform([14, 13], [33, 18], (5, 3, 2)).astype(np.float32)
        wanted = np.stack([MSRAHeatmap(**codec).encode(p[None])['heatmaps'] for p in points])
        self.answer(monkeypatch, torch.from_numpy(wanted))
        loss = model.pseudo_loss(labelled(torch.from_numpy(points) / 4, torch.ones(5, 3)))
        assert loss < 1e-6, 'what lies beyond three deviations is all the difference'

    def test_of_the_target_is_weighted_by_gamma(self, estimator, make_batch):
        values = []
        for gamma in (2.0, 10.0):
            model = build(estimator, gamma=gamma)
            torch.manual_seed(4)
            values.append(model(**prepared(model, make_batch()), mode='loss'))
        assert values[0]['sup_loss_kpt'] == values[1]['sup_loss_kpt']
        torch.testing.assert_close(5 * values[0]['unsup_loss_pseudo'], values[1]['unsup_loss_pseudo'])

    def test_gamma_zero_is_source_only(self, estimator, make_batch):
        ours, plain = build(estimator, gamma=0), MODELS.build(dict(type='SourceOnly', estimator=estimator))
        plain.student.load_state_dict(ours.student.state_dict())
        for model in (ours, plain):
            wrapper = OptimWrapper(torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2))
            model.train()
            for seed in range(3):
                model.train_step(make_batch(seed=seed, target=0), wrapper)
        assert all(torch.equal(v, ours.student.state_dict()[k]) for k, v in plain.student.state_dict().items())

    def test_target_labels_change_nothing(self, estimator, make_batch):
        outcomes = []
        for poison in (False, True):
            model = build(estimator).train()
            wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), 1e-2))
            batch = make_batch()
            if poison:
                for s in batch['data_samples'][4:]:
                    s.set_field(torch.full((1, 3, 2), float('nan')), 'gt_anything')
            torch.manual_seed(3)
            for _ in range(2):
                model.train_step(copy.deepcopy(batch), wrapper)
            outcomes.append(model.state_dict())
        assert all(torch.equal(v, outcomes[1][k]) for k, v in outcomes[0].items())


def test_signs_of_collapse_of_the_kept_labels():
    points = torch.tensor([[[0.0, 4.0], [3.0, 8.0]], [[8.0, 4.0], [8.0, 4.5]], [[90.0, 90.0], [0.0, 0.0]]])
    keep = torch.tensor([[True, False], [True, True], [False, True]])
    signs = collapse_signs(points, 16.0, [(0, 1)], 1.0, keep)
    torch.testing.assert_close(signs['spread'], torch.tensor([4.0, 0.0, 4.0, 2.25]).mean() / 16)
    assert signs['merged'] == 1, 'only the second picture has the pair'
    nothing = collapse_signs(points, 16.0, [(0, 1)], 1.0, torch.zeros(3, 2, dtype=torch.bool))
    assert nothing['spread'] == nothing['merged'] == 0


class TestRefusals:
    @pytest.mark.parametrize(
        'bad', [dict(gamma=-1), dict(flip=1.5), dict(rotation=-1), dict(scale=1), dict(gain=2)], ids=str
    )
    def test_bad_settings(self, estimator, bad):
        with pytest.raises(ValueError, match=next(iter(bad))):
            build(estimator, **bad)

    def test_a_head_without_heatmaps(self, estimator):
        estimator['head'] = dict(
            type='SimCCHead', in_channels=8, out_channels=3, input_size=(48, 32), in_featuremap_size=(12, 8),
            deconv_out_channels=None,
            decoder=dict(type='SimCCLabel', input_size=(48, 32), sigma=4.0, simcc_split_ratio=2.0),
        )  # fmt: skip
        with pytest.raises(TypeError, match='CCSSL compares heatmaps.*SimCCHead'):
            MODELS.build(dict(type='CCSSL', estimator=estimator))

    @pytest.mark.parametrize(
        'change, match',
        [
            (dict(flip=False), 'RandomFlip: take it out'),
            (dict(sample_index=None), 'wrap the target in UnlabeledDataset'),
            (dict(flip_indices=None), 'flip_indices among the meta_keys'),
        ],
        ids=str,
    )
    def test_samples_that_labels_cannot_fit(self, estimator, make_batch, change, match):
        batch = make_batch()
        for sample in batch['data_samples'][4:]:
            for key, value in change.items():
                if value is None:
                    sample.pop(key)
                else:
                    sample.set_metainfo({key: value})
        model = build(estimator)
        with pytest.raises(ValueError, match=match):
            model(**prepared(model, batch), mode='loss')

    def test_a_batch_without_target(self, estimator, make_batch):
        model = build(estimator)
        with pytest.raises(ValueError, match='target samples'):
            model(**prepared(model, make_batch(target=0)), mode='loss')
