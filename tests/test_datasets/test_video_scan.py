"""What a look at all frames finds, and that frames are found again by their numbers."""

import json
import multiprocessing
import os
import pickle

import cv2
import numpy as np
import pytest
from video_samples import frame_number, frame_picture, write_folder, write_video

from mmposeda.datasets import video_scan
from mmposeda.datasets.images import PictureError
from mmposeda.datasets.sequences import SequenceRule
from mmposeda.datasets.video_files import Footage, FrameReader, find_footage
from mmposeda.datasets.video_scan import scan, scan_all

KINDS = [('a.avi', 'MJPG'), ('a.avi', 'XVID'), ('a.mp4', 'mp4v'), ('a.mov', 'mp4v'), ('a.mkv', 'mp4v')]


def footage(path):
    return Footage(path.name, [str(path)])


class TestReading:
    @pytest.mark.parametrize('name, codec', KINDS)
    def test_seeks_hit_their_frames(self, tmp_path, name, codec):
        path = str(write_video(tmp_path / name, range(150), codec=codec))
        reader, rng = FrameReader(), np.random.default_rng(0)
        for start in [0, 149, 1, 148, 75, 74, 76, *rng.integers(0, 150, 20).tolist()]:
            wanted = [start, *sorted(n for n in rng.integers(start, 150, 5).tolist())]
            assert [frame_number(image) for image in reader.read(path, wanted)] == wanted

    def test_a_frame_may_come_again_and_frames_may_be_left_out(self, tmp_path):
        path = str(write_video(tmp_path / 'a.mp4', range(80), codec='mp4v'))
        reader = FrameReader()
        wanted = [3, 3, 4, 9, 9, 9, 40, 41, 79]
        assert [frame_number(image) for image in reader.read(path, wanted)] == wanted
        assert [frame_number(image) for image in reader.read(path, [79, 79])] == [79, 79]

    def test_the_next_clip_needs_no_seek(self, tmp_path):
        path = str(write_video(tmp_path / 'a.mp4', range(80), codec='mp4v'))
        reader = FrameReader()
        list(reader.read(path, range(10)))
        capture, sought = reader._open[path].capture, []
        reader._open[path].capture = Spy(capture, sought)
        assert [frame_number(image) for image in reader.read(path, range(15, 20))] == [*range(15, 20)]
        assert not sought
        assert [frame_number(image) for image in reader.read(path, [2])] == [2] and sought == [2]

    def test_few_files_stay_open(self, tmp_path):
        paths = [str(write_video(tmp_path / f'{n}.avi', range(n, n + 9))) for n in range(4)]
        reader = FrameReader(open_files=2)
        for path in paths:
            next(reader.read(path, [0]))
        assert list(reader._open) == paths[2:]
        copy = pickle.loads(pickle.dumps(reader))  # noqa: S301
        assert not copy._open and frame_number(next(copy.read(paths[0], [2]))) == 2

    @pytest.mark.skipif(not hasattr(os, 'fork'), reason='no fork here')
    def test_workers_share_no_open_file_and_close_none(self, tmp_path):
        """The decoder's threads do not come along, so that closing in the child would wait for ever."""
        path = str(write_video(tmp_path / 'a.mp4', range(60), codec='mp4v'))
        reader = FrameReader()
        next(reader.read(path, [5]))
        context = multiprocessing.get_context('fork')
        results = context.SimpleQueue()
        worker = context.Process(target=lambda: results.put([frame_number(i) for i in reader.read(path, [40, 41])]))
        worker.start()
        worker.join(60)
        alive = worker.is_alive()
        worker.kill()
        assert not alive and results.get() == [40, 41]
        assert [frame_number(image) for image in reader.read(path, [6, 7])] == [6, 7]

    def test_frames_that_are_not_there_are_named(self, tmp_path):
        path = str(write_video(tmp_path / 'a.avi', range(9)))
        reader = FrameReader()
        with pytest.raises(PictureError, match=r'frame 9 of video .*a\.avi cannot be decoded'):
            list(reader.read(path, range(5, 12)))
        assert frame_number(next(reader.read(path, [7]))) == 7  # opened anew
        with pytest.raises(PictureError, match='does not exist'):
            next(reader.read(str(tmp_path / 'gone.avi'), [0]))


class Spy:
    def __init__(self, capture, sought):
        self.capture, self.sought = capture, sought

    def __getattr__(self, name):
        return getattr(self.capture, name)

    def set(self, key, value):
        self.sought.append(value)
        return self.capture.set(key, value)


