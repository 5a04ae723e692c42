import numpy as np
import pytest
from mmengine.config import Config

from mmposeda.registry import METRICS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

LSP = Skeleton.from_metainfo('lsp')


def build(name='lsp', **kwargs):
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    metric = METRICS.build(dict(type='GroupedPCK', **kwargs))
    metric.dataset_meta = parse_pose_metainfo(dict(from_file=metainfo_path(name)))
    return metric


def sample(pred, gt, visible=None, size=256, scale=256.0, center=None, heatmaps=None):
    """As MMEngine hands it to a metric: coordinates in the original picture."""
    out = dict(
        gt_instances=dict(
            keypoints=np.asarray(gt)[None],
            keypoints_visible=np.ones((1, len(gt))) if visible is None else np.asarray(visible)[None],
        ),
        pred_instances=dict(keypoints=np.asarray(pred)[None]),
        input_size=(size, size),
        input_scale=np.full(2, scale),
        input_center=np.full(2, scale / 2) if center is None else np.asarray(center),
        img_path='x.jpg',
    )
    if heatmaps is not None:
        out['pred_fields'] = dict(heatmaps=heatmaps)
    return out


def run(metric, batches):
    for batch in batches:
        metric.process(None, batch)
    return metric.evaluate(sum(len(b) for b in batches))


@pytest.mark.parametrize('mode, shifts', [('image', (12.79, 12.81)), ('reference', (12.0, 16.0))])
def test_border_is_a_twentieth_of_the_side(mode, shifts):
    rng = np.random.default_rng(0)
    gt = rng.integers(10, 50, (14, 2)) * 4.0
    for shift, want in zip(shifts, (100.0, 0.0)):
        got = run(build(mode=mode, thr=0.05), [[sample(gt + [shift, 0], gt)]])
        assert got['PCK/all@0.05'] == want


def test_errors_are_measured_in_the_input_crop():
    gt = np.full((14, 2), 300.0)
    for scale in (128.0, 512.0):
        off = 0.049 * scale
        got = run(build(thr=0.05), [[sample(gt + [0, off], gt, scale=scale, center=(290, 310))]])
        assert got['PCK/all@0.05'] == 100
        got = run(build(thr=0.05), [[sample(gt + [0, off * 1.05], gt, scale=scale, center=(290, 310))]])
        assert got['PCK/all@0.05'] == 0


def test_masked_joints_do_not_enter_and_groups_follow_the_skeleton():
    gt = np.full((14, 2), 100.0)
    pred, visible = gt.copy(), np.ones(14)
    pred[LSP.index('right_elbow')] += 100
    pred[LSP.index('left_knee')] += 100
    visible[LSP.index('left_knee')] = 0
    visible[LSP.index('head_top')] = 0
    got = run(build(thr=(0.1,), per_joint=True), [[sample(pred, gt, visible)]])
    assert got['PCK/elbow@0.1'] == 50 and got['PCK/knee@0.1'] == 100 and np.isnan(got['PCK/head@0.1'])
    assert got['PCK/right_elbow@0.1'] == 0 and np.isnan(got['PCK/left_knee@0.1'])
    assert got['PCK/all@0.1'] == pytest.approx(100 * 10 / 11)


def random_samples(count, seed=0, size=256):
    rng = np.random.default_rng(seed)
    gt = rng.uniform(-10, size + 10, (count, 14, 2))
    pred = gt + rng.normal(0, 10, gt.shape)
    visible = rng.random((count, 14)) > 0.3
    return [sample(p, g, v) for p, g, v in zip(pred, gt, visible)]


def test_image_mode_does_not_depend_on_the_batches():
    samples = random_samples(21)
    whole = run(build(), [samples])
    parts = run(build(), [samples[:4], samples[4:5], samples[5:]])
    assert whole == parts and 0 < whole['PCK/all@0.05'] < 100


def reference_rates(batches, joints=14, size=256, grid=64):
    """The published evaluation as a loop: draw maps, take their peaks, average by batch."""
    sums, counts = np.zeros(joints), np.zeros(joints)
    for batch in batches:
        hits, valid = np.zeros(joints), np.zeros(joints)
        for s in batch:
            gt, seen = s['gt_instances']['keypoints'][0], s['gt_instances']['keypoints_visible'][0]
            for k in range(joints):
                target = np.zeros((grid, grid), np.float32)
                x, y = (int(v / (size / grid) + 0.5) for v in gt[k])
                if seen[k] and 0 <= x < grid and 0 <= y < grid:
                    target[y, x] = 1
                ty, tx = divmod(int(target.argmax()), grid)
                heatmap = s['pred_fields']['heatmaps'][k]
                py, px = divmod(int(heatmap.argmax()), grid)
                if heatmap.max() <= 0:
                    px = py = 0
                if tx > 1 and ty > 1:
                    valid[k] += 1
                    norm = np.array([grid, grid]) / 10
                    distance = np.linalg.norm(np.float32([px, py]) / norm - np.float32([tx, ty]) / norm)
                    hits[k] += distance < 0.5
        for k in range(joints):
            if valid[k]:
                sums[k] += hits[k] / valid[k] * len(batch)
                counts[k] += len(batch)
    return sums / np.maximum(counts, 1)


