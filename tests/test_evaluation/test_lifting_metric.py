import multiprocessing
import os
import pickle
import socket

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from scipy.spatial.transform import Rotation

from mmposeda.evaluation import lifting_metric
from mmposeda.registry import METRICS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

BODY = Skeleton.from_metainfo('body16_3d')
ACTIONS = ('Walking', 'Sitting', 'Eating')
ALL = ('mpjpe', 'pa-mpjpe', 'n-mpjpe', 'pck', 'auc')


def build(name='body16_3d', actions=ACTIONS, **kwargs):
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    metric = METRICS.build(dict(type='LiftingMetric', **kwargs))
    metric.dataset_meta = dict(parse_pose_metainfo(dict(from_file=metainfo_path(name))), action_names=actions)
    return metric


def people(count=50, joints=16, seed=0, noise=0.08):
    """Labels and predictions, metres, the root somewhere."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(0, 0.4, (count, joints, 3)) + rng.normal(0, 2, (count, 1, 3))
    predicted = poses + rng.normal(0, noise, poses.shape)
    return predicted, poses


def batch(predicted, poses, index=None, action=None, visible=None):
    count = len(poses)
    return dict(
        pred_poses=torch.tensor(predicted),
        poses=torch.tensor(poses),
        visible=torch.ones(poses.shape[:2], dtype=torch.bool) if visible is None else torch.tensor(visible),
        index=torch.arange(count) if index is None else torch.tensor(index),
        action=torch.zeros(count, dtype=torch.long) if action is None else torch.tensor(action),
    )


def run(metric, batches, size=None):
    for part in batches:
        metric.process(None, [part])
    return metric.evaluate(size or sum(len(part['index']) for part in batches))


def score(predicted, poses, modes=ALL, root=None, visible=None, **kwargs):
    got = run(build(modes=modes, root=root, **kwargs), [batch(predicted, poses, visible=visible)])
    return {key[8:-7]: value for key, value in got.items() if key.endswith('/frames')}


def mmpose_sample(predicted, truth, visible=None, **extra):
    """As MMPose's evaluator hands it over; (T, K, 3)."""
    visible = np.ones(truth.shape[:2], np.float32) if visible is None else visible
    return dict(
        pred_instances=dict(keypoints=predicted),
        gt_instances=dict(lifting_target=truth, lifting_target_visible=visible),
        **extra,
    )


def paths(action, i, subject='S9'):
    return [f'{subject}/{subject}_{action}.60457274/{subject}_{action}.60457274_{i:06d}.jpg']


def loop(predicted, poses, visible, actions, joints=range(16)):
    """The five values joint by joint, by action; and of all frames."""
    found = {}
    for p, g, seen, action in zip(predicted, poses, visible, actions):
        if not seen[0]:
            continue
        used = [j for j in joints if seen[j]]
        p, g = p[used] - p[0], g[used] - g[0]
        p0, g0 = p - p.mean(0), g - g.mean(0)
        turn = Rotation.align_vectors(g0, p0)[0].apply(p0)
        aligned = turn * (turn * g0).sum() / (turn**2).sum() + g.mean(0)
        scaled = p * (p * g).sum() / (p * p).sum()
        for j in range(len(used)):
            errors = [1000 * np.sqrt(((x[j] - g[j]) ** 2).sum()) for x in (p, aligned, scaled)]
            hits = [100 * np.mean([errors[0] < t for t in steps]) for steps in ([150.0], range(0, 151, 5))]
            found.setdefault(action, []).append([*errors, *hits])
    frames = np.mean(sum(found.values(), []), 0)
    by_action = {action: np.mean(rows, 0) for action, rows in found.items()}
    return frames, by_action


