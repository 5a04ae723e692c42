"""Clips of videos: what they hold, who is in them, what is left out, and that nothing is drawn."""

import json

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import InfiniteSampler, pseudo_collate
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader
from video_samples import COLORS, frame_number, frame_picture, write_folder, write_video

from mmposeda.datasets import CombinedDataset, video_scan
from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.images import SampleError
from mmposeda.engine.resumable_loader import ResumableLoader
from mmposeda.models.data_preprocessor import DomainDataPreprocessor
from mmposeda.registry import DATASETS, TRANSFORMS
from mmposeda.structures.skeleton import metainfo_path

META = 'nlrd15'


@pytest.fixture
def folder(tmp_path):
    """70 frames as an mp4, 50 as an avi, 40 as pictures of a folder that begin at number 10."""
    root = tmp_path / 'videos'
    write_video(root / 'walk.mp4', range(70), codec='mp4v', color=COLORS['walk'])
    write_video(root / 'sub' / 'run.avi', range(50), color=COLORS['run'])
    write_folder(root / 'jump', range(10, 50), color=COLORS['jump'])
    return root


@pytest.fixture
def build(folder, top_down_pipeline):
    def make(root=folder, **kwargs):
        cfg = dict(type='UnlabeledVideoDataset', metainfo=META, data_root=str(root), frames=10)
        return DATASETS.build({**cfg, 'pipeline': top_down_pipeline(), **kwargs})

    return make


@pytest.fixture
def log(caplog):
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lambda: caplog.text
    logger.removeHandler(caplog.handler)


def numbers(sample):
    """Numbers on the frames of a clip whose crop is the whole picture, 64 x 64 with strips above and below."""
    return [frame_number(frame[:, 11:53].numpy()) for frame in sample['inputs'].split(3)]


def write_boxes(root, content, name='boxes.json'):
    (root / name).write_text(json.dumps(content))
    return name


