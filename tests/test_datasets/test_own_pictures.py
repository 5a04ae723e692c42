import shutil
import struct

import cv2
import pytest
from video_samples import frame_number, write_folder, write_video

from mmposeda.datasets.frames import few_names, own_pictures, write_frames
from mmposeda.datasets.images import PictureError


def break_frame(path, number):
    """Overwrite a frame of a Motion JPEG file with zeros."""
    data = bytearray(path.read_bytes())
    place = data.find(b'movi')
    for _ in range(number + 1):
        place = data.find(b'00dc', place + 1)
    size = struct.unpack('<I', data[place + 4 : place + 8])[0]
    data[place + 8 : place + 8 + size] = bytes(size)
    path.write_bytes(data)


def numbers(found):
    return [frame_number(cv2.imread(f'{found.folder}/{name}')) for name in found.names]


@pytest.mark.parametrize('fps, step', [(10, 3), (2, 15), (30, 1), (500, 1)])
def test_frames_come_at_the_rate_that_was_asked_for(tmp_path, fps, step):
    video = write_video(tmp_path / 'walk.avi', range(50), fps=30)
    found = own_pictures(video, tmp_path / 'run', fps)
    assert numbers(found) == list(range(0, 50, step))
    assert found.names[1] == f'walk/{step:06d}.jpg' and found.videos == 1 and not found.left_out


@pytest.mark.parametrize('fps', [30, 6])
def test_a_broken_frame_is_skipped_with_a_note(tmp_path, fps):
    video = write_video(tmp_path / 'walk.avi', range(40), fps=30)
    break_frame(video, 20)
    found = own_pictures(video, tmp_path / 'run', fps)
    step = 30 // fps
    # where the broken one is due, the next one is taken
    expected = [n for n in range(40) if n != 20] if step == 1 else [0, 5, 10, 15, 21, 25, 30, 35]
    assert numbers(found) == expected
    assert len(found.left_out) == 1 and found.left_out[0].startswith(f'1 frames of {video} cannot be decoded')


def test_frames_are_written_once_and_anew_for_another_rate(tmp_path):
    video = write_video(tmp_path / 'walk.avi', range(30), fps=30)
    first = own_pictures(video, tmp_path / 'run', 10)
    times = [(tmp_path / 'run' / 'frames' / name).stat().st_mtime_ns for name in first.names]
    again = own_pictures(video, tmp_path / 'run', 10)
    assert again == first
    assert times == [(tmp_path / 'run' / 'frames' / name).stat().st_mtime_ns for name in again.names]
    other = own_pictures(video, tmp_path / 'run', 5)
    assert len(other.names) == 5 == len(list((tmp_path / 'run' / 'frames' / 'walk').glob('*.jpg')))
    assert numbers(other) == [0, 6, 12, 18, 24]


def test_a_folder_of_videos_with_one_that_is_none(tmp_path):
    write_video(tmp_path / 'videos' / 'a' / 'take.avi', range(10), fps=10)
    write_video(tmp_path / 'videos' / 'b' / 'take.avi', range(10, 30), fps=10)
    (tmp_path / 'videos' / 'broken.mp4').write_bytes(b'no video')
    found = own_pictures(tmp_path / 'videos', tmp_path / 'run', 5)
    assert found.videos == 2 and numbers(found) == [*range(0, 10, 2), *range(10, 30, 2)]
    assert len(set(found.names)) == len(found.names)
    assert len(found.left_out) == 1 and 'broken.mp4 cannot be opened' in found.left_out[0]


def test_pictures_that_cannot_be_read_are_left_out(tmp_path):
    folder = write_folder(tmp_path / 'pictures', range(4))
    (folder / 'empty.png').write_bytes(b'')
    (folder / 'text.jpg').write_text('no picture')
    found = own_pictures(folder, tmp_path / 'run')
    assert found.names == [f'{n:06d}.png' for n in range(4)] and found.videos == 0
    assert len(found.left_out) == 2 and not (tmp_path / 'run').exists()


def test_what_is_no_target_says_what_to_give(tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no picture and no video in .*looked for .jpg'):
        own_pictures(tmp_path / 'empty', tmp_path)
    with pytest.raises(FileNotFoundError, match='does not exist: give a folder'):
        own_pictures(tmp_path / 'nowhere', tmp_path)
    picture = write_folder(tmp_path / 'pictures', range(1)) / '000000.png'
    with pytest.raises(PictureError, match='is a single picture: give the folder'):
        own_pictures(picture, tmp_path)
    shutil.copy(picture, tmp_path / 'archive.zip')
    with pytest.raises(PictureError, match='neither a folder nor a video: expected'):
        own_pictures(tmp_path / 'archive.zip', tmp_path)
    (tmp_path / 'bad').mkdir()
    (tmp_path / 'bad' / 'only.jpg').write_bytes(b'')
    with pytest.raises(PictureError, match='none of the 1 pictures .*only.jpg'):
        own_pictures(tmp_path / 'bad', tmp_path)
    (tmp_path / 'film.mp4').write_bytes(b'no video')
    with pytest.raises(PictureError, match='no frame of .*film.mp4 can be read: .*cannot be opened'):
        own_pictures(tmp_path / 'film.mp4', tmp_path)
    with pytest.raises(ValueError, match='must be positive, got 0'):
        own_pictures(tmp_path / 'film.mp4', tmp_path, 0)


def test_a_video_cut_short_ends_where_it_does(tmp_path):
    video = write_video(tmp_path / 'walk.avi', range(60), fps=30)
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    (tmp_path / 'out').mkdir()
    names, _ = write_frames(video, tmp_path / 'out', 30)
    assert 10 < len(names) < 40


def test_few_names_names_three_and_counts_the_rest():
    assert few_names(['a', 'b']) == 'a, b' and few_names(list('abcde')) == 'a, b, c and 2 more'