@pytest.mark.parametrize('joints', [None, ('elbow', 'left_knee', 'head', 'right_elbow')])
def test_all_values_equal_a_loop(joints):
    predicted, poses = people(60, noise=0.1)
    rng = np.random.default_rng(1)
    visible = rng.random((60, 16)) > 0.15
    poses[~visible] = np.nan
    action = rng.choice(3, 60, p=[0.6, 0.3, 0.1])
    picked = range(16) if joints is None else [BODY.index(n) for n in ('head', *joints[1:2], 'left_elbow', joints[3])]
    frames, by_action = loop(predicted, poses, visible, action, picked)
    metric = build(modes=ALL, joints=joints, per_action=True)
    cuts = np.split(np.arange(60), [7, 8, 40])
    got = run(metric, [batch(predicted[c], poses[c], c, action[c], visible[c]) for c in cuts])
    for i, name in enumerate(('MPJPE', 'PA-MPJPE', 'N-MPJPE', 'PCK@150', 'AUC')):
        assert got[f'lifting/{name}/frames'] == pytest.approx(frames[i])
        assert got[f'lifting/{name}/actions'] == pytest.approx(np.mean([by_action[a][i] for a in range(3)]))
        for a, key in enumerate(ACTIONS):
            assert got[f'lifting/{name}/{key}'] == pytest.approx(by_action[a][i])
    assert len(got) == 5 * (2 + 3)


@pytest.mark.parametrize(
    'mode, theirs', [('mpjpe', 'none'), ('pa-mpjpe', 'procrustes'), ('n-mpjpe', 'scale')], ids=lambda x: x
)
def test_errors_are_mmposes(mode, theirs):
    from mmpose.evaluation.functional import keypoint_mpjpe

    predicted, poses = people()
    for x in (predicted, poses):
        x -= x[:, :1]
    mask = np.random.default_rng(2).random((50, 16)) > (0.2 if mode == 'mpjpe' else -1)
    want = 1000 * keypoint_mpjpe(predicted, poses, mask, theirs)
    assert score(predicted, poses, mode, root=[], visible=mask)[mode.upper()] == pytest.approx(want)


def test_similar_poses_have_no_error_after_alignment_but_mirror_images_do():
    _, poses = people()
    turn = Rotation.random(50, random_state=0).as_matrix()
    moved = 0.3 * poses @ turn.transpose(0, 2, 1) + [1.0, -2.0, 5.0]
    got = score(moved, poses)
    assert got['PA-MPJPE'] == pytest.approx(0, abs=1e-9) and got['N-MPJPE'] > 100 and got['MPJPE'] > 100
    assert score(1.7 * (poses - poses[:, :1]), poses)['N-MPJPE'] == pytest.approx(0, abs=1e-9)
    mirror = poses * [-1, 1, 1]
    assert score(mirror, poses)['PA-MPJPE'] > 100
    assert score(2 * poses[:, :1] - poses, poses)['N-MPJPE'] > 100  # a negative size would give 0


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_rates_are_strict(dtype):
    poses = np.zeros((1, 16, 3), dtype)
    predicted = poses.copy()
    got = score(predicted, poses)
    assert got['PCK@150'] == 100 and got['MPJPE'] == 0
    assert got['AUC'] == pytest.approx(100 * 30 / 31, abs=1e-12)
    predicted[0, 1:, 2] = 0.15
    got = score(predicted, poses)
    assert got['PCK@150'] == pytest.approx(100 / 16) and got['AUC'] == pytest.approx(100 * 30 / 31 / 16)
    predicted[0, 1:, 2] = 0.1499
    assert score(predicted, poses)['PCK@150'] == 100
    assert score(predicted, poses, threshold=100)['PCK@100'] == pytest.approx(100 / 16)
    assert score(predicted, poses, auc_thresholds=[200, 100])['AUC'] == pytest.approx(100 * (1 + 15 / 2) / 16)


def test_place_does_not_count_and_the_root_is_the_skeletons():
    predicted, poses = people()
    want = score(predicted, poses)
    assert score(predicted + [3, 2, 1], poses - [0, 0, 9]) == pytest.approx(want)
    assert score(predicted + [3, 2, 1], poses, root=[])['MPJPE'] > 1000
    hips = [BODY.index(n) for n in ('left_hip', 'right_hip')]
    moved, placed = (x - x[:, hips].mean(1, keepdims=True) for x in (predicted, poses))
    assert score(predicted, poses, root='hip') == pytest.approx(score(moved, placed, root=[]))
    other = Skeleton.from_metainfo('mpi_inf_3dhp')
    predicted, poses = people(joints=17)
    root = other.index('root')
    got = run(build('mpi_inf_3dhp', modes='mpjpe'), [batch(predicted, poses)])['lifting/MPJPE/frames']
    far = predicted - predicted[:, [root]] - poses + poses[:, [root]]
    assert got == pytest.approx(1000 * np.linalg.norm(far, axis=-1).mean())


