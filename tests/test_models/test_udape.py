"""UDAPE's step against its own equations."""

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmposeda.models.adapters.udape import PseudoLabels
from mmposeda.models.heatmap_estimator import predict_heatmaps
from mmposeda.models.pseudo_labels import collapse_signs, occlude_joint, select_confident
from mmposeda.registry import MODELS
from mmposeda.structures.heatmap import gaussian_heatmaps
from mmposeda.structures.warp import rescale, sample_affine, warp

GENTLE = dict(rotation=20, shear=5, translation=0.02, scale=(0.9, 1.1))


def build(estimator, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type='UDAPE', estimator=copy.deepcopy(estimator), **kwargs))


def prepared(model, batch):
    return model.data_preprocessor(batch, True)


def test_without_consistency_and_style_a_step_is_source_only(estimator, make_batch):
    ours, plain = build(estimator, consistency_weight=0), MODELS.build(dict(type='SourceOnly', estimator=estimator))
    plain.student.load_state_dict(ours.student.state_dict())
    for model in (ours, plain):
        wrapper = OptimWrapper(torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2))
        model.train()
        for seed in range(3):
            model.train_step(make_batch(seed=seed), wrapper)
    assert all(torch.equal(v, ours.student.state_dict()[k]) for k, v in plain.student.state_dict().items())


def test_keeps_exactly_the_upper_share():
    confidence = torch.randperm(70).float().view(10, 7)
    assert select_confident(confidence, 0.5, 'batch').sum() == 35
    assert select_confident(confidence, 0.3, 'batch').sum() == 70 - 21
    assert (select_confident(confidence, 0.5, 'joint').sum(0) == 5).all()
    assert select_confident(confidence, 0.0, 'batch').all()


@pytest.mark.parametrize('scope', ['batch', 'joint'])
def test_selection_ignores_monotone_changes_and_follows_permutations(scope):
    confidence = torch.rand(12, 5)
    kept = select_confident(confidence, 0.5, scope)
    assert torch.equal(kept, select_confident(confidence.exp() * 7 - 3, 0.5, scope))
    order = torch.randperm(12)
    assert torch.equal(kept[order], select_confident(confidence[order], 0.5, scope))


def test_joint_scope_keeps_joints_that_the_pooled_threshold_drops():
    confidence = torch.cat([torch.rand(8, 1) * 0.1 + 0.8, torch.rand(8, 1) * 0.1 + 0.1], 1)
    assert select_confident(confidence, 0.5, 'batch')[:, 1].sum() == 0
    assert select_confident(confidence, 0.5, 'joint')[:, 1].sum() == 4


def test_occlusion_touches_only_the_square_of_an_allowed_joint():
    images = torch.rand(6, 3, 40, 50)
    points = torch.rand(6, 4, 2) * 20 + 12
    allowed = torch.zeros(6, 4, dtype=torch.bool)
    allowed[:4, 2] = True
    out = occlude_joint(images, points, allowed, probability=1.0, radius=5)
    assert torch.equal(out[4:], images[4:])
    for i in range(4):
        rows, columns = (out[i] != images[i]).any(0).nonzero(as_tuple=True)
        centre = points[i, 2].round()
        assert len(rows) > 50
        assert (rows - centre[1]).abs().max() <= 5 and (columns - centre[0]).abs().max() <= 5
    assert torch.equal(occlude_joint(images, points, allowed, 0.0, 5), images)


def test_occlusion_pastes_pixels_of_the_same_picture():
    images = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 3, 40, 40).clone()
    out = occlude_joint(images, torch.full((2, 1, 2), 3.0), torch.ones(2, 1, dtype=torch.bool), 1.0, 6)
    assert torch.equal(out, images)


def test_pseudo_labels_of_a_perfect_teacher_return_to_the_base_frame(estimator, monkeypatch):
    model = build(estimator, view=GENTLE).eval()
    cells = torch.randint(3, 6, (4, 3, 2)).float()
    truth = gaussian_heatmaps(cells, (12, 8), 1.0)
    matrices = [sample_affine(4, (48, 32), model.views.ranges) for _ in range(2)]
    answers = [warp(truth, rescale(m, (4.0, 4.0))) for m in matrices]
    monkeypatch.setattr('mmposeda.models.adapters.udape.predict_heatmaps', lambda net, x: answers[int(x[0, 0, 0, 0])])
    from mmposeda.models.adapters.udape import TargetViews

    pictures = [torch.full((4, 3, 32, 48), float(i)) for i in range(2)]
    pseudo = model.pseudo_label(TargetViews(pictures[0], matrices[0], pictures, matrices, []), pictures[0])
    assert torch.equal(pseudo.points, cells)
    assert torch.equal(pseudo.heatmaps, truth)
    assert (pseudo.confidence <= 1).all()


