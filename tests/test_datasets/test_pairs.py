"""Pairs of sequences: what they hold, what they never hold, and that they resume."""

import json

import cv2
import numpy as np
import pytest
import torch
from miniatures import write_h36m
from mmcv.transforms import BaseTransform
from mmengine.dataset import ConcatDataset, InfiniteSampler, pseudo_collate
from torch.utils.data import DataLoader

from mmposeda.datasets import PairSequenceDataset
from mmposeda.datasets.images import SampleError
from mmposeda.engine.resumable_loader import ResumableLoader
from mmposeda.registry import DATA_SAMPLERS, DATASETS, TRANSFORMS
from mmposeda.structures.skeleton import metainfo_path

META = dict(from_file=metainfo_path('lsp'))
SIZE = (60, 40)


def frame_picture(number, size=SIZE):
    """A still background with a white square that moves 2 pixels a frame."""
    picture = np.full((size[1], size[0], 3), 60, np.uint8)
    picture[:, ::7] = 30
    picture[10:20, 2 * number : 2 * number + 8] = 255
    return picture


@pytest.fixture
def video(tmp_path):
    """Two folders of 12 frames of a video, one of a single frame."""
    for name, count in (('walk', 12), ('run', 12), ('still', 1)):
        (tmp_path / 'video' / name).mkdir(parents=True)
        for n in range(count):
            cv2.imwrite(str(tmp_path / 'video' / name / f'{n:06d}.png'), frame_picture(n))
    return tmp_path / 'video'


@pytest.fixture
def pairs(video, top_down_pipeline):
    """Build a set of pairs over the folders; keywords of the pairs, and ``inner`` of the folders' data set."""

    def make(inner=None, build=True, **kwargs):
        folder = dict(type='UnlabeledImageDataset', metainfo=META, data_prefix=dict(img=str(video)))
        folder = {**folder, 'pipeline': top_down_pipeline(), **(inner or {})}
        cfg = {'type': 'PairSequenceDataset', 'dataset': folder, 'gap': (2, 4), **kwargs}
        return DATASETS.build(cfg) if build else cfg

    return make


def test_a_sample_is_two_frames_of_one_sequence(pairs):
    dataset = pairs()
    assert len(dataset) == 24  # the single frame has no partner
    assert dataset.metainfo['dataset_name'] == 'lsp'
    for idx in range(24):
        packed = dataset[idx]
        sample = packed['data_samples']
        assert set(packed) == {'inputs', 'data_samples'}
        assert packed['inputs'].shape == (6, 64, 64) and packed['inputs'].dtype == torch.uint8
        base, driving = sample.frames
        assert 2 <= abs(base - driving) <= 4 and sample.sample_index == idx and sample.domain == 'pair'
        folder = sample.img_path.rsplit('/', 1)[0]
        assert sample.sequence_id == folder == sample.driving_path.rsplit('/', 1)[0]
        assert [int(p[-10:-4]) for p in (sample.img_path, sample.driving_path)] == [base, driving]
        assert sample.input_size == (64, 64) and sample.flip_indices[:2] == [5, 4]


def test_channels_are_base_then_driving(pairs):
    dataset = pairs()
    single = dataset.dataset
    for idx in (0, 7, 23):
        packed = dataset[idx]
        for path, part in zip(
            (packed['data_samples'].img_path, packed['data_samples'].driving_path), packed['inputs'].split(3)
        ):
            number = next(i for i in range(len(single)) if single.get_data_info(i)['img_path'] == path)
            torch.testing.assert_close(part, single[number]['inputs'], rtol=0, atol=0)


def test_partners_vary_from_draw_to_draw_in_both_directions(pairs):
    dataset = pairs()
    middle = next(i for i in range(24) if dataset[i]['data_samples'].frames[0] == 6)
    steps = {f[1] - f[0] for f in (dataset[middle]['data_samples'].frames for _ in range(80))}
    assert steps == {-4, -3, -2, 2, 3, 4}
    assert len(dataset.partners(middle)) == 6


def boxes_of(frames):
    """A box about the square of each frame of ``walk``."""
    return {f'walk/{n:06d}.png': [[2 * n, 5, 8, 20]] for n in frames}


def test_one_window_for_both_holds_both_boxes(pairs, tmp_path):
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes_of(range(12))))
    dataset = pairs(inner=dict(ann_file=str(tmp_path / 'boxes.json')))
    assert len(dataset) == 12
    for _ in range(5):
        packed = dataset[6]
        sample = packed['data_samples']
        low, high = sorted(2 * n for n in sample.frames)
        assert sample.gt_instances.bboxes.tolist() == [[low, 5, high + 8, 25]]
        # what does not move in the picture does not move in the window: the dark columns
        base, driving = packed['inputs'].split(3)
        for rows in (slice(0, 12), slice(-12, None)):
            torch.testing.assert_close(base[:, rows], driving[:, rows], rtol=0, atol=0)
        assert (base != driving).any()


