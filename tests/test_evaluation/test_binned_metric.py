import multiprocessing
import os
import pickle
import socket

import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmposeda.datasets.difficulty import DifficultyScores, PoseArray, ScoreFileError
from mmposeda.evaluation.binned_metric import bin_summary
from mmposeda.registry import METRICS
from mmposeda.structures.skeleton import metainfo_path

COUNT = 83
META = parse_pose_metainfo(dict(from_file=metainfo_path('lsp')))
PCK = dict(type='GroupedPCK', thr=(0.05, 0.1))
POSE = dict(type='EvalPose', variants=['raw', 'signed'])


def people(count=COUNT, seed=0, ids=None, noise=12.0):
    """Samples as MMEngine hands them to a metric; later ones are predicted worse."""
    rng = np.random.default_rng(seed)
    gt = rng.uniform(10, 240, (count, 14, 2)).astype(np.float32)
    pred = gt + rng.normal(0, 1, gt.shape) * np.linspace(2, 2 * noise, count)[:, None, None]
    ids = 10 * np.arange(count) + 7 if ids is None else ids
    return [
        dict(
            id=i,
            img_path=f'data/set/images/im{n:03d}.jpg',
            gt_instances=dict(keypoints=gt[None, n], keypoints_visible=np.ones((1, 14), np.float32)),
            pred_instances=dict(keypoints=pred[None, n]),
            input_size=(256, 256),
            input_scale=np.full(2, 256.0),
            input_center=np.full(2, 128.0),
        )
        for n, i in enumerate(ids if isinstance(ids, list) else ids.tolist())
    ]


def write_scores(path, samples, scores=None, k=25, ids=None):
    points = np.concatenate([s['gt_instances']['keypoints'] for s in samples])
    visible = np.concatenate([s['gt_instances']['keypoints_visible'] for s in samples])
    poses = PoseArray(
        np.array([s['id'] for s in samples]) if ids is None else np.array(ids),
        points,
        visible,
        np.zeros((len(samples), 4), np.float32),
    )
    scores = np.arange(len(samples)) if scores is None else scores
    DifficultyScores.of(poses, np.asarray(scores, np.float32), k).save(str(path))
    return str(path)


@pytest.fixture
def scored(tmp_path):
    samples = people()
    return samples, write_scores(tmp_path / 'scores.npz', samples)


def build(score_file, metric=PCK, **kwargs):
    binned = METRICS.build(dict(type='BinnedMetric', metric=ConfigDict(metric), score_file=score_file, **kwargs))
    binned.dataset_meta = META
    return binned


def run(metric, samples, batch=9):
    for start in range(0, len(samples), batch):
        metric.process(None, samples[start : start + batch])
    return metric.evaluate(len(samples))


def plain(metric, samples):
    metric = METRICS.build(metric)
    metric.dataset_meta = META
    return run(metric, samples)


@pytest.mark.parametrize('metric', [PCK, POSE, dict(type='EvalPose', variants=['centred'])])
def test_the_weighted_mean_of_the_bins_is_the_overall_value(scored, metric):
    samples, path = scored
    got, overall = run(build(path, metric), samples), plain(metric, samples)
    sizes = np.bincount(DifficultyScores.load(path).bins, minlength=25)
    assert got['PCK/unbinned' if metric is PCK else 'EvalPose/unbinned'] == 0 and set(sizes) == {3, 4}
    for key, value in overall.items():
        assert got[key] == value or 'centred' in key and got[key] == pytest.approx(value, abs=1e-9)
        if 'skipped' not in key:
            by_bin = [got[f'{key}_bin_{j:02d}'] for j in range(25)]
            assert np.average(by_bin, weights=sizes) == pytest.approx(value, abs=1e-9)
            assert np.ptp(by_bin) > 1


