import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmposeda.registry import METRICS
from mmposeda.structures.pose_angles import angle_triplets, eval_pose, reference_angles
from mmposeda.structures.skeleton import Skeleton, metainfo_path

LSP = Skeleton.from_metainfo('lsp')
TRIPLETS = angle_triplets(LSP)


def build(name='lsp', **kwargs):
    metric = METRICS.build(dict(type='EvalPose', **kwargs))
    metric.dataset_meta = parse_pose_metainfo(dict(from_file=metainfo_path(name)))
    return metric


def sample(pred, gt, visible):
    return dict(
        gt_instances=dict(keypoints=gt[None], keypoints_visible=visible[None]),
        pred_instances=dict(keypoints=pred[None]),
        img_path='x.jpg',
    )


def people(count=30, seed=0, noise=10.0, hidden=0.04):
    rng = np.random.default_rng(seed)
    gt = rng.uniform(0, 200, (count, 14, 2)).astype(np.float32)
    pred = gt + rng.normal(0, noise, gt.shape).astype(np.float32)
    return pred, gt, (rng.random((count, 14)) >= hidden).astype(np.float32)


def run(metric, pred, gt, visible, batch=7):
    for start in range(0, len(gt), batch):
        part = slice(start, start + batch)
        metric.process(None, [sample(*x) for x in zip(pred[part], gt[part], visible[part])])
    return metric.evaluate(len(gt))


def test_perfect_predictions_score_a_hundred():
    _, gt, visible = people()
    got = run(build(), gt, gt, visible)
    assert got == {
        'EvalPose/raw': 100,
        'EvalPose/centred_by_labels': 100,
        'EvalPose/signed': 100,
        'EvalPose/skipped': 0,
    }


def test_values_are_means_of_single_images():
    pred, gt, visible = people(noise=30)
    got = run(build(), pred, gt, visible)
    mean = reference_angles(gt.astype(float), visible, TRIPLETS)
    for name, variant, used in (
        ('raw', 'raw', None),
        ('centred_by_labels', 'centred', mean),
        ('signed', 'signed', None),
    ):
        ones = np.ones((1, 14))
        want = [
            eval_pose(p[None].astype(float), g[None].astype(float), ones, v[None], TRIPLETS, variant, used)[0]
            for p, g, v in zip(pred, gt, visible)
        ]
        assert got[f'EvalPose/{name}'] == pytest.approx(100 * np.mean(want), abs=1e-9)
    assert got['EvalPose/raw'] > got['EvalPose/centred_by_labels'] > 30


def test_a_pose_upside_down_elsewhere_and_smaller_scores_a_hundred():
    _, gt, visible = people(hidden=0)
    got = run(build(), 30 - 0.25 * gt, gt, visible)
    assert got['EvalPose/raw'] == pytest.approx(100) and got['EvalPose/signed'] == pytest.approx(100)


def test_images_with_few_labelled_angles_are_skipped_and_counted():
    pred, gt, visible = people(noise=20)
    few = visible.copy()
    few[10:14] = 0
    few[10:14, TRIPLETS[0]] = 1
    pred[10:14] = np.nan  # must not matter
    kept = np.r_[0:10, 14:30]
    got = run(build(), pred, gt, few)
    want = run(build(), pred[kept], gt[kept], few[kept])
    assert got['EvalPose/skipped'] == 4 and want['EvalPose/skipped'] == 0
    for variant in ('raw', 'signed'):
        assert got[f'EvalPose/{variant}'] == pytest.approx(want[f'EvalPose/{variant}'], abs=1e-9)
    nobody = run(build(), pred, gt, np.zeros_like(visible))
    assert nobody['EvalPose/skipped'] == 30 and np.isnan(nobody['EvalPose/raw'])


def test_batches_do_not_matter():
    data = people(noise=25)
    assert run(build(), *data, batch=1) == run(build(), *data, batch=30)


@pytest.mark.parametrize('kind', ['npy', 'npz', 'poses'])
def test_mean_angles_come_from_a_file(tmp_path, kind):
    pred, gt, visible = people(noise=25)
    _, source, seen = people(seed=5)
    mean = reference_angles(source, seen, TRIPLETS)
    path = tmp_path / f'mean.{"npy" if kind == "npy" else "npz"}'
    if kind == 'npy':
        np.save(path, mean)
    elif kind == 'npz':
        np.savez(path, mean_angles=mean)
    else:
        np.savez(path, keypoints=source, visible=seen)
    got = run(build(variants='centred', mean=str(path)), pred, gt, visible)
    want = eval_pose(pred.astype(float), gt.astype(float), np.ones((30, 14)), visible, TRIPLETS, 'centred', mean)
    assert list(got) == ['EvalPose/centred_by_file', 'EvalPose/skipped']
    assert got['EvalPose/centred_by_file'] == pytest.approx(100 * np.nanmean(want), abs=1e-9)