def test_a_mirrored_teacher_answers_a_mirrored_picture_by_the_mirrored_pose(estimator):
    model = build(estimator, flip_test=True).eval()
    pictures, pairs = torch.rand(2, 3, 32, 48), [(1, 2)]
    taught, mirrored = model.teach(pictures, pairs), model.teach(pictures.flip(-1), pairs)
    # a cell is 4 pixels: the mirror image of cell c is cell 47/4 - c, so maps are compared a quarter of a cell apart
    order, quarter = [0, 2, 1], mirrored.flip(-1)
    shifted = 0.25 * quarter[..., :-1] + 0.75 * quarter[..., 1:]
    difference = (taught[..., 1:] - shifted[:, order]).abs().mean()
    plain = build(estimator).eval().teach(pictures, pairs)
    assert difference < 0.5 * (plain[..., 1:] - plain.flip(-1)[:, order][..., 1:]).abs().mean()
    assert not torch.equal(plain, taught)


def test_a_mirrored_teacher_finds_the_joints_of_the_picture(estimator, monkeypatch):
    model = build(estimator, flip_test=True).eval()
    cells = torch.tensor([[[3.0, 2.0], [5.0, 4.0], [8.0, 6.0]]])
    in_mirror = torch.stack([47 / 4 - cells[..., 0], cells[..., 1]], -1)[:, [0, 2, 1]]
    answers = [gaussian_heatmaps(points, (12, 8), 1.0) for points in (cells, in_mirror)]
    for module in ('adapters.udape', 'heatmap_estimator'):
        monkeypatch.setattr(f'mmposeda.models.{module}.predict_heatmaps', lambda net, x: answers[int(x[0, 0, 0, -1])])
    picture = torch.zeros(1, 3, 32, 48)
    picture[..., 0] = 1  # the column that is the last one of the mirror image
    torch.testing.assert_close(model.teach(picture, [(1, 2)]), answers[0], atol=0.06, rtol=0)
    with pytest.raises(ValueError, match='flip_test wants left-right pairs'):
        model.teach(picture, [])


def consistency(model, matrix, truth, confidence, images=None):
    images = torch.zeros(len(matrix), 3, 32, 48) if images is None else images
    return model.consistency(images, matrix, PseudoLabels(None, confidence, truth))['loss_consistency']


def test_consistency_vanishes_for_the_right_answer_and_scales_with_the_mask(estimator, monkeypatch):
    model = build(estimator, mask_ratio=0.5, mask_scope='batch')
    identity = torch.eye(3).repeat(4, 1, 1)
    truth = gaussian_heatmaps(torch.full((4, 2, 2), 4.0), (12, 8), 1.0)
    answer = [truth]
    monkeypatch.setattr('mmposeda.models.adapters.udape.predict_heatmaps', lambda net, x: answer[0])
    confidence = torch.arange(8.0).view(4, 2)
    assert consistency(model, identity, truth, confidence) < 1e-10
    answer[0] = truth + 0.5
    half = consistency(model, identity, truth, confidence)
    model.mask_ratio = 0.0
    assert consistency(model, identity, truth, confidence).item() == pytest.approx(2 * half.item())
    assert (2 * half).item() == pytest.approx(0.25, rel=1e-4)


def test_masked_joints_and_uncovered_cells_pass_no_gradient(estimator, monkeypatch):
    model = build(estimator, mask_ratio=0.5, mask_scope='batch')
    heatmaps = torch.rand(2, 3, 8, 12, requires_grad=True)
    monkeypatch.setattr('mmposeda.models.adapters.udape.predict_heatmaps', lambda net, x: heatmaps)
    matrix = torch.eye(3).repeat(2, 1, 1)
    matrix[:, 0, 2] = 16.0  # four cells to the right: the base frame's last four columns leave the view
    confidence = torch.tensor([[0.9, 0.1, 0.8], [0.7, 0.2, 0.3]])
    consistency(model, matrix, torch.zeros(2, 3, 8, 12), confidence).backward()
    kept = select_confident(confidence, 0.5, 'batch')
    assert (heatmaps.grad[~kept] == 0).all()
    assert (heatmaps.grad[kept][..., :4] == 0).all()
    assert (heatmaps.grad[kept][..., 5:11].abs() > 0).all()


def test_no_trusted_label_gives_a_loss_of_zero(estimator, monkeypatch):
    model = build(estimator, mask_scope='batch')
    heatmaps = torch.rand(2, 3, 8, 12, requires_grad=True)
    monkeypatch.setattr('mmposeda.models.adapters.udape.predict_heatmaps', lambda net, x: heatmaps)
    alike = torch.full((2, 3), 0.4)  # none is above the threshold
    loss = consistency(model, torch.eye(3).repeat(2, 1, 1), torch.zeros(2, 3, 8, 12), alike)
    loss.backward()
    assert loss == 0
    assert (heatmaps.grad == 0).all()


