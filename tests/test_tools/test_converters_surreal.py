import json
import os

import cv2
import numpy as np
import pytest
from official_downloads import contents, snapshot, write_surreal_clip

from mmposeda.datasets.surreal import SURREALDataset


@pytest.fixture(scope='module')
def convert(tool):
    return tool('dataset_converters/surreal').main


@pytest.fixture(scope='module')
def release(tmp_path_factory):
    """Two clips a run, one of a single frame; returns the folder and labels by clip."""
    root, labels = tmp_path_factory.mktemp('SURREAL') / 'data/cmu', {}
    for split in ('train', 'val', 'test'):
        for run in range(3):
            for number, frames in ((1, 6), (2, 1)):
                seed = 10 * run + number
                labels[split, run, number] = write_surreal_clip(
                    root / split / f'run{run}', '01_0' + str(run), number, frames, seed
                )
    return root, labels


def test_the_data_set_reads_what_it_was_made_of(convert, release, tmp_path, capsys):
    source, labels = release
    before = snapshot(source)
    convert([str(source), str(tmp_path), '--every', '2'])
    assert snapshot(source) == before
    dataset = SURREALDataset(data_root=str(tmp_path), split='train', joints='surreal')
    assert len(dataset) == 3 * (3 + 1)
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        points, space = info['keypoints'][0], info['keypoints_3d_cam'][0]
        f, c = (info['camera'][key] for key in 'fc')
        np.testing.assert_allclose(f * space[:, :2] / space[:, 2:] + c, points, atol=0.01)
        assert space[:, 2].min() > 4000 and space[:, 2].max() < 8000
        picture = cv2.imread(info['img_path'])
        height, width = picture.shape[:2]
        assert height == width == info['bbox'][0, 2]
        # the white square is on the first joint, and the crop 1.5 times the hull of the joints
        row, column = np.argwhere(picture[..., 0] > 200).mean(0)
        np.testing.assert_allclose([column, row], points[0], atol=1)
        assert width == min(round(1.5 * float(np.ptp(points, axis=0).max())), 240)
    first = dataset.get_data_info(1)
    assert first['img_path'].endswith('train/run0/01_00/01_00_c0001_0002.jpg')
    shift = labels['train', 0, 1]['joints2D'][:, :, 2].T - first['keypoints'][0]
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0].round(), (24, 2)), atol=1e-3)
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ['part', 'clips', 'frames', 'official', 'samples'] in rows
    assert ['train', '6', '21', '5342090', '!', '12'] in rows and ['val', '6', '21', '-', '12'] in rows
    assert len([line for line in out.splitlines() if line.startswith('sha256')]) == 9


def test_a_second_run_does_nothing(convert, release, tmp_path, capsys):
    for _ in range(2):
        convert([str(release[0]), str(tmp_path), '--splits', 'val'])
        was = snapshot(tmp_path)
        out = capsys.readouterr().out
    assert out.startswith('6 of 6 clips are there, converting 0\n') and snapshot(tmp_path) == was
    assert 'sha256' in out


def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(convert, release, tmp_path, monkeypatch, capsys):
    source, whole, cut = str(release[0]), tmp_path / 'whole', tmp_path / 'cut'
    convert([source, str(whole), '--splits', 'train', '--every', '1'])
    replace, count = os.replace, []

    def killed(*paths):
        count.append(paths)
        if len(count) == 11:  # within the second run's first clip
            raise KeyboardInterrupt
        replace(*paths)

    monkeypatch.setattr(os, 'replace', killed)
    with pytest.raises(SystemExit, match='run the same command again'):
        convert([source, str(cut), '--splits', 'train', '--every', '1'])
    monkeypatch.undo()
    assert not (cut / 'train/run0.json').exists() and not list(cut.rglob('.*.part'))
    journal = cut / '.surreal.jsonl'
    journal.write_bytes(journal.read_bytes()[:-7])  # as if it had been killed while writing that line
    first = snapshot(cut)['train/run0/01_00/01_00_c0001_0000.jpg']
    capsys.readouterr()
    convert([source, str(cut), '--splits', 'train', '--every', '1'])
    assert capsys.readouterr().out.startswith('2 of 6 clips are there, converting 4')
    assert snapshot(cut)['train/run0/01_00/01_00_c0001_0000.jpg'] == first
    assert contents(whole) == contents(cut)


def test_processes_make_the_same(convert, release, tmp_path):
    for jobs in ('1', '2'):
        convert([str(release[0]), str(tmp_path / jobs), '--splits', 'test', '--jobs', jobs])
    assert contents(tmp_path / '1') == contents(tmp_path / '2')