def test_own_windows_for_pictures_cut_one_by_one(pairs, tmp_path, video):
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes_of(range(12))))
    packed = pairs(inner=dict(ann_file=str(tmp_path / 'boxes.json')), window='own')[6]
    base, driving = packed['inputs'].split(3)
    frame = packed['data_samples'].frames[0]
    assert packed['data_samples'].gt_instances.bboxes.tolist() == [[2 * frame, 5, 2 * frame + 8, 25]]
    torch.testing.assert_close(base[:, 22:42, 22:42], driving[:, 22:42, 22:42], rtol=0, atol=0)  # the square stays
    for n in range(0, 12, 2):
        cv2.imwrite(str(video / 'walk' / f'{n:06d}.png'), frame_picture(n, (70, 50)))
    assert pairs(gap=(1, 1), window='own')[14]['inputs'].shape == (6, 64, 64)
    with pytest.raises(SampleError, match=r"(?s)sample 14 \(.*walk.*no window in common.*set window='own'"):
        pairs(gap=(1, 1))[14]


def test_people_of_one_picture_are_told_apart_by_their_track(pairs, tmp_path):
    images = [dict(id=n, file_name=f'run/{n:06d}.png') for n in range(6)]
    annotations = [
        dict(image_id=n, bbox=[10 * who, 0, 10, 20], track_id=who) for n in range(6) for who in (0, 1) if n + who
    ]
    (tmp_path / 'tracks.json').write_text(json.dumps(dict(images=images, annotations=annotations)))
    inner = dict(ann_file=str(tmp_path / 'tracks.json'))
    dataset = pairs(inner=inner, person='track_id')
    assert len(dataset) == 11
    for idx in range(11):
        sample = dataset[idx]['data_samples']
        assert sample.gt_instances.bboxes[0, 0] == 10 * int(sample.sequence_id.rsplit('#')[-1])
    with pytest.raises(ValueError, match=r'000001\.png and .*000001\.png .*both are frame 1 .*people of one picture'):
        pairs(inner=inner)


def labelled(folder, pipeline):
    return dict(
        type='LSPDataset',
        data_root=str(folder),
        ann_file='ann.json',
        data_prefix=dict(img='images/'),
        pipeline=pipeline,
    )


@pytest.mark.parametrize('wrapped', [False, True])
def test_no_label_leaks(tmp_path, write_people, top_down_pipeline, wrapped):
    """A labelled set gives what it gives with NaN for labels, and nothing but the box is left."""
    codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
    folder, drawn = write_people(tmp_path), []
    for poisoned in (False, True):
        if poisoned:
            raw = json.loads((folder / 'ann.json').read_text())
            for ann in raw['annotations']:
                ann.update(keypoints=[float('nan')] * 42, num_keypoints=0)
            (folder / 'ann.json').write_text(json.dumps(raw))
        inner = labelled(folder, top_down_pipeline(codec=codec))
        inner = dict(type='UnlabeledDataset', dataset=inner) if wrapped else inner
        dataset = PairSequenceDataset(inner, sequence='numbered', gap=(1, 2))
        np.random.seed(1)  # noqa: NPY002
        drawn.append([dataset[i] for i in range(len(dataset))])
    for clean, nan in zip(*drawn):
        torch.testing.assert_close(clean['inputs'], nan['inputs'], rtol=0, atol=0)
        sample = clean['data_samples']
        assert sample.frames == nan['data_samples'].frames
        assert set(sample.gt_instances.keys()) == {'bboxes', 'bbox_scores', 'bbox_scales'}
        assert not sample.gt_instance_labels.keys() and 'gt_fields' not in sample
        assert not {'raw_ann_info', 'keypoints', 'category_id'} & set(sample.metainfo)
        assert sample.domain == 'pair'


def test_pairs_of_human36m_are_of_one_take_and_camera(tmp_path, top_down_pipeline):
    root = write_h36m(tmp_path, count=12)  # six frames of each of two people, five apart
    inner = dict(type='Human36m2DDataset', data_root=str(root), pipeline=top_down_pipeline())
    dataset = PairSequenceDataset(inner, sequence='numbered', gap=(5, 10))
    assert len(dataset) == 12 and [len(dataset.partners(i)) for i in range(6)] == [2, 3, 4, 4, 3, 2]
    sample = dataset[8]['data_samples']
    assert sample.sequence_id.endswith('S5_Walking_1.54138969_') and abs(np.diff(sample.frames)[0]) in (5, 10)


