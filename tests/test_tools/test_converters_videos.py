import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from official_downloads import contents, grey_frames, grey_numbers, snapshot, write_video

sys.path.append(str(Path(__file__).resolve().parents[1] / 'test_datasets'))
from body_miniatures import mpi_train_labels, write_humaneva, write_mpi_train  # noqa: E402
from hand_samples import random_hand  # noqa: E402
from test_panoptic_hand import person, write_sequence  # noqa: E402

from mmposeda.datasets import PanopticHand3DDataset  # noqa: E402
from mmposeda.datasets.humaneva import HumanEvaDataset  # noqa: E402
from mmposeda.datasets.image_pose_3d import ImagePose3DDataset  # noqa: E402
from mmposeda.datasets.mpi_inf_3dhp import MPIINF3DHPDataset  # noqa: E402
from mmposeda.datasets.mpi_inf_3dhp_files import JOINTS_28  # noqa: E402


@pytest.fixture(scope='module')
def frames(tool):
    return tool('dataset_converters/video_frames').main


@pytest.fixture(scope='module')
def mpi(tool):
    return tool('dataset_converters/mpi_inf_3dhp').main


class TestClips:
    def test_own_videos_become_numbered_folders(self, frames, tmp_path, capsys):
        write_video(tmp_path / 'videos/a/b{1}.mp4', grey_frames(12), rate=50)
        write_video(tmp_path / 'videos/c.avi', grey_frames(5), 'MJPG', rate=10)
        before = snapshot(tmp_path / 'videos')
        frames([str(tmp_path / 'videos'), str(tmp_path / 'out'), '--fps', '20'])
        assert snapshot(tmp_path / 'videos') == before
        found = sorted((tmp_path / 'out/a/b{1}').iterdir())
        assert [path.name for path in found] == [f'{n:06d}.jpg' for n in range(5)]
        assert grey_numbers(found) == [0, 2, 5, 7, 10]
        assert grey_numbers(sorted((tmp_path / 'out/c').iterdir())) == [0, 1, 2, 3, 4]
        assert ['all', '2', '10'] in [line.split() for line in capsys.readouterr().out.splitlines()]

    def test_every_so_manieth_frame(self, frames, tmp_path):
        write_video(tmp_path / 'videos/a.mp4', grey_frames(8))
        frames([str(tmp_path / 'videos'), str(tmp_path / 'out'), '--every', '3'])
        found = sorted((tmp_path / 'out/a').iterdir())
        assert [path.stem for path in found] == ['000000', '000001', '000002'] and grey_numbers(found) == [0, 3, 6]

    def test_one_video_that_is_none_does_not_stop_the_others(self, frames, tmp_path, capsys):
        write_video(tmp_path / 'a.avi', grey_frames(20, (640, 480)), 'MJPG')
        whole = (tmp_path / 'a.avi').read_bytes()
        (tmp_path / 'b.avi').write_bytes(whole[: len(whole) // 2])
        (tmp_path / 'c.mp4').write_bytes(b'no video')
        frames([str(tmp_path), str(tmp_path / 'out')])
        text = capsys.readouterr().out
        assert 'left out, cannot be converted: 1 (' in text and 'c.mp4 cannot be opened' in text
        kept = grey_numbers(sorted((tmp_path / 'out/b').iterdir()))
        assert kept == list(range(len(kept))) and 4 < len(kept) < 20
        assert f'left out, frame cannot be decoded: {20 - len(kept)} ({tmp_path}/b.avi#{len(kept)}, ' in text

    def test_goes_on_within_a_video(self, frames, tmp_path, monkeypatch, capsys):
        write_video(tmp_path / 'videos/a.mp4', grey_frames(8))
        frames([str(tmp_path / 'videos'), str(tmp_path / 'whole')])
        replace, count = os.replace, []

        def killed(*paths):
            count.append(paths)
            if len(count) == 5:
                raise KeyboardInterrupt
            replace(*paths)

        monkeypatch.setattr(os, 'replace', killed)
        with pytest.raises(SystemExit, match='run the same command again'):
            frames([str(tmp_path / 'videos'), str(tmp_path / 'cut')])
        monkeypatch.undo()
        four = snapshot(tmp_path / 'cut/a')
        assert len(four) == 4
        frames([str(tmp_path / 'videos'), str(tmp_path / 'cut')])
        assert four.items() <= snapshot(tmp_path / 'cut/a').items() and contents(tmp_path / 'cut') == contents(
            tmp_path / 'whole'
        )

    def test_a_video_that_changed_is_done_again(self, frames, tmp_path, capsys):
        arguments = [str(tmp_path / 'videos'), str(tmp_path / 'out')]
        write_video(tmp_path / 'videos/a.mp4', grey_frames(4))
        frames(arguments)
        write_video(tmp_path / 'videos/a.mp4', grey_frames(5, start=100))
        frames(arguments)
        assert capsys.readouterr().out.count('converting 1\n') == 2
        assert grey_numbers(sorted((tmp_path / 'out/a').iterdir()), start=100) == [0, 1, 2, 3, 4]

    def test_lost_pictures_are_made_again(self, frames, tmp_path):
        write_video(tmp_path / 'videos/a.mp4', grey_frames(4))
        frames([str(tmp_path / 'videos'), str(tmp_path / 'out')])
        shutil.rmtree(tmp_path / 'out/a')
        frames([str(tmp_path / 'videos'), str(tmp_path / 'out')])
        assert len(list((tmp_path / 'out/a').iterdir())) == 4

    @pytest.mark.parametrize(
        'arguments, message',
        [
            (['.', 'out'], r'no video in \.: expected videos in or below it, .mp4'),
            (['gone', 'out'], 'gone is no folder'),
            (['.', '--layout', 'humaneva'], r'no video in \.: expected S1/Image_Data/Walking_1_\(C1\).avi'),
        ],
    )
    def test_nothing_there_is_one_line(self, frames, tmp_path, monkeypatch, arguments, message):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit, match=message):
            frames(arguments)

    def test_two_videos_of_one_name(self, frames, tmp_path):
        for name in ('a.mp4', 'a.avi'):
            write_video(tmp_path / name, grey_frames(2))
        with pytest.raises(SystemExit, match=r'a.avi and .*a.mp4 would go to one folder: rename'):
            frames([str(tmp_path), str(tmp_path / 'out')])

    def test_a_rate_is_for_own_videos(self, frames, tmp_path, capsys):
        with pytest.raises(SystemExit):
            frames([str(tmp_path), '--layout', 'panoptic', '--fps', '10'])
        assert 'elsewhere frames are found by their numbers' in capsys.readouterr().err


def test_humaneva_is_read_with_its_pictures(frames, tmp_path):
    write_humaneva(tmp_path, subjects=('S1',), takes=('Walking_1',))
    for camera in ('C1', 'C2', 'C3'):
        video = tmp_path / f'S1/Image_Data/Walking_1_({camera}).avi'
        write_video(video, grey_frames(100, (640, 480), start=-600), 'MJPG')
    frames([str(tmp_path), '--layout', 'humaneva'])
    poses = HumanEvaDataset(data_root=str(tmp_path), ann_file='converted_15j', joints=None)
    dataset = ImagePose3DDataset(poses, joints='lsp')
    paths = [dataset.get_data_info(n)['img_path'] for n in range(len(dataset))]
    # a take begins with frame 5, which is picture 5 + 80, counted from 1
    assert grey_numbers(paths[:2], start=-600) == [84, 85] and paths[0].endswith(
        'S1/Image_Data/Walking_1_(C1)/000085.jpg'
    )


class TestPanoptic:
    @pytest.fixture
    def sequence(self, tmp_path):
        """Labels of frames 4 to 9, and two videos of nine frames."""
        rng = np.random.default_rng(0)
        frames = {n: [person(0, random_hand(rng, (0, 0, 0), 8))] for n in range(4, 10)}
        folder = write_sequence(tmp_path, '171204_pose3', frames)
        shutil.rmtree(folder / 'hdImgs')
        for view in ('00_00', '00_03'):
            write_video(folder / f'hdVideos/hd_{view}.mp4', grey_frames(9, (1920, 1080), step=16))
        return folder

    def test_frames_with_labels_are_read(self, frames, sequence, capsys):
        root = str(sequence.parent)
        frames([root, '--layout', 'panoptic', '--every', '2'])
        assert 'left out, video is shorter' not in capsys.readouterr().out
        dataset = PanopticHand3DDataset(data_root=root, split='test', every=2)
        paths = sorted({dataset.get_data_info(n)['img_path'] for n in range(len(dataset))})
        names = [f'{view}/{view}_{n:08d}.jpg' for view in ('00_00', '00_03') for n in (4, 6, 8)]
        assert [os.path.relpath(path, sequence / 'hdImgs') for path in paths] == names
        assert grey_numbers(paths, step=16) == [4, 6, 8] * 2

    def test_labels_without_a_frame_are_told(self, frames, sequence, capsys):
        frames([str(sequence.parent), '--layout', 'panoptic'])
        assert 'left out, video is shorter than its labels: 2 (' in capsys.readouterr().out

    def test_labels_are_wanted_first(self, frames, sequence):
        shutil.rmtree(sequence / 'hdHand3d')
        with pytest.raises(SystemExit, match='unpack hdHand3d.tar first'):
            frames([str(sequence.parent), '--layout', 'panoptic'])


class TestMPIINF3DHP:
    @pytest.fixture
    def release(self, tmp_path):
        root = write_mpi_train(tmp_path / 'train', frames=5)
        for sequence in ('Seq1', 'Seq2'):
            for camera in (0, 2):
                frames = grey_frames(6, (2048, 2048), start=10 * camera)
                write_video(root / f'S1/{sequence}/imageSequence/video_{camera}.avi', frames, 'MJPG', 25)
        return tmp_path

    def test_both_forms_are_read_with_their_pictures(self, mpi, release, tmp_path, capsys):
        arguments = [str(release), str(tmp_path), '--subjects', 'S1', '--cameras', '0', '2', '--every', '2']
        mpi(arguments)
        text = capsys.readouterr().out
        assert ['S1', '4', '12', str(2 * (3208 + 6215)), '!'] in [line.split() for line in text.splitlines()]
        more = dict(data_root=str(tmp_path), split='train', joints=None)
        official = MPIINF3DHPDataset(**dict(more, data_root=str(release)), subjects=['S1'], camera_ids=[0, 2])
        packed = MPIINF3DHPDataset(**more, ann_file='annotations/mpi_inf_3dhp_train.npz')
        # five labels and six frames: pictures 1, 3 and 5 of four takes have both
        assert len(packed) == 12 and packed.projectable
        sets = [ImagePose3DDataset(p, data_root=str(tmp_path), every=n) for p, n in ((official, 2), (packed, 1))]
        for n in range(12):
            ours, theirs = (part.get_data_info(n) for part in reversed(sets))
            assert ours['img_path'] == theirs['img_path'] and Path(ours['img_path']).is_file()
            for key in ('keypoints', 'keypoints_3d_cam'):
                np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-5)
        info = sets[1].get_data_info(4)
        assert info['img_path'].endswith('images/S1_Seq1_Cam2_000003.jpg')
        assert grey_numbers([info['img_path']], start=20) == [2]
        poses, _ = mpi_train_labels(5, 2)
        np.testing.assert_allclose(packed.poses[4, 14], poses[2, JOINTS_28.index('root')] / 1000, rtol=1e-5)
        was = snapshot(tmp_path)
        mpi(arguments)
        assert capsys.readouterr().out.startswith('4 of 4 videos are there, converting 0') and snapshot(tmp_path) == was

    def test_missing_videos_are_named(self, mpi, release, tmp_path):
        with pytest.raises(SystemExit, match=r'video_1.avi does not exist, nor do 11 more files: expected the train'):
            mpi([str(release), str(tmp_path), '--subjects', 'S1'])