class TestClips:
    def test_a_sample_holds_consecutive_frames_of_one_video(self, build):
        dataset = build(task='motion')
        assert len(dataset) == 4 + 5 + 7 and dataset.metainfo['dataset_name'] == 'nlrd15'
        met = {}
        for idx in range(len(dataset)):
            packed = dataset[idx]
            sample = packed['data_samples']
            assert set(packed) == {'inputs', 'data_samples'}
            assert packed['inputs'].shape == (30, 64, 64) and packed['inputs'].dtype == torch.uint8
            assert (sample.domain, sample.task, sample.sample_index) == ('clip', 'motion', idx)
            assert list(sample.frames) == [*range(sample.frames[0], sample.frames[0] + 10)] == numbers(packed)
            assert sample.input_size == (64, 64) and len(sample.flip_indices) == 15
            assert set(sample.gt_instances.keys()) == {'bboxes', 'bbox_scores', 'bbox_scales'}
            assert sample.gt_instances.bboxes.tolist() == [[0, 0, 96, 64]] and not len(sample.gt_instance_labels)
            assert dataset.get_data_info(idx)['img_path'] == sample.img_path
            met.setdefault(sample.sequence_id, []).append(sample.frames[0])
        assert met == {
            'jump': [10, 20, 30, 40],
            'sub/run.avi': [0, 10, 20, 30, 40],
            'walk.mp4': [0, 10, 20, 30, 40, 50, 60],
        }
        assert len([*dataset]) == len(dataset)

    @pytest.mark.parametrize(
        'frames, stride, count', [(1, None, 70), (1, 7, 10), (30, 5, 9), (60, None, 1), (70, 1, 1)]
    )
    def test_lengths_and_strides(self, build, folder, frames, stride, count):
        dataset = build(frames=frames, stride=stride)
        own = [idx for idx in range(len(dataset)) if dataset.get_data_info(idx)['img_path'].endswith('mp4')]
        starts = [int(dataset.frames_of(idx)[1][0]) for idx in own]
        assert starts == [n * (stride or frames) for n in range(count)]
        packed = dataset[own[-1]]
        assert packed['inputs'].shape == (3 * frames, 64, 64)
        assert numbers(packed) == [*range(starts[-1], starts[-1] + frames)]

    def test_one_frame_alone_is_decoded_alone(self, build, monkeypatch):
        dataset = build(frames=1)
        decoded = []
        monkeypatch.setattr(dataset._reader, 'read', lambda path, at: decoded.append(at) or iter([frame_picture(3)]))
        dataset[len(dataset) - 1]
        assert decoded == [[69]]

    @pytest.mark.parametrize('fps', [30, 15, 10, 20, 12.5])
    def test_clips_are_sampled_by_the_nearest_frame(self, build, fps):
        dataset = build(fps=fps, frames=6, stride=4)
        for idx in range(len(dataset)):
            packed = dataset[idx]
            frames = np.array(packed['data_samples'].frames)
            first = 10 if packed['data_samples'].sequence_id == 'jump' else 0
            assert numbers(packed) == frames.tolist()
            places = np.arange(6) * 30 / fps + (frames[0] - first)
            assert np.abs(frames - first - places).max() <= 1
        # from the start of a piece the k-th frame is the one nearest to its time
        assert [abs(n - k * 30 / fps) <= 0.5 for k, n in enumerate(dataset.frames_of(0)[1])] == 6 * [True]

    def test_a_clip_lasts_as_long_whatever_the_rate_of_its_video(self, tmp_path, build):
        root = tmp_path / 'rates'
        for rate in (15, 25, 60):
            write_video(root / f'{rate}.avi', range(4 * rate), fps=rate)
        write_folder(root / 'pictures', range(40))
        dataset = build(root, frames=30, source_fps=10)
        for idx in range(len(dataset)):
            sample = dataset[idx]['data_samples']
            rate = 10 if sample.sequence_id == 'pictures' else int(sample.sequence_id.split('.')[0])
            assert abs((sample.frames[-1] - sample.frames[0]) / rate - 29 / 30) <= 1 / rate
        assert (
            len(dataset) == 3 + 4 + 4 + 3
        )  # of 4 s each; the last frame of a slow video stands for one frame, not two
        override = build(root, frames=30, source_fps=10, video_fps=30)
        assert [len([p for p in override.pieces if p.footage == n]) for n in range(4)] == [1, 1, 1, 1]
        assert {p.rate for p in override.pieces} == {10, 30}

    def test_videos_of_a_lower_rate_say_so(self, build, log):
        build(fps=60)
        assert 'some videos have 30 frames a second: for 60, frames come more than once' in log()

    def test_pictures_and_videos_of_the_same_frames_give_the_same_clips(self, tmp_path, build):
        write_video(tmp_path / 'v' / 'a.avi', range(20))
        capture = cv2.VideoCapture(str(tmp_path / 'v' / 'a.avi'))
        (tmp_path / 'p' / 'a').mkdir(parents=True)
        for number in range(20):
            cv2.imwrite(str(tmp_path / 'p' / 'a' / f'{number}.png'), capture.read()[1])
        one, two = (build(tmp_path / root) for root in 'vp')
        for idx in range(2):
            torch.testing.assert_close(one[idx]['inputs'], two[idx]['inputs'], rtol=0, atol=0)

    def test_the_same_whatever_the_workers_and_where_it_begins(self, build):
        dataset = build()

        def batches(workers, start, count):
            sampler = InfiniteSampler(dataset, seed=0)
            # a worker that hangs ends the test
            options = dict(num_workers=workers, timeout=60 * bool(workers), collate_fn=pseudo_collate)
            loader = DataLoader(dataset, 3, sampler=sampler, **options)
            loader = ResumableLoader(loader, seed=5, endless=True)
            loader.begin(start)
            iterator = iter(loader)
            drawn = [next(iterator) for _ in range(count)]
            iterator.close()
            return [[(s.sample_index, s.sequence_id) for s in b['data_samples']] for b in drawn], drawn[-1]['inputs']

        whole, last = batches(0, 0, 7)
        again, last_again = batches(2, 4, 3)
        assert again == whole[4:]
        torch.testing.assert_close(last_again, last, rtol=0, atol=0)

    def test_joined_with_others_and_preprocessed(self, build, domain_pair, top_down_pipeline, folder):
        lsp = dict(from_file=metainfo_path('lsp'))
        cfg = dict(type='UnlabeledVideoDataset', metainfo=lsp, data_root=str(folder))
        cfg.update(frames=5, pipeline=top_down_pipeline())
        joined = CombinedDataset(datasets=[domain_pair['source'], cfg])
        batch = pseudo_collate([joined[0], joined[8], joined[9]])
        out = DomainDataPreprocessor()(batch, True)['inputs']
        assert out['source'].shape == (1, 3, 64, 64) and out['clip'].shape == (2, 5, 3, 64, 64)