def test_every_bin_is_the_metric_on_its_samples(scored):
    samples, path = scored
    got, bins = run(build(path), samples), DifficultyScores.load(path).bins
    for j in (0, 7, 24):
        part = plain(PCK, [s for s, b in zip(samples, bins) if b == j])
        assert {f'{key}_bin_{j:02d}': value for key, value in part.items()}.items() <= got.items()
    values = np.array([got[f'PCK/all@0.05_bin_{j:02d}'] for j in range(25)])
    assert (
        got['PCK/all@0.05_slope'] == pytest.approx(np.polyfit(np.arange(25), values, 1)[0]) and values[0] > values[-1]
    )
    assert got['PCK/all@0.05_tail'] == pytest.approx(values[20:].mean())
    assert got['PCK/all@0.05_head'] == pytest.approx(values[:5].mean())


def test_order_and_batches_do_not_matter(scored):
    samples, path = scored
    shuffled = [samples[i] for i in np.random.default_rng(1).permutation(COUNT)]
    assert run(build(path), samples) == run(build(path), shuffled, batch=1)


def two_ranks(monkeypatch, metrics, shards, size, batch=4):
    """Evaluate as two processes do, each with its padded share."""
    for metric, shard in zip(metrics, shards):
        for start in range(0, len(shard), batch):
            metric.process(None, shard[start : start + batch])
    parts = [pickle.loads(pickle.dumps(m.results)) for m in metrics]

    def collect(results, length, device, tmpdir=None):
        from itertools import chain, zip_longest

        return [r for r in chain.from_iterable(zip_longest(*parts)) if r is not None][:length]

    monkeypatch.setattr('mmengine.evaluator.metric.collect_results', collect)
    return metrics[0].evaluate(size)


@pytest.mark.parametrize('strided', [True, False])
def test_two_padded_ranks_equal_one_whatever_their_shares(scored, monkeypatch, strided):
    samples, path = scored
    one = run(build(path), samples)
    padded = [*samples, samples[0]]
    shards = (padded[::2], padded[1::2]) if strided else (padded[:42], padded[42:] + samples[:3])
    assert two_ranks(monkeypatch, [build(path), build(path)], shards, COUNT) == one