def test_rendered_people_give_their_sequences_without_being_rendered(top_down_pipeline, monkeypatch):
    pytest.importorskip('warp')
    from mmposeda.datasets import SyntheticBodyDataset

    monkeypatch.setattr(SyntheticBodyDataset, 'get_data_info', lambda *args: pytest.fail('rendered at build time'))
    inner = dict(type='SyntheticBodyDataset', length=30, first=8, size=64, sequence=10, pipeline=top_down_pipeline())
    dataset = PairSequenceDataset(inner, sequence='fields', gap=(8, 9))
    # pictures 8 and 9 end a clip and find none; of 10 to 19 and 20 to 29 frames 0, 1, 8 and 9 do; 30 to 37 have no 8
    assert len(dataset) == 8
    monkeypatch.undo()
    packed = dataset[0]
    assert packed['inputs'].shape == (6, 64, 64) and packed['data_samples'].sequence_id == '1'
    assert packed['data_samples'].frames[0] == 0 and packed['data_samples'].frames[1] in (8, 9)
    assert packed['inputs'][:3].ne(packed['inputs'][3:]).any()
    with pytest.raises(ValueError, match='no sequence has two frames'):
        PairSequenceDataset({**inner, 'sequence': 0}, sequence='fields')


def batches(dataset, workers, start, count):
    loader = DataLoader(
        dataset, 4, sampler=InfiniteSampler(dataset, seed=0), num_workers=workers, collate_fn=pseudo_collate
    )
    loader = ResumableLoader(loader, seed=5, endless=True)
    loader.begin(start)
    iterator = iter(loader)
    drawn = [next(iterator) for _ in range(count)]
    iterator.close()
    return [[(s.sample_index, s.frames) for s in batch['data_samples']] for batch in drawn]


def test_a_resumed_run_draws_the_same_pairs_whatever_its_workers(pairs):
    whole = batches(pairs(), 0, 0, 14)
    assert batches(pairs(), 2, 9, 5) == whole[9:]
    by_base = {}
    for batch in whole:
        for index, frames in batch:
            by_base.setdefault(index, set()).add(frames)
    assert any(len(found) > 1 for found in by_base.values())  # another partner in another epoch


def test_a_third_part_with_a_quota_of_its_own(domain_pair, pairs):
    target = dict(type='UnlabeledDataset', dataset=domain_pair['target'])
    joined = DATASETS.build(dict(type='CombinedDataset', datasets=[domain_pair['source'], target, pairs(build=False)]))
    sampler = DATA_SAMPLERS.build(dict(type='DomainSampler', dataset=joined, quotas=[3, 2, 2], seed=0))
    indices = iter(sampler)
    for _ in range(3):
        samples = [joined[next(indices)] for _ in range(7)]
        assert [s['data_samples'].metainfo.get('domain', 'source') for s in samples] == (
            3 * ['source'] + 2 * ['target'] + 2 * ['pair']
        )
        assert [len(s['inputs']) for s in samples] == 5 * [3] + 2 * [6]
    sampler.set_start(1)
    again = iter(sampler)
    assert [next(again) for _ in range(7)] == list(iter(sampler_batches(joined)))[7:14]


def sampler_batches(joined):
    sampler = DATA_SAMPLERS.build(dict(type='DomainSampler', dataset=joined, quotas=[3, 2, 2], seed=0, epoch_length=2))
    return list(sampler)


def test_still_pictures_are_pairs_of_their_own(domain_pair):
    dataset = DATASETS.build(dict(type='SelfPairDataset', dataset=domain_pair['target']))
    packed = dataset[2]
    assert packed['inputs'].shape == (3, 64, 64) and packed['data_samples'].domain == 'pair'
    assert packed['data_samples'].sample_index == 2 and 'keypoints' not in packed['data_samples'].gt_instances
    plain = DATASETS.build(dict(type='UnlabeledDataset', dataset=domain_pair['target']))[2]
    torch.testing.assert_close(packed['inputs'], plain['inputs'], rtol=0, atol=0)