class TestBoxes:
    BOXES = {'walk.mp4': {str(n): [[2 + n / 2, 4, 40, 30, 0.9]] for n in range(20, 50)}}

    def test_every_frame_is_cut_by_its_own_box(self, build, folder):
        dataset = build(boxes=write_boxes(folder, self.BOXES))
        assert len(dataset) == 3
        piece, places = dataset.frames_of(1)
        assert piece.first == 20 and places.tolist() == [*range(10, 20)]
        infos = [dataset._info(piece, int(place)) for place in places]
        assert [info['bbox'][0, 0] for info in infos] == [2 + n / 2 for n in range(30, 40)]
        assert all(info['bbox_score'] == np.float32(0.9) for info in infos)
        sample = dataset[1]
        assert sample['data_samples'].frames == (*range(30, 40),)
        assert sample['data_samples'].gt_instances.bboxes.tolist() == [[17, 4, 57, 34]]
        picture = frame_picture(0, COLORS['walk'])
        whole = [cv2.resize(picture[4:34, int(info['bbox'][0, 0]) :][:, :40], (64, 64)) for info in infos]
        assert len(whole) == 10 and sample['inputs'].split(3)[0].ne(sample['inputs'].split(3)[5]).any()

    @pytest.mark.parametrize(
        'max_gap, pieces', [(0, [(0, 9), (11, 19), (25, 39)]), (1, [(0, 19), (25, 39)]), (5, [(0, 39)])]
    )
    def test_small_gaps_are_interpolated_and_longer_ones_part(self, build, folder, max_gap, pieces):
        at = [*range(10), *range(11, 20), *range(25, 40)]
        boxes = {'walk': {str(n): [[n, 4, 20 + n, 30, n / 40]] for n in at}}  # names without their ending will do
        dataset = build(boxes=write_boxes(folder, boxes), max_gap=max_gap, frames=1, min_score=0)
        assert [(p.first, p.first + len(p.boxes) - 1) for p in dataset.pieces] == pieces
        for piece in dataset.pieces:
            frames = piece.first + np.arange(len(piece.boxes))
            np.testing.assert_allclose(piece.boxes[:, 0], frames, atol=1e-4)
            np.testing.assert_allclose(piece.boxes[:, 2], 20 + 2 * frames, atol=1e-4)
            np.testing.assert_allclose(piece.scores, frames / 40, atol=1e-5)

    def test_people_are_told_apart_by_track(self, build, folder):
        boxes = {'walk.mp4': {}}
        for n in range(40):
            boxes['walk.mp4'][str(n)] = [[5, 5, 20, 20, 0.9, 7], [50, 5, 20, 20, 0.8, 'x']]
        boxes['walk.mp4']['3'].append([6, 5, 20, 20, 0.5, 7])  # the better of two boxes of one track counts
        dataset = build(boxes=write_boxes(folder, boxes), frames=40)
        samples = [dataset[idx]['data_samples'] for idx in range(2)]
        assert [s.sequence_id for s in samples] == ['walk.mp4#7', 'walk.mp4#x']
        assert [p.boxes[3, 0] for p in dataset.pieces] == [5, 50]

    def test_without_tracks_people_are_followed_by_overlap(self, build, folder):
        boxes = {'walk.mp4': {}}
        for n in range(60):
            people = [[n, 5, 20, 20, 0.9], [70 - n, 30, 20, 20, 0.95]]
            boxes['walk.mp4'][str(n)] = people[:: 1 if n % 2 else -1] if n != 30 else people[:1]
        dataset = build(boxes=write_boxes(folder, boxes), frames=60)
        assert len(dataset) == 2
        found = sorted(piece.boxes[[0, 30, 59], 0].tolist() for piece in dataset.pieces)
        assert found == [[0, 30, 59], [70, 40, 11]]

    def test_low_scores_do_not_count(self, build, folder):
        boxes = {'walk': {str(n): [[2, 4, 40, 30, 0.9 if n < 30 else 0.2]] for n in range(60)}}
        name = write_boxes(folder, boxes)
        assert len(build(boxes=name)) == 3 and len(build(boxes=name, min_score=0.1)) == 6

    def test_the_same_boxes_in_every_layout(self, build, folder):
        flat = [('walk.mp4', n, [3, 4, 30 + n, 20], 0.5 + n / 100) for n in range(30)]
        flat += [('jump', n, [1, 2, 10 + n, 20], 0.5 + n / 100) for n in range(10, 45)]
        nested, coco, listed = {}, dict(images=[], annotations=[], categories=[dict(id=3, name='person')]), []
        for i, (name, n, box, score) in enumerate(flat):
            nested.setdefault(name, {})[str(n)] = [dict(bbox=box, score=score)]
            picture = f'jump/{n:06d}.png' if name == 'jump' else name
            coco['images'].append(dict(id=i, file_name=picture, **({} if name == 'jump' else dict(frame_id=n))))
            coco['annotations'].append(dict(id=i, image_id=i, bbox=box, score=score, category_id=3))
            coco['annotations'].append(dict(id=i, image_id=i, bbox=[0, 0, 9, 9], score=1.0, category_id=4))
            where = dict(image_id=picture) if name == 'jump' else dict(sequence='walk', frame=n)
            listed.append(dict(bbox=box, score=score, category_id=1, **where))
            listed.append(dict(bbox=[0, 0, 9, 9], score=1.0, category_id=4, **where))
        by_picture = {f'jump/{n:06d}.png': [[*box, score]] for name, n, box, score in flat if name == 'jump'}
        made = [build(boxes=write_boxes(folder, content)) for content in (nested, coco, listed)]
        assert [[(p.footage, p.first, len(p.boxes)) for p in d.pieces] for d in made] == 3 * [[(0, 0, 35), (2, 0, 30)]]
        for other in (*made[1:], build(boxes=write_boxes(folder, by_picture))):
            for a, b in zip(made[0].pieces, other.pieces):
                np.testing.assert_array_equal(a.boxes, b.boxes)
                np.testing.assert_array_equal(a.scores, b.scores)

    @pytest.mark.parametrize(
        'content, message',
        [
            ({'walk': {'0': [[1, 2, 0, 4]]}}, r'box \[1, 2, 0, 4\] .* of walk in .*boxes\.json: expected x, y, w, h'),
            ({'walk': {'0': [[1, 2, float('nan'), 4]]}}, 'expected x, y, w, h'),
            ({'walk': {'0': [[1, 2, 3]]}}, 'expected x, y, w, h'),
            ({'walk': {'0': ['abcd']}}, 'expected x, y, w, h'),
            ({'walk': {'first': [[1, 2, 3, 4]]}}, 'another layout .*first'),
            ({'walk': 3}, 'expected {sequence: .* got another layout'),
            ([3], 'got another layout'),
            ({'images': [], 'annotations': [dict(image_id=1, bbox=[1, 2, 3, 4])]}, 'got another layout'),
            ({'gone': {'0': [[1, 2, 3, 4]]}}, "no box of any of 3 videos .*'frame 0 of gone' .* as jump, sub/run.avi"),
            ({}, 'no box of any of 3 videos'),
            ({'walk': {'0': [[1, 2, 3, 4, 1, 'a']], '1': [[1, 2, 3, 4]]}}, 'some boxes have a track_id and some'),
        ],
    )
    def test_files_that_cannot_be_understood(self, build, folder, content, message):
        with pytest.raises(AnnotationError, match=message):
            build(boxes=write_boxes(folder, content))

    def test_no_file(self, build):
        with pytest.raises(FileNotFoundError, match=r'boxes .*videos/gone\.json do not exist'):
            build(boxes='gone.json')

    def test_boxes_of_other_frames_are_counted(self, build, folder, log):
        write_boxes(folder, {'walk': self.BOXES['walk.mp4'], 'gone': {'3': [[1, 2, 3, 4]]}})
        build(boxes='boxes.json')
        assert '1 boxes of' in log() and 'as frame 3 of gone' in log()