class TestFinding:
    def test_videos_and_sequences_of_pictures_mixed(self, tmp_path):
        write_video(tmp_path / 'b' / 'walk.AVI', range(3))
        write_folder(tmp_path / 'a' / 'run', (4, 2, 10))
        write_folder(tmp_path / 'a' / 'jump', (1,))
        cv2.imwrite(str(tmp_path / 'sheet.png'), frame_picture(0))
        (tmp_path / 'notes.txt').write_text('x')
        found, others = find_footage(str(tmp_path), SequenceRule())
        assert [(f.name, f.is_video, len(f.paths)) for f in found] == [
            ('a/jump', False, 1),
            ('a/run', False, 3),
            ('b/walk.AVI', True, 1),
        ]
        assert found[1].numbers.tolist() == [2, 4, 10] and found[1].path(2).endswith('run/000010.png')
        assert [os.path.basename(path) for path in others] == ['sheet.png']

    def test_other_rules(self, tmp_path):
        write_folder(tmp_path, range(3), name='S1_walk_{:06d}.png')
        write_folder(tmp_path, range(2), name='S2_walk_{:06d}.png')
        found, _ = find_footage(str(tmp_path), SequenceRule('numbered'))
        assert [f.name for f in found] == ['S1_walk_', 'S2_walk_']
        rule = SequenceRule(r'/(?P<sequence>S\d)_\w+_(?P<frame>\d+)\.png')
        assert [f.name for f in find_footage(str(tmp_path), rule)[0]] == ['S1', 'S2']
        with pytest.raises(ValueError, match=r'S1_walk_000000\.png and .*S2_walk_000000\.png both are frame 0'):
            find_footage(str(tmp_path), SequenceRule(r'(?P<sequence>S)\d_\w+_(?P<frame>\d+)\.png'))
        with pytest.raises(FileNotFoundError, match='gone does not exist; set data_root'):
            find_footage(str(tmp_path / 'gone'), rule)


def damaged(path, start, length, byte=0):
    content = bytearray(path.read_bytes())
    first = int(len(content) * start)
    content[first : first + length] = bytes([byte]) * length
    path.write_bytes(content)
    return path