def test_a_collapsed_prediction_has_the_spread_of_the_label_as_its_error():
    _, poses = people()
    got = score(np.zeros_like(poses), poses)
    assert got['PA-MPJPE'] == pytest.approx(1000 * np.linalg.norm(poses - poses.mean(1, keepdims=True), axis=-1).mean())
    assert got['N-MPJPE'] == pytest.approx(got['MPJPE'])


def test_frames_without_a_root_do_not_count():
    predicted, poses = people()
    visible = np.ones((50, 16), bool)
    visible[10:, 0] = False
    poses[10:, 0] = np.nan
    assert score(predicted, poses, visible=visible) == pytest.approx(score(predicted[:10], poses[:10]))
    nothing = score(predicted, poses, visible=np.zeros_like(visible))
    assert all(np.isnan(value) for value in nothing.values())


def test_padded_samples_count_once():
    predicted, poses = people()
    whole = run(build(modes=ALL), [batch(predicted, poses)])
    order = np.r_[np.random.default_rng(0).permutation(50), 3, 7]
    got = run(build(modes=ALL), [batch(predicted[order], poses[order], order)], size=50)
    assert got == pytest.approx(whole)
    with pytest.raises(ValueError, match='for 25 different samples, but the data set has 50'):
        run(build(), [batch(predicted, poses, np.arange(50) % 25)])


def test_evaluations_do_not_leak_into_each_other():
    metric = build()
    predicted, poses = people()
    first = run(metric, [batch(predicted, poses)])
    run(metric, [batch(predicted[:9] + 1, poses[:9])])
    assert run(metric, [batch(predicted, poses)]) == first


def test_samples_of_mmpose_give_its_own_values():
    from mmpose.evaluation.metrics import MPJPE

    predicted, poses = people(40)
    for x in (predicted, poses):
        x -= x[:, :1] - 4.0  # as after its codec, which puts the label's root back
    visible = np.random.default_rng(0).random((40, 16)) > 0.2
    visible[:, 0] = True
    names = np.array(['Walking', 'Walking_1', 'Greeting 2', 'Sitting_1'])[np.arange(40) ** 2 % 4 + np.arange(40) % 2]
    samples = [
        mmpose_sample(p[None], g[None], v[None], target_img_path=paths(name, i), id=i)
        for i, (p, g, v, name) in enumerate(zip(predicted, poses, visible, names))
    ]
    theirs = MPJPE('mpjpe')
    theirs.process(None, samples)
    want = {key: 1000 * value for key, value in theirs.evaluate(40).items()}
    evaluator = Evaluator([build(modes='mpjpe', per_action=True)])
    for part in (samples[:13], samples[13:14], samples[14:], samples[:3]):
        evaluator.process(part)
    got = evaluator.evaluate(40)
    assert got['lifting/MPJPE/frames'] == pytest.approx(want['MPJPE'])
    shown = {key.split('_', 1)[1]: value for key, value in want.items() if '_' in key}
    assert {key.split('/', 2)[2]: value for key, value in got.items()} == pytest.approx(
        dict(frames=want['MPJPE'], actions=np.mean(list(shown.values())), **shown)
    )


def test_samples_of_many_frames_are_those_of_single_ones():
    predicted, poses = people(24)
    single = [mmpose_sample(p[None], g[None], action='any') for p, g in zip(predicted, poses)]
    cuts = np.split(np.arange(24), [1, 9])
    many = [mmpose_sample(predicted[c][None], torch.tensor(poses[c]), id=i) for i, c in enumerate(cuts)]
    results = []
    for samples in (single, many):
        metric = build(modes=ALL)
        metric.process(None, samples)
        assert len(metric.results) == len(samples)
        results.append(metric.evaluate(len(samples)))
    assert results[0] == pytest.approx(results[1])
    assert results[0]['lifting/AUC/frames'] == results[0]['lifting/AUC/actions']


def picture_sample(predicted, truth, **extra):
    """As a volumetric head and RelativeDepth leave it; (K, 3), the label in the camera's axes."""
    return dict(
        pred_instances=dict(keypoints=predicted[None, :, :2], keypoints_3d=predicted[None].astype(np.float32)),
        gt_instances=dict(keypoints_3d_cam=(1000 * truth[None]).astype(np.float32)),
        **extra,
    )