class TestScenes:
    @pytest.fixture
    def film(self, tmp_path):
        """Three scenes of 20 frames each, as a video and as pictures."""
        root = tmp_path / 'film'
        writer = None
        (root / 'pictures').mkdir(parents=True)
        writer = cv2.VideoWriter(str(root / 'a.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 30, (96, 64))
        for n in range(60):
            picture = frame_picture(n, [(60, 60, 60), (120, 20, 20), (20, 20, 120)][n // 20])
            writer.write(picture)
            cv2.imwrite(str(root / 'pictures' / f'{n:03d}.png'), picture)
        writer.release()
        return root

    def test_no_clip_runs_over_a_cut(self, build, film):
        assert [(p.first, len(p.boxes)) for p in build(film).pieces] == 2 * [(0, 20), (20, 20), (40, 20)]
        assert [(p.first, len(p.boxes)) for p in build(film, scene_cuts=False).pieces] == 2 * [(0, 60)]
        assert [(p.first, len(p.boxes)) for p in build(film, cut_threshold=1).pieces] == 2 * [(0, 60)]

    def test_nor_is_a_box_drawn_from_one_scene_into_the_next(self, build, film):
        boxes = {'a.avi': {str(n): [[n, 3, 20, 20]] for n in [*range(18), *range(22, 60)]}}
        dataset = build(film, boxes=write_boxes(film, boxes))
        assert [(p.first, len(p.boxes)) for p in dataset.pieces] == [(0, 18), (22, 18), (40, 20)]

    def test_cuts_of_a_file(self, build, film):
        name = write_boxes(film, {'a': [15], 'pictures': [30, 45]}, 'cuts.json')
        dataset = build(film, scene_cuts=name)
        assert [(p.first, len(p.boxes)) for p in dataset.pieces] == [(0, 15), (15, 45), (0, 30), (30, 15), (45, 15)]
        with pytest.raises(FileNotFoundError, match=r'scene cuts .*gone\.json do not exist; set scene_cuts=True'):
            build(film, scene_cuts='gone.json')
        for content in ([3], {'a': 3}, {'a': ['b']}):
            with pytest.raises(AnnotationError, match='expected {sequence:'):
                build(film, scene_cuts=write_boxes(film, content, 'cuts.json'))
        with pytest.raises(AnnotationError, match="names 'gone' and others, but none of the videos, as a.avi"):
            build(film, scene_cuts=write_boxes(film, {'gone': [3]}, 'cuts.json'))

    def test_missing_pictures_part_a_sequence(self, build, tmp_path):
        write_folder(tmp_path / 'p' / 'walk', [*range(15), *range(20, 45)])
        write_folder(tmp_path / 'p' / 'slow', range(0, 100, 5))  # every fifth is there: no gap
        dataset = build(tmp_path / 'p')
        assert [(p.footage, p.first, len(p.boxes)) for p in dataset.pieces] == [(0, 0, 20), (1, 0, 15), (1, 15, 25)]
        assert dataset[0]['data_samples'].frames == (*range(0, 50, 5),)


class TestLeftOut:
    def test_what_cannot_be_used_is_named_with_its_reason(self, build, folder, log):
        (folder / 'broken.mp4').write_bytes(b'junk')
        (folder / 'empty.avi').write_bytes(b'')
        (folder / 'jump' / '000030.png').write_bytes(b'junk')
        write_video(folder / 'short.avi', range(4))
        cv2.imwrite(str(folder / 'sheet.png'), frame_picture(0))
        dataset = build()
        assert len(dataset) == 2 + 1 + 5 + 7
        assert all('000030' not in str(dataset[idx]['data_samples'].frames) for idx in range(len(dataset)))
        text = log()
        for line in (
            r'broken.mp4 cannot be opened',
            r'empty.avi cannot be opened',
            r'000030.png cannot be read',
            r'short.avi, frames 0 to 3: 4 frames at 30 a second, a clip has 10',
            r'1 pictures, as',
        ):
            assert sum(line in row for row in text.splitlines()) == 1, line
        counts = '1 pictures that are no frames, 2 unreadable videos, 1 unreadable frames, 1 pieces too short'
        assert counts in text and counts == str(dataset.left_out)

    def test_a_video_without_a_person_is_named(self, build, folder, log):
        boxes = {'walk': {str(n): [[2, 4, 40, 30, 0.9]] for n in range(30)}, 'jump': {'12': [[1, 2, 9, 9, 0.1]]}}
        dataset = build(boxes=write_boxes(folder, boxes))
        assert len(dataset) == 3 and dataset.left_out.counts == {'videos without a person': 2}
        assert 'jump: no box of a score of 0.3' in log() and 'sub/run.avi: no box' in log()

    def test_a_track_that_is_too_short_is_named(self, build, folder, log):
        boxes = {'walk': {str(n): [[2, 4, 40, 30, 0.9, 'a']] + [[9, 4, 40, 30, 0.9, 'b']] * (n < 4) for n in range(30)}}
        build(boxes=write_boxes(folder, boxes))
        assert 'walk.mp4 of b, frames 0 to 3: 4 frames at 30 a second, a clip has 10' in log()

    def test_many_lines_are_cut_off(self, build, folder, log):
        write_folder(folder / 'gaps', range(0, 400))
        boxes = {'gaps': {str(n): [[2, 4, 40, 30]] for n in range(0, 400, 3)}, 'walk': {'0': [[1, 2, 3, 4]]}}
        dataset = build(boxes=write_boxes(folder, boxes), max_gap=0, frames=1)
        assert dataset.left_out.counts == {'videos without a person': 2}
        with pytest.raises(ValueError, match='134 pieces too short|135 pieces too short'):
            build(boxes='boxes.json', max_gap=0, frames=2)
        assert sum('frames at 30 a second, a clip has 2' in row for row in log().splitlines()) < 51
        assert 'more is left out, counted below' in log()

    def test_nothing_left_says_what_to_do(self, build, folder):
        with pytest.raises(ValueError, match='no clip of 90 frames .*videos, the longest piece has 70; left out: 3'):
            build(frames=90)
        for path in [*folder.rglob('*.*')]:
            path.write_bytes(b'junk')
        with pytest.raises(ValueError, match='left out: 2 unreadable videos|left out: 3 unreadable videos'):
            build()

    def test_no_video_at_all(self, build, tmp_path):
        (tmp_path / 'none').mkdir()
        with pytest.raises(ValueError, match=r'no video in .*none or below it: looked for \.mp4, .*found 0 other'):
            build(tmp_path / 'none')
        cv2.imwrite(str(tmp_path / 'none' / 'a.png'), frame_picture(0))
        with pytest.raises(ValueError, match=r'found 1 other pictures, as .*a\.png\. Set data_root, or the rule'):
            build(tmp_path / 'none')
        with pytest.raises(FileNotFoundError, match='gone does not exist'):
            build(tmp_path / 'gone')

    def test_a_frame_that_went_bad_since_is_named(self, build, folder):
        dataset = build()
        (folder / 'jump' / '000013.png').write_bytes(b'junk')
        with pytest.raises(SampleError, match=r'UnlabeledVideoDataset sample 0 .*000013\.png'):
            dataset[0]
        (folder / 'sub' / 'run.avi').write_bytes(b'junk')
        with pytest.raises(SampleError, match=r'UnlabeledVideoDataset sample 5 .*run\.avi cannot be opened'):
            dataset[5]


class TestArguments:
    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(frames=0), 'frames=0'),
            (dict(stride=0), 'stride=0'),
            (dict(frames=2.0), 'frames=2.0'),
            (dict(max_gap=-1), 'max_gap=-1'),
            (dict(fps=0), 'fps=0'),
            (dict(source_fps=-1), 'source_fps=-1'),
            (dict(cut_threshold=0), 'cut_threshold=0'),
            (dict(sequence='fields'), 'no sequence='),
            (dict(sequence='('), 'nor a regular expression'),
            (dict(metainfo={}), 'needs the joint set'),
        ],
    )
    def test_wrong_ones(self, build, change, message):
        with pytest.raises(ValueError, match=message):
            build(**change)

    def test_random_transforms_are_refused_by_name(self, build, top_down_pipeline):
        with pytest.raises(TypeError, match='RandomFlip under UnlabeledVideoDataset draws at random, for the fr'):
            build(pipeline=top_down_pipeline(random=True))
        with pytest.raises(TypeError, match='empty pipeline'):
            build(pipeline=[])

        class Shaken(BaseTransform):
            def transform(self, results):
                results['img'] = results['img'] + np.random.randint(2)  # noqa: NPY002
                return results

        TRANSFORMS.register_module(module=Shaken, force=True)
        load, *others = top_down_pipeline()
        with pytest.raises(TypeError, match='the transform Shaken under'):
            build(pipeline=[load, dict(type='Shaken'), *others])[0]
        TRANSFORMS.module_dict.pop('Shaken')

    def test_the_index_saves_the_second_look(self, build, folder, monkeypatch):
        first = build(index_file='known/index.json')
        assert (folder / 'known' / 'index.json').is_file()
        monkeypatch.setattr(video_scan, 'scan', lambda part: pytest.fail(f'{part.name} is read again'))
        again = build(index_file='known/index.json', frames=20)
        assert len(again) == 2 + 2 + 3
        assert [len(p.boxes) for p in again.pieces] == [len(p.boxes) for p in first.pieces]

    def test_building_and_taking_clips_is_not_slow(self, build, tmp_path):
        """A thousand frames are read in seconds; generous, as other work may share the cores."""
        import time

        write_video(tmp_path / 'long' / 'a.mp4', [n % 200 for n in range(1000)], codec='mp4v')
        tick = time.perf_counter()
        dataset = build(tmp_path / 'long', frames=30)
        dataset[len(dataset) - 1]
        assert len(dataset) == 33 and time.perf_counter() - tick < 20