class TestVideos:
    @pytest.mark.parametrize('name, codec', KINDS)
    @pytest.mark.parametrize('fps', [30, 25])
    def test_what_a_whole_video_is(self, tmp_path, name, codec, fps):
        found = scan(footage(write_video(tmp_path / name, range(130), fps=fps, codec=codec)))
        assert (found.frames, found.sizes, found.bad, found.error) == (130, [(0, 96, 64)], [], '')
        assert found.fps == pytest.approx(fps, rel=1e-3)
        assert max(distance for _, distance in found.changes) < 0.5

    @pytest.mark.parametrize('name, codec', KINDS)
    @pytest.mark.parametrize('start, length, byte', [(0.4, 2500, 0), (0.5, 4000, 255), (0.8, 2500, 0)])
    def test_damaged_videos_say_so(self, tmp_path, name, codec, start, length, byte):
        path = damaged(write_video(tmp_path / name, range(130), codec=codec), start, length, byte)
        assert ' is damaged' in scan(footage(path)).error and str(path) in scan(footage(path)).error

    @pytest.mark.parametrize('name, codec', KINDS[:2])
    def test_videos_cut_short_say_how_much_is_there(self, tmp_path, name, codec):
        path = write_video(tmp_path / name, range(130), codec=codec)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        assert 'is damaged or cut short: ' in scan(footage(path)).error

    @pytest.mark.parametrize('content', [b'', b'junk' * 99])
    def test_what_is_no_video(self, tmp_path, content):
        path = tmp_path / 'a.mp4'
        path.write_bytes(content)
        assert f'video {path} cannot be opened' in scan(footage(path)).error

    def test_scene_cuts_stand_out(self, tmp_path):
        writer = cv2.VideoWriter(str(tmp_path / 'a.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 30, (96, 64))
        for n in range(60):
            writer.write(frame_picture(n % 20, [(60, 60, 60), (120, 20, 20), (20, 20, 120)][n // 20]))
        writer.release()
        found = scan(footage(tmp_path / 'a.avi'))
        assert [frame for frame, distance in found.changes if distance > 0.5] == [20, 40]


class TestPictures:
    def test_unreadable_pictures_are_found(self, tmp_path):
        folder = write_folder(tmp_path / 'walk', range(8), name='{:06d}.jpg')
        (folder / '000003.jpg').write_bytes(b'junk')
        whole = (folder / '000005.jpg').read_bytes()
        (folder / '000005.jpg').write_bytes(whole[: len(whole) // 2])
        cv2.imwrite(str(folder / '000006.jpg'), frame_picture(6, size=(48, 64)))
        found = scan(find_footage(str(tmp_path), SequenceRule())[0][0])
        assert [n for n, _ in found.bad] == [3, 5] and found.frames == 8 and not found.error
        assert '000003.jpg cannot be read' in found.bad[0][1] and '000005.jpg' in found.bad[1][1]
        assert found.sizes == [(0, 96, 64), (6, 48, 64), (7, 96, 64)]

    def test_none_is_readable(self, tmp_path):
        folder = write_folder(tmp_path / 'walk', range(3))
        for path in folder.iterdir():
            path.write_bytes(b'')
        assert 'none of 3 pictures can be read' in scan(find_footage(str(tmp_path), SequenceRule())[0][0]).error

    def test_changes_agree_with_those_of_the_same_video(self, tmp_path):
        numbers = [n * 7 % 200 for n in range(40)]
        video = scan(footage(write_video(tmp_path / 'a.avi', numbers)))
        folder = tmp_path / 'a'
        folder.mkdir()
        for place, number in enumerate(numbers):
            cv2.imwrite(str(folder / f'{place}.png'), frame_picture(number))
        pictures = scan(find_footage(str(tmp_path), SequenceRule())[0][0])
        a, b = (dict(found.changes) for found in (video, pictures))
        assert max(abs(a.get(n, 0.1) - b.get(n, 0.1)) for n in range(40)) < 0.12


class TestIndex:
    @pytest.fixture
    def folder(self, tmp_path):
        write_video(tmp_path / 'data' / 'a.avi', range(40))
        write_folder(tmp_path / 'data' / 'walk', range(9))
        (tmp_path / 'data' / 'broken.mp4').write_bytes(b'junk')
        return tmp_path / 'data'

    @staticmethod
    def found(folder, index, monkeypatch):
        """Scans by name, and what was looked at."""
        looked = []
        monkeypatch.setattr(video_scan, 'scan', lambda part: looked.append(part.name) or scan(part))
        parts = find_footage(str(folder), SequenceRule())[0]
        scans = scan_all(parts, str(index) if index else None, 'Test')
        monkeypatch.undo()
        return {part.name: found for part, found in zip(parts, scans)}, sorted(looked)

    def test_files_are_looked_at_once_until_they_change(self, folder, tmp_path, monkeypatch):
        index = tmp_path / 'new' / 'index.json'
        first, looked = self.found(folder, index, monkeypatch)
        assert looked == ['a.avi', 'broken.mp4', 'walk'] and list(first) == looked
        assert [p.name for p in index.parent.iterdir()] == ['index.json']
        again, looked = self.found(folder, index, monkeypatch)
        assert looked == [] and again['a.avi'].frames == 40 and 'cannot be opened' in again['broken.mp4'].error
        for name, old in first.items():
            new = again[name]
            assert (new.frames, new.fps, new.error) == (old.frames, old.fps, old.error)
            assert [tuple(row) for row in (*new.sizes, *new.changes)] == [*old.sizes, *old.changes]
        write_video(folder / 'a.avi', range(30))
        (folder / 'walk' / '000003.png').rename(folder / 'walk' / '000020.png')
        changed, looked = self.found(folder, index, monkeypatch)
        assert looked == ['a.avi', 'walk'] and changed['a.avi'].frames == 30
        assert self.found(folder, None, monkeypatch)[1] == ['a.avi', 'broken.mp4', 'walk']

    @pytest.mark.parametrize(
        'content',
        ['', 'junk', '[]', '{"version": 0, "footage": {}}', '{"version": 1, "footage": {"a.avi": {"signature": 3}}}'],
    )
    def test_a_spoilt_index_is_made_anew(self, folder, tmp_path, monkeypatch, content):
        index = tmp_path / 'index.json'
        index.write_text(content)
        assert len(self.found(folder, index, monkeypatch)[1]) == 3
        assert len(json.loads(index.read_text())['footage']) == 3
        entry = json.loads(index.read_text())
        entry['footage']['a.avi']['sizes'] = [['x']]
        index.write_text(json.dumps(entry))
        assert self.found(folder, index, monkeypatch)[1] == ['a.avi']

    def test_a_place_that_cannot_be_written_is_no_error(self, folder, tmp_path, monkeypatch):
        (tmp_path / 'file').write_text('')
        assert self.found(folder, tmp_path / 'file' / 'index.json', monkeypatch)[0]['a.avi'].frames == 40