@pytest.mark.parametrize(
    'change, message',
    [
        (
            dict(gap=(20, 30)),
            r"no pair in 25 samples of UnlabeledImageDataset, 3 sequences by the rule '.*': gap=\[20, 30\] frames are "
            r'wanted, but distances go from 1 to 11\. By the rule, .*run/000000\.png is frame 0 of',
        ),
        (dict(sequence=r'(?P<sequence>\w+/\d{5})(?P<frame>\d)'), 'distances go from 1 to 9'),
        (dict(sequence=r'video/(?P<frame>\d+)(?P<sequence>.*)'), r'does not match .*run/000000\.png'),
        (dict(sequence=r'(?P<sequence>video)/.*/(?P<frame>\d+)'), 'both are frame 0 of sequence .video.: let the rule'),
        (dict(gap=(0, 5)), '1 <= least <= largest'),
        (dict(gap=(6, 5)), '1 <= least <= largest'),
        (dict(gap=(5.0, 6.0)), '1 <= least <= largest'),
        (dict(window='both'), "window='both', expected one of shared, own"),
    ],
    ids=['gap', 'distances', 'path', 'same', 'zero', 'order', 'float', 'window'],
)
def test_what_gives_no_pairs_says_why(pairs, change, message):
    with pytest.raises(ValueError, match=message):
        pairs(**{'gap': (20, 30), **change})


def test_a_set_without_neighbours_says_so(pairs, tmp_path):
    (tmp_path / 'list.txt').write_text('walk/000000.png\nrun/000003.png\n')
    with pytest.raises(ValueError, match='no sequence has two frames'):
        pairs(inner=dict(ann_file=str(tmp_path / 'list.txt')))


def test_what_cannot_be_wrapped_is_refused(domain_pair, pairs):
    with pytest.raises(TypeError, match='under PairSequenceDataset has an empty pipeline'):
        pairs(inner=dict(pipeline=[]))
    with pytest.raises(TypeError, match='PairSequenceDataset cannot wrap CombinedDataset; wrap each'):
        PairSequenceDataset(domain_pair['joined'])
    source = DATASETS.build(domain_pair['source'])
    with pytest.raises(TypeError, match='cannot wrap ConcatDataset'):
        PairSequenceDataset(ConcatDataset([source, source]))
    dataset = pairs()
    with pytest.raises(TypeError, match='cannot wrap PairSequenceDataset: it needs a data set with a list'):
        PairSequenceDataset(dataset)


def test_random_transforms_are_refused_by_name(pairs, top_down_pipeline):
    with pytest.raises(TypeError, match='RandomFlip under PairSequenceDataset draws at random'):
        pairs(inner=dict(pipeline=top_down_pipeline(random=True)))
    load, *others = top_down_pipeline()
    with pytest.raises(TypeError, match='PhotometricDistortion'):
        pairs(inner=dict(pipeline=[load, dict(type='PhotometricDistortion'), *others]))

    class Shaken(BaseTransform):
        def transform(self, results):
            results['img'] = results['img'] + np.random.randint(2)  # noqa: NPY002
            return results

    TRANSFORMS.register_module(module=Shaken, force=True)
    with pytest.raises(TypeError, match='the transform Shaken under'):
        pairs(inner=dict(pipeline=[load, dict(type='Shaken'), *others]))[0]
    TRANSFORMS.module_dict.pop('Shaken')


def test_unreadable_frames_are_named(pairs, video):
    dataset = pairs(gap=(11, 11))  # frames 0 and 11 of each video
    (video / 'run' / '000011.png').write_bytes(b'junk')
    with pytest.raises((SampleError, RuntimeError), match=r'run/000011\.png'):
        dataset[0]


def test_real_photos_as_the_frames_of_a_video(shared_data, tmp_path, top_down_pipeline):
    """Without boxes, and with such as a detector writes. (The packs hold no two frames of one real video.)"""
    photos = sorted((shared_data / 'lspet_subset' / 'images').glob('*.jpg'))[:8]
    if len(photos) < 8:
        pytest.skip(f'no photos in {shared_data / "lspet_subset"}')
    (tmp_path / 'clip').mkdir()
    boxes = {}
    for n, photo in enumerate(photos):
        picture = cv2.imread(str(photo))
        cv2.imwrite(str(tmp_path / 'clip' / f'frame_{n:05d}.jpg'), cv2.resize(picture, (160, 120)))
        boxes[f'clip/frame_{n:05d}.jpg'] = [[10 + n, 8, 100, 90, 0.9]]
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    for ann_file in ('', str(tmp_path / 'boxes.json')):
        inner = dict(type='UnlabeledImageDataset', metainfo=META, data_prefix=dict(img=str(tmp_path)))
        inner = dict(inner, ann_file=ann_file, pipeline=top_down_pipeline())
        dataset = PairSequenceDataset(inner, sequence='numbered', gap=(1, 3))
        sample = dataset[4]['data_samples']
        first, last = sorted(sample.frames)
        want = [10 + first, 8, 110 + last, 98] if ann_file else [0, 0, 160, 120]
        assert len(dataset) == 8 and sample.gt_instances.bboxes[0].tolist() == want