def test_reference_mode_equals_a_loop_over_heatmaps():
    rng = np.random.default_rng(1)
    samples = random_samples(19)
    for s in samples:
        heatmaps = rng.normal(size=(14, 64, 64)).astype(np.float32) * 0.1
        cells = np.clip(s['pred_instances']['keypoints'][0] / 4, 0, 63).astype(int)
        heatmaps[np.arange(14), cells[:, 1], cells[:, 0]] = 1
        heatmaps[rng.random(14) < 0.1] = -1  # nothing found: the reference then predicts (0, 0)
        s['pred_fields'] = dict(heatmaps=heatmaps)
    batches = [samples[:8], samples[8:16], samples[16:]]
    want = reference_rates(batches)
    got = run(build(mode='reference', thr=0.05, per_joint=True), batches)
    for k, name in enumerate(LSP.joint_names):
        assert got[f'PCK/{name}@0.05'] == 100 * want[k], name
    for group, members in LSP.groups.items():
        assert got[f'PCK/{group}@0.05'] == pytest.approx(100 * want[list(members)].mean(), abs=1e-12)


def test_reference_mode_without_heatmaps_rounds_to_the_grid():
    gt = np.full((14, 2), 100.0)
    assert run(build(mode='reference', thr=0.05), [[sample(gt + [13.9, 0], gt)]])['PCK/all@0.05'] == 100  # 28 - 25 = 3
    assert run(build(mode='reference', thr=0.05), [[sample(gt + [14.1, 0], gt)]])['PCK/all@0.05'] == 0  # 29 - 25 = 4


def test_reference_mode_leaves_out_the_first_two_cells():
    gt = np.full((14, 2), 100.0)
    gt[LSP.index('right_wrist')] = 4, 100
    pred = gt.copy()
    pred[LSP.index('right_wrist')] = 200, 200
    assert run(build(mode='reference'), [[sample(pred, gt)]])['PCK/wrist@0.05'] == 50  # as there: the joint scores 0
    assert run(build(mode='image'), [[sample(pred, gt)]])['PCK/wrist@0.05'] == 50


def test_another_joint_set_is_an_error_with_the_picture():
    with pytest.raises(ValueError, match='16 predicted joints against 14.*x.jpg.*another joint set'):
        run(build(), [[sample(np.zeros((16, 2)), np.zeros((14, 2)))]])
    unlabelled = sample(np.zeros((14, 2)), np.zeros((14, 2)))
    del unlabelled['gt_instances']['keypoints']
    with pytest.raises(ValueError, match='no ground truth.*UnlabeledDataset'):
        run(build(), [[unlabelled]])
    with pytest.raises(ValueError, match="'image' or 'reference'"):
        build(mode='exact')


def test_hand_groups():
    metric = build('hand21')
    metric.process(None, [sample(np.full((21, 2), 9.0), np.full((21, 2), 9.0))])
    assert {k.split('@')[0] for k in metric.evaluate(1)} == {f'PCK/{g}' for g in ('MCP', 'PIP', 'DIP', 'Fin', 'all')}


def separation(keypoints):
    metric = METRICS.build(dict(type='LeftRightSeparation'))
    metric.dataset_meta = Config.fromfile(metainfo_path('lsp')).dataset_info.to_dict()
    metric.process(None, [dict(pred_instances=dict(keypoints=k[None])) for k in keypoints])
    return metric.evaluate(len(keypoints))


def test_left_right_separation_sees_collapse_at_any_scale():
    person = np.zeros((14, 2))
    person[[LSP.index('right_shoulder'), LSP.index('left_shoulder')]] = [-20, 0], [20, 0]
    person[[LSP.index('right_hip'), LSP.index('left_hip')]] = [-12, 80], [12, 80]
    got = separation([person, 3 * person + 7, np.zeros((14, 2))])
    assert got == {
        'separation/shoulder': 0.5,
        'separation/hip': 0.3,
        'separation/shoulder_merged': 0.0,
        'separation/hip_merged': 0.0,
    }
    upright = person.copy()
    person[[LSP.index('right_hip'), LSP.index('left_hip')]] = 0, 80
    got = separation([person, upright, upright])
    assert got['separation/hip'] == 0.3  # the median does not see it
    assert got['separation/hip_merged'] == pytest.approx(1 / 3)
    assert separation([person])['separation/hip'] == 0