def test_samples_of_pictures_are_in_millimetres_of_the_camera():
    predicted, poses = people(40)
    metric = build(modes=ALL)
    metric.process(None, [picture_sample(p, g, id=i) for i, (p, g) in enumerate(zip(predicted, poses))])
    got = {key[8:-7]: value for key, value in metric.evaluate(40).items() if key.endswith('/frames')}
    assert got == pytest.approx(score(predicted, poses), rel=1e-4)


def test_joints_that_a_picture_lacks_do_not_count():
    predicted, poses = people(20)
    visible = np.random.default_rng(0).random((20, 16)) > 0.2
    visible[:, 0] = True
    metric = build(modes=ALL)
    metric.process(None, [picture_sample(p, g * v[:, None]) for p, g, v in zip(predicted, poses, visible)])
    got = {key[8:-7]: value for key, value in metric.evaluate(20).items() if key.endswith('/frames')}
    assert got == pytest.approx(score(predicted, poses, visible=visible), rel=1e-4)


def test_pictures_without_3d_labels_name_the_transform():
    predicted, poses = people(1)
    sample = picture_sample(predicted[0], poses[0], img_path='a/x.jpg')
    del sample['gt_instances']['keypoints_3d_cam']
    with pytest.raises(ValueError, match='no 3D label for a/x.jpg.*lack `keypoints_3d_cam`; put RelativeDepth into'):
        build().process(None, [sample])
    with pytest.raises(ValueError, match=r'\(1, 16, 3\) against labelled ones \(1, 14, 3\) for a/x.jpg'):
        build().process(None, [picture_sample(predicted[0], poses[0, :14], img_path='a/x.jpg')])


def shares(rank=None):
    """Batches and samples of one of two processes, the last one padded; or of a single process."""
    predicted, poses = people(31)
    action = np.arange(31) ** 2 % 3
    order = np.arange(31) if rank is None else np.r_[:31, 0][rank::2]
    many = [batch(predicted[c], poses[c], c, action[c]) for c in np.array_split(order, 3)]
    names = [('Walking', 'Posing')[i % 2] for i in range(31)]  # each process knows one of them
    samples = [
        mmpose_sample(predicted[[i]], poses[[i]], target_img_path=paths(names[i], i), id=i) for i in order.tolist()
    ]
    return many, samples