def in_a_process(rank, port, path, folder, samples):
    import torch.distributed as dist

    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    metric = build(path, collect_dir=str(folder / 'parts'))
    metric.process(None, samples[rank::2])
    (folder / f'{rank}.pkl').write_bytes(pickle.dumps(metric.evaluate(COUNT)))


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs POSIX processes')
def test_two_processes_equal_one(scored, tmp_path):
    samples, path = scored
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port = sock.getsockname()[1]
    context = multiprocessing.get_context('fork')
    args = port, path, tmp_path, [*samples, samples[0]]
    children = [context.Process(target=in_a_process, args=(rank, *args)) for rank in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    one = run(build(path), samples)
    assert all(pickle.loads((tmp_path / f'{rank}.pkl').read_bytes()) == one for rank in range(2))


def test_samples_without_a_score_count_in_the_overall_value_only(tmp_path):
    samples = people()
    scores = np.where(np.arange(COUNT) < 10, np.nan, np.arange(COUNT))
    got = run(build(write_scores(tmp_path / 's.npz', samples, scores)), samples)
    assert got['PCK/unbinned'] == 10 and got['PCK/all@0.05'] == plain(PCK, samples)['PCK/all@0.05']
    rest = plain(PCK, samples[10:])['PCK/all@0.05']
    scores = DifficultyScores.load(str(tmp_path / 's.npz'))
    sizes = np.bincount(scores.bins[scores.bins >= 0], minlength=25)
    by_bin = [got[f'PCK/all@0.05_bin_{j:02d}'] for j in range(25)]
    assert np.average(by_bin, weights=sizes) == pytest.approx(rest)


def test_a_part_of_the_scored_samples_keeps_its_bins_and_empty_ones_are_nan(scored):
    samples, path = scored
    bins = DifficultyScores.load(path).bins
    part = [s for s, b in zip(samples, bins) if b not in (3, 24)]
    got, whole = run(build(path), part), run(build(path), samples)
    assert np.isnan([got['PCK/all@0.05_bin_03'], got['PCK/all@0.05_bin_24']]).all()
    assert got['PCK/all@0.05_bin_23'] == whole['PCK/all@0.05_bin_23']
    kept = [whole[f'PCK/all@0.05_bin_{j:02d}'] for j in range(20, 24)]
    assert got['PCK/all@0.05_tail'] == pytest.approx(np.mean(kept))
    assert np.isfinite(got['PCK/all@0.05_slope'])


def test_another_number_of_bins_is_cut_from_the_scores(scored, tmp_path):
    samples, path = scored
    five = write_scores(tmp_path / 'five.npz', samples, k=5)
    got = run(build(path, k=5, tail=1), samples)
    assert got == run(build(five, k=5, tail=1), samples) and 'PCK/all@0.05_bin_05' not in got
    assert got['PCK/all@0.05_tail'] == got['PCK/all@0.05_bin_04']


def test_only_the_chosen_results_are_given_by_bin(scored):
    samples, path = scored
    for keys in (['all@0.05'], ['PCK/all@0.05'], 'all@*5'):
        got = run(build(path, keys=keys), samples)
        by_bin = [key for key in got if '_bin_' in key]
        assert len(by_bin) == 25 and all(key.startswith('PCK/all@0.05_bin_') for key in by_bin)
        assert 'PCK/knee@0.1' in got
    with pytest.raises(ValueError, match=r"no result fits keys='all@0.5'; there are .*all@0.05"):
        run(build(path, keys=['all@0.5']), samples)


def test_prefix_is_that_of_the_wrapped_metric_or_its_own(scored):
    samples, path = scored
    got = run(build(path, prefix='by_difficulty', keys=['all@0.1']), samples)
    assert {key.split('/')[0] for key in got} == {'by_difficulty'}


def test_metrics_of_mmpose_can_be_wrapped(scored, tmp_path):
    samples, path = scored
    got = run(build(path, dict(type='EPE')), samples)
    epe = [got[f'EPE_bin_{j:02d}'] for j in range(25)]
    sizes = np.bincount(DifficultyScores.load(path).bins)
    assert np.average(epe, weights=sizes) == pytest.approx(got['EPE'], rel=1e-5) and got['EPE_slope'] > 0.5


def test_nothing_of_a_bin_is_printed_but_one_row_a_result(scored, caplog):
    samples, path = scored
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    run(build(path, keys=['all@0.05']), samples)
    logger.removeHandler(caplog.handler)
    told = [record.message for record in caplog.records if record.levelname == 'INFO']
    assert [text.split(',')[0] for text in told] == ['PCK (%)', f'{COUNT} samples in 25 bins']
    assert told[1].count('\n') == 1 and not logger.disabled


@pytest.mark.parametrize('kind', ['names', 'paths', 'numpy'])
def test_samples_are_found_by_name_path_or_number(tmp_path, kind):
    samples = people(20)
    ids = [s['id'] for s in samples]
    if kind == 'names':
        ids = [f'frame {i}' for i in ids]
        for sample, name in zip(samples, ids):
            sample['id'] = name
    elif kind == 'paths':
        ids = [s['img_path'][len('data/set/') :] for s in samples]
        for sample in samples:
            sample['id'] = 3
    else:
        for sample in samples:
            sample['id'] = np.int32(sample['id'])
    got = run(build(write_scores(tmp_path / 's.npz', samples, ids=ids), k=4, tail=1), samples)
    assert got['PCK/all@0.05_bin_00'] > got['PCK/all@0.05_bin_03']


def test_a_score_file_of_another_data_set_is_refused_at_the_first_batch(scored, tmp_path):
    samples, path = scored
    with pytest.raises(ScoreFileError, match=r'scores.npz has no score for sample 9999 \(data/set/.*score_poses.py'):
        build(path).process(None, people(2, ids=[7, 9999])[1:])
    twins = people(seed=5)  # the same ids, other people
    with pytest.raises(ScoreFileError, match='scores.npz does not fit: 83 of 83 poses are others'):
        build(path).process(None, twins)
    assert run(build(path, check_poses=False), twins)['PCK/unbinned'] == 0


def test_a_missing_file_is_told_at_the_first_batch_and_a_damaged_one_when_built(scored, tmp_path):
    samples, _ = scored
    later = build(str(tmp_path / 'later.npz'))
    with pytest.raises(FileNotFoundError, match='later.npz does not exist.*score_poses.py'):
        later.process(None, samples)
    write_scores(tmp_path / 'later.npz', samples)
    assert run(later, samples)['PCK/unbinned'] == 0
    (tmp_path / 'bad.npz').write_bytes(b'nothing')
    with pytest.raises(ScoreFileError, match='bad.npz'):
        build(str(tmp_path / 'bad.npz'))


def test_missing_samples_and_ids_that_repeat_are_refused(scored):
    samples, path = scored
    metric = build(path)
    metric.process(None, samples[:-1])
    with pytest.raises(ValueError, match='results came for 82 different samples, but the data set has 83'):
        metric.evaluate(COUNT)


class TwoASample(BaseMetric):
    default_prefix = 'two'

    def process(self, data_batch, data_samples):
        self.results += [1, 2] * len(data_samples)

    def compute_metrics(self, results):
        return dict(sum=sum(results))


def test_wrong_settings_are_refused(scored):
    samples, path = scored
    for wrong in (dict(k=0), dict(tail=0), dict(k=4)):
        with pytest.raises(ValueError, match='expected 0 < tail <= k'):
            build(path, **wrong)
    metric = METRICS.build(dict(type='BinnedMetric', metric=TwoASample(), score_file=path))
    with pytest.raises(ValueError, match='TwoASample keeps 166 results of 83 samples'):
        metric.process(None, samples)


def test_coco_metric_with_an_annotation_file_is_refused(write_people, tmp_path):
    folder = write_people(tmp_path / 'people')
    with pytest.raises(ValueError, match='leave ann_file out'):
        build('none.npz', dict(type='CocoMetric', ann_file=str(folder / 'ann.json')))


def test_summary_of_a_line():
    values = 80 - 1.5 * np.arange(25.0)
    values[3] = np.nan
    got = bin_summary(values)
    assert got['slope'] == pytest.approx(-1.5) and got['tail'] == 80 - 1.5 * 22
    assert got['head'] == pytest.approx(80 - 1.5 * (0 + 1 + 2 + 4) / 4)
    assert np.isnan(list(bin_summary(np.full(25, np.nan)).values())).all()


def test_a_config_evaluates_by_bin(domain_pair, tmp_path):
    """The whole way: a data set of MMPose's kind, its scores, its samples through a pipeline."""
    from mmengine.dataset import pseudo_collate

    from mmposeda.datasets.difficulty import read_poses
    from mmposeda.registry import DATASETS

    dataset = DATASETS.build(dict(domain_pair['target'], test_mode=True))
    poses = read_poses(dataset)
    path = str(tmp_path / 's.npz')
    DifficultyScores.of(poses, np.arange(len(dataset))[::-1].astype(np.float32), k=3).save(path)
    metric = build(path, k=3, tail=1)
    samples = pseudo_collate([dataset[i] for i in range(len(dataset))])['data_samples']
    for n, sample in enumerate(samples):
        sample.pred_instances = sample.gt_instances.clone()
        sample.pred_instances.keypoints = sample.gt_instances.keypoints + (100 if n < 2 else 0)
    metric.process(None, [s.to_dict() for s in samples])
    got = metric.evaluate(len(dataset))
    assert [got[f'PCK/all@0.05_bin_{j:02d}'] for j in range(3)] == [100, 100, 0]