def test_fitted_means_are_kept_for_parts_of_a_set():
    pred, gt, visible = people(noise=25)
    metric = build(variants=['centred'])
    metric.process(None, [sample(*x) for x in zip(pred, gt, visible)])
    results = list(metric.results)
    metric.fit(results)
    halves = [metric.compute_metrics(results[:15])['centred_by_labels']]
    halves.append(metric.compute_metrics(results[15:])['centred_by_labels'])
    whole = metric.compute_metrics(results)['centred_by_labels']
    assert np.mean(halves) == pytest.approx(whole, abs=1e-9)
    assert build(variants=['centred'])._mean_of_labels(results[:15]) != pytest.approx(metric._fitted)


def test_a_joint_set_without_angles_names_the_key_of_the_meta_file():
    _, gt, visible = people()
    metric = build('h36m')
    with pytest.raises(ValueError, match="joint set 'h36m' has no angles.*`angle_triplets=.*dataset_info of its meta"):
        metric.process(None, [sample(gt[0], gt[0], visible[0])])


def test_wrong_settings_are_refused_when_the_metric_is_built(tmp_path):
    with pytest.raises(ValueError, match="variant 'cosine', expected one of raw"):
        build(variants=['cosine'])
    with pytest.raises(ValueError, match='one variant at least'):
        build(variants=[])
    np.save(tmp_path / 'mean.npy', np.ones(12))
    with pytest.raises(ValueError, match='a mean only with centred'):
        build(variants=['raw'], mean=str(tmp_path / 'mean.npy'))
    with pytest.raises(FileNotFoundError, match='no file .*none.npz of mean angles.*reference_angles.*leave `mean`'):
        build(mean=str(tmp_path / 'none.npz'))


@pytest.mark.parametrize(
    'content, message',
    [
        (dict(other=np.ones(3)), 'the arrays other; expected keypoints'),
        (dict(mean_angles=np.ones((3, 4))), r'float64 \(3, 4\), expected \(J,\)'),
        (dict(mean_angles=np.full(12, np.nan)), r'expected \(J,\) angles'),
        (dict(keypoints=np.ones((5, 14, 2)), visible=np.ones((5, 13))), r'visible of shape \(5, 13\)'),
        (dict(mean_angles=np.array([{}])), 'no usable npz file'),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, content, message):
    np.savez(tmp_path / 'x.npz', **content)
    with pytest.raises(ValueError, match=message):
        build(mean=str(tmp_path / 'x.npz'))


def test_damaged_files_are_refused(tmp_path):
    for name in ('x.npz', 'x.npy'):
        (tmp_path / name).write_bytes(b'PK\x03\x04 nothing')
        with pytest.raises(ValueError, match=f'{name} is no usable'):
            build(mean=str(tmp_path / name))


def test_means_of_another_joint_set_are_refused(tmp_path):
    data = people()
    np.save(tmp_path / 'hand.npy', np.ones(19))
    with pytest.raises(ValueError, match=r'hand.npy holds mean angles \(19,\), but the joint set has 12 angles'):
        run(build(mean=str(tmp_path / 'hand.npy')), *data)
    np.savez(tmp_path / 'hand.npz', keypoints=np.ones((5, 21, 2)), visible=np.ones((5, 21)))
    with pytest.raises(ValueError, match="poses of 21 joints, but 'lsp' has 14"):
        run(build(mean=str(tmp_path / 'hand.npz')), *data)


def test_samples_of_another_joint_set_and_without_labels_are_refused():
    pred, gt, visible = people()
    with pytest.raises(ValueError, match='16 predicted joints against 14.*x.jpg.*another joint set'):
        build().process(None, [sample(np.zeros((16, 2)), gt[0], visible[0])])
    unlabelled = sample(pred[0], gt[0], visible[0])
    del unlabelled['gt_instances']['keypoints']
    with pytest.raises(ValueError, match='no ground truth.*x.jpg'):
        build().process(None, [unlabelled])