def test_signs_of_collapse_have_closed_forms():
    points = torch.tensor([[[0.0, 4.0], [3.0, 8.0], [9.0, 9.0]], [[8.0, 4.0], [8.0, 4.5], [9.0, 9.0]]])
    signs = collapse_signs(points, 16.0, [(0, 1)], 1.0)
    deviations = torch.tensor([4.0, 0.0, 2.5, 1.75, 0.0, 0.0])
    torch.testing.assert_close(signs['spread'], deviations.mean() / 16)
    assert signs['merged'] == 0.5
    assert list(collapse_signs(points[:1], 16.0, [], 1.0)) == ['spread']
    assert collapse_signs(points[:1], 16.0, [], 1.0)['spread'] == 0


def test_teacher_and_pseudo_labels_get_no_gradient(estimator, make_batch):
    model = build(estimator, style=dict(type='StatisticsStyleTransfer', levels=2)).train()
    losses = model(**prepared(model, make_batch()), mode='loss')
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad is None for p in model.teacher.parameters())
    assert all(p.grad is not None for p in model.student.parameters())
    assert losses['unsup_loss_consistency'] > 0


def test_target_labels_change_nothing(estimator, make_batch):
    outcomes = []
    for poison in (False, True):
        model = build(estimator, style=dict(type='StatisticsStyleTransfer', levels=2)).train()
        wrapper = OptimWrapper(torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-2))
        batch = make_batch()
        if poison:
            for s in batch['data_samples'][4:]:
                s.set_field(torch.full((1, 3, 2), float('nan')), 'gt_anything')
        torch.manual_seed(3)
        for _ in range(2):
            model.train_step(copy.deepcopy(batch), wrapper)
            model.update_teacher()
        outcomes.append(model.state_dict())
    assert all(torch.equal(v, outcomes[1][k]) for k, v in outcomes[0].items())


def test_steps_repeat_from_the_seed(estimator, make_batch):
    model = build(estimator, num_teacher_views=2).train()
    data = prepared(model, make_batch())
    values = []
    for _ in range(2):
        torch.manual_seed(5)
        values.append(model(**data, mode='loss')['unsup_loss_consistency'])
    assert torch.equal(*values)


def test_teacher_predicts_by_default(estimator):
    model = build(estimator).eval()
    with torch.no_grad():
        for p in model.student.parameters():
            p.add_(1.0)
    x = torch.rand(2, 3, 32, 48)
    assert torch.equal(model(x, mode='tensor'), predict_heatmaps(model.teacher, x))


def test_preview_shows_what_the_step_sees(estimator, make_batch):
    model = build(estimator)
    data = prepared(model, make_batch())
    shown = model.preview(**data)
    assert torch.equal(shown['source'], data['inputs']['source'])
    assert shown['student view'].shape == shown['teacher view'].shape == shown['target'].shape
    assert shown['points'].shape == (4, 3, 2) and shown['kept'].dtype == torch.bool


@pytest.mark.parametrize(
    'bad',
    [dict(mask_ratio=1.0), dict(mask_scope='image'), dict(num_teacher_views=0), dict(s2t=2), dict(t2s=-1)],
    ids=lambda d: next(iter(d)),
)
def test_bad_settings_are_refused(estimator, bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        build(estimator, **bad)


def test_head_without_heatmaps_is_refused_at_build(estimator):
    estimator['head'] = dict(
        type='SimCCHead',
        in_channels=8,
        out_channels=3,
        input_size=(48, 32),
        in_featuremap_size=(12, 8),
        deconv_out_channels=None,
        decoder=dict(type='SimCCLabel', input_size=(48, 32), sigma=4.0, simcc_split_ratio=2.0),
    )
    with pytest.raises(TypeError, match='SimCCHead.*SourceOnly'):
        build(estimator)


def test_codec_of_another_size_is_refused_at_build(estimator):
    estimator['head']['decoder']['heatmap_size'] = (24, 16)
    with pytest.raises(ValueError, match='heatmap_size'):
        build(estimator)


def test_missing_target_is_refused(estimator, make_batch):
    model = build(estimator)
    with pytest.raises(ValueError, match='target samples'):
        model(**prepared(model, make_batch(target=0)), mode='loss')


def test_mixed_precision_changes_the_networks_only(estimator, make_batch):
    model = build(estimator, style=dict(type='StatisticsStyleTransfer', levels=2), s2t=1.0, t2s=1.0).train()
    data = prepared(model, make_batch())
    shown = []
    for enabled in (False, True):
        torch.manual_seed(5)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            shown.append(model.preview(**data))
            losses = model(**data, mode='loss')
        assert all(torch.isfinite(v) for v in losses.values())
    for name in ('teacher view', 'painted source'):
        assert torch.equal(shown[0][name], shown[1][name])