def test_damaged_clips_are_named_and_tried_again(convert, tmp_path, capsys):
    source, out = tmp_path / 'cmu', tmp_path / 'out'
    run = source / 'val/run0'
    for number in range(1, 6):
        write_surreal_clip(run, '01_01', number, 3, number)
    whole = (run / '01_01/01_01_c0002.mp4').read_bytes()
    (run / '01_01/01_01_c0002.mp4').write_bytes(whole[:100])
    (run / '01_01/01_01_c0003_info.mat').write_bytes(b'nothing')
    (run / '01_01/01_01_c0004_info.mat').unlink()
    labels = write_surreal_clip(run, '01_01', 5, 3, 5)
    write_surreal_clip(run, '01_01', 5, 3, joints2D=labels['joints2D'] + 30, joints3D=labels['joints3D'])
    convert([str(source), str(out), '--splits', 'val'])
    text = capsys.readouterr().out
    assert 'left out, cannot be converted: 4 (' in text
    assert '01_01_c0002.mp4 cannot be opened' in text and 'c0003_info.mat is no usable file of SURREAL' in text
    assert 'c0004_info.mat' in text and 'and 1 more' in text
    (run / '01_01/01_01_c0002.mp4').write_bytes(whole)
    convert([str(source), str(out), '--splits', 'val'])
    text = capsys.readouterr().out
    assert text.startswith('1 of 5 clips are there, converting 4') and 'cannot be converted: 3 (' in text
    assert [entry['name'] for entry in json.loads((out / 'val/run0.json').read_text())] == [
        '01_01/01_01_c0001_0000.jpg',
        '01_01/01_01_c0002_0000.jpg',
    ]


def test_frames_without_a_person_or_picture_are_counted(convert, tmp_path, capsys):
    run = tmp_path / 'cmu/train/run0'
    labels = write_surreal_clip(run, '01_01', 1, 4)
    flat, space = labels['joints2D'].copy(), labels['joints3D'].copy()
    flat[:, :, 1], space[:, :, 1] = np.nan, np.nan
    space[2, :, 2] -= 4  # to the right, out of the picture
    flat[0, :, 2] += 600 * 4 / (labels['camLoc'][0] - space[0, :, 2])
    write_surreal_clip(run, '01_01', 1, 4, joints2D=flat, joints3D=space)
    longer = np.concatenate([flat, flat[..., -1:]], -1), np.concatenate([space, space[..., -1:]], -1)
    write_surreal_clip(run, '01_01', 2, 4, joints2D=longer[0], joints3D=longer[1])
    convert([str(tmp_path / 'cmu'), str(tmp_path / 'out'), '--splits', 'train', '--every', '1'])
    out = capsys.readouterr().out
    assert 'left out, 3D joints that do not project on the 2D joints: 2 (train/run0/01_01/01_01_c0001#1, ' in out
    assert 'left out, fewer than half of the joints in the picture: 2 (' in out
    assert 'left out, clip is shorter than its labels: 1 (' in out
    assert len(SURREALDataset(data_root=str(tmp_path / 'out'), split='train')) == 4


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['nowhere', 'out'], 'nowhere is no folder'),
        (['.', 'out'], 'no clip in train: expected run0/01_01/01_01_c0001.mp4'),
    ],
)
def test_a_wrong_folder_is_one_line(convert, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        convert(arguments)


def test_other_settings_want_another_folder(convert, release, tmp_path):
    convert([str(release[0]), str(tmp_path), '--splits', 'val'])
    with pytest.raises(SystemExit, match='holds a conversion with every=50, not 10: choose another folder'):
        convert([str(release[0]), str(tmp_path), '--splits', 'val', '--every', '10'])


def test_a_full_disk_keeps_what_is_done(convert, release, tmp_path, monkeypatch, capsys):
    from pathlib import Path

    write, count = Path.write_bytes, []

    def full(path, content):
        count.append(path)
        if len(count) == 3:
            write(path, content[:50])
            raise OSError(28, 'No space left on device')
        return write(path, content)

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(SystemExit, match=r'no space is left for .*_0000.jpg; .*run the same command again'):
        convert([str(release[0]), str(tmp_path), '--splits', 'val'])
    monkeypatch.undo()
    assert not list(tmp_path.rglob('.*.part')) and len(list(tmp_path.rglob('*.jpg'))) == 2
    convert([str(release[0]), str(tmp_path), '--splits', 'val'])
    assert '2 of 6 clips are there' in capsys.readouterr().out