def in_a_process(rank, port, folder):
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    found = []
    for k, share in enumerate(shares(rank)):
        metric = build(modes=ALL, per_action=True, collect_dir=str(folder / f'parts{k}'))
        metric.process(None, share)
        found.append(metric.evaluate(31))
    (folder / f'{rank}.pkl').write_bytes(pickle.dumps(found))


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs POSIX processes')
def test_two_processes_equal_one(tmp_path):
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port = sock.getsockname()[1]
    context = multiprocessing.get_context('fork')
    children = [context.Process(target=in_a_process, args=(rank, port, tmp_path)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    for k, share in enumerate(shares()):
        metric = build(modes=ALL, per_action=True)
        metric.process(None, share)
        one = metric.evaluate(31)
        for rank in range(2):
            assert pickle.loads((tmp_path / f'{rank}.pkl').read_bytes())[k] == pytest.approx(one)


def test_samples_without_ids_are_refused_on_several_processes(monkeypatch):
    metric = build()
    metric.process(None, [mmpose_sample(*people(1)), mmpose_sample(*people(1))])
    monkeypatch.setattr('mmposeda.evaluation.lifting_metric.get_world_size', lambda: 2)
    with pytest.raises(ValueError, match='add `id` to meta_keys of PackPoseInputs'):
        metric.evaluate(2)


@pytest.mark.parametrize('name', ['img_000012.jpg', 'x.jpg', 'S9.jpg'])
def test_pictures_without_an_action_are_one(name):
    metric = build(modes='mpjpe', per_action=True)
    predicted, poses = people(2)
    metric.process(None, [mmpose_sample(predicted, poses, target_img_path=['a/' + name])])
    assert set(metric.evaluate(1)) == {f'lifting/MPJPE/{key}' for key in ('frames', 'actions', 'all')}


def test_bad_input_is_named():
    predicted, poses = people()
    good = batch(predicted, poses)
    with pytest.raises(ValueError, match="modes='p-mpjpe', expected some of mpjpe, pa-mpjpe"):
        build(modes='p-mpjpe')
    with pytest.raises(ValueError, match="no joint 'nose'; it has root, .*; and the groups head, shoulder"):
        run(build(joints=['nose']), [good])
    with pytest.raises(ValueError, match='lacks index, action; it has pred_poses, poses'):
        run(build(), [{k: good[k] for k in ('pred_poses', 'poses')}], 50)
    with pytest.raises(ValueError, match=r"\(50, 16, 3\), .* joint set 'h36m' has 17 joints"):
        run(build('h36m'), [good])
    with pytest.raises(ValueError, match='numbers 0 to 1, but `action_names` of the data set are 1: any'):
        run(build(actions=['any']), [batch(predicted, poses, action=np.arange(50) % 2)])
    with pytest.raises(ValueError, match='nothing was evaluated'):
        build().evaluate(0)
    with pytest.raises(ValueError, match='no 3D label for .*lack `lifting_target`'):
        build().process(None, [dict(pred_instances=dict(keypoints=predicted), gt_instances={})])
    with pytest.raises(ValueError, match=r'\(1, 16, 3\) against labelled ones \(1, 17, 3\) for .*x.jpg'):
        build().process(None, [mmpose_sample(predicted[:1], np.zeros((1, 17, 3)), target_img_path=['x.jpg'])])
    predicted[4, 2], predicted[9, 1] = np.nan, np.inf
    for modes in (ALL, 'mpjpe'):
        with pytest.raises(ValueError, match='2 of 50 predicted poses .* first is sample 4. Has the training diverged'):
            run(build(modes=modes), [batch(predicted, poses)])
    poses[7, 3, 1] = np.nan
    with pytest.raises(ValueError, match='1 of 50 labelled poses .* first is sample 7. Mark such joints'):
        run(build(), [batch(predicted, poses)])


def test_a_wrapped_metric_gives_values_by_bin(tmp_path):
    from mmposeda.datasets.difficulty import DifficultyScores
    from mmposeda.datasets.pose_array import PoseArray

    predicted, poses = people(30, noise=0.02)
    predicted[20:] += np.random.default_rng(3).normal(0, 0.2, (10, 16, 3))
    file = tmp_path / 'scores.npz'
    scored = PoseArray(np.arange(30), np.zeros((30, 16, 2)), np.ones((30, 16)), np.zeros((30, 4)))
    DifficultyScores.of(scored, np.arange(30.0), k=3).save(str(file))
    wrapped = dict(type='LiftingMetric')
    metric = METRICS.build(dict(type='BinnedMetric', metric=wrapped, score_file=str(file), k=3, tail=1))
    metric.dataset_meta = build().dataset_meta
    metric.process(None, [mmpose_sample(p[None], g[None], id=i) for i, (p, g) in enumerate(zip(predicted, poses))])
    got = metric.evaluate(30)
    for part, where in (('_bin_00', slice(10)), ('_bin_02', slice(20, 30)), ('', slice(30))):
        assert got[f'lifting/PA-MPJPE/frames{part}'] == pytest.approx(score(predicted[where], poses[where])['PA-MPJPE'])


def test_many_frames_are_aligned_at_once_and_held_small(monkeypatch):
    count, size, calls = 4, 1024, []
    align = lifting_metric._ALIGN['pa-mpjpe']
    monkeypatch.setitem(lifting_metric._ALIGN, 'pa-mpjpe', lambda *args: calls.append(1) or align(*args))
    predicted, poses = (torch.tensor(x, dtype=torch.float32) for x in people(size))
    metric = build(modes=ALL)
    for i in range(count):
        part = dict(
            pred_poses=predicted,
            poses=poses,
            visible=torch.ones(size, 16, dtype=torch.bool),
            index=i * size + torch.arange(size),
            action=torch.arange(size) % 3,
        )
        metric.process(None, [part])
    held = sum(table.numel() * table.element_size() for table, _ in metric.results)
    assert held / (count * size) <= 72
    assert len(calls) == count, 'whole batches, not frame by frame'
    metric.evaluate(count * size)
