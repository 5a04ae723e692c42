import numpy as np
import pytest
from body_miniatures import humaneva_camera, humaneva_pixels, write_humaneva
from scipy.io import savemat

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.humaneva import HumanEvaDataset
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton

HUMANEVA = Skeleton.from_metainfo('humaneva15')


@pytest.fixture
def root(tmp_path):
    write_humaneva(tmp_path)
    return tmp_path


def humaneva(root, **kwargs):
    return HumanEvaDataset(**{'data_root': str(root), 'joints': None, **kwargs})


def in_camera(world, number):
    turn, shift = humaneva_camera(number)
    return (world @ turn.T + shift) / 1000


class TestVideoPose3DFile:
    def test_chunks_before_three_cameras(self, tmp_path):
        worlds = write_humaneva(tmp_path)
        dataset = humaneva(tmp_path)
        # two people do two things of six frames, two damaged, before three cameras
        assert len(dataset) == 2 * 2 * 4 * 3 and dataset.skeleton.same_joints(HUMANEVA)
        assert dataset.metainfo['subject_names'] == ('S1', 'S2')
        assert dataset.metainfo['action_names'] == ('Box', 'Walking')
        world = worlds['Validate', 'S1', 'Walking_1']
        for camera in range(3):
            rows = slice(2 * camera, 2 * camera + 2)  # frames 0 and 1 are the first chunk
            np.testing.assert_allclose(dataset.poses[rows], in_camera(world[:2], camera), atol=1e-5)
            # the two tangential terms are not of quite the same form
            np.testing.assert_allclose(dataset.keypoints[rows], humaneva_pixels(world[:2], camera), atol=0.1)
        assert dataset.poses[..., 2].min() > 2 and dataset.projectable
        assert dataset.picture(0) == 'S1_Walking_1_chunk0.C1_000001.jpg' and dataset.frame[:4].tolist() == [1, 2, 1, 2]
        assert dataset.picture(6) == 'S1_Walking_1_chunk2.C1_000001.jpg'

    def test_2d_poses_of_the_file(self, tmp_path):
        worlds = write_humaneva(tmp_path)
        dataset = humaneva(tmp_path, split='train', keypoints_file='data_2d_humaneva15_gt.npz')
        wanted = humaneva_pixels(worlds['Train', 'S1', 'Walking_1'][:2], 0)
        np.testing.assert_allclose(dataset.keypoints[:2], wanted, atol=1e-3)
        assert len(dataset) == 2 * 2 * 7 * 3

    def test_the_worlds_up_is_the_pictures_up(self, tmp_path):
        world = write_humaneva(tmp_path)['Validate', 'S1', 'Walking_1'][:2]
        dataset = humaneva(tmp_path)
        # cameras are level and 1.5 m above the floor
        np.testing.assert_allclose(dataset.poses[:2, :, 1], 1.5 - world[..., 2] / 1000, atol=1e-5)

    def test_grey_cameras_are_projected(self, root):
        dataset = humaneva(root, camera_ids=['C3', 'BW1'], keypoints_file='data_2d_humaneva15_gt.npz')
        colour = humaneva(root, camera_ids=['C3'])
        assert dataset.cameras[:, 9:].tolist() == [[640, 480], [644, 448]] * 2
        np.testing.assert_array_equal(dataset.keypoints[:2], colour.keypoints[:2])


class TestConvertedFolder:
    def test_frames_of_the_videos(self, tmp_path):
        worlds = write_humaneva(tmp_path)
        dataset = humaneva(tmp_path, ann_file='converted_15j', camera_ids=['C2'])
        # frame 5 of the take is picture 85 of the video; the third and fourth are damaged
        names = [dataset.picture(n) for n in range(8)]
        pictures = dict(Box_1=(86, 87, 90, 91), Walking_1=(85, 86, 89, 90))
        assert names == [f'S1/Image_Data/{name}_(C2)/{n:06d}.jpg' for name, ns in pictures.items() for n in ns]
        good = worlds['Validate', 'S1', 'Walking_1'][[0, 1, 4, 5]]
        np.testing.assert_allclose(dataset.poses[4:8], in_camera(good, 1), atol=1e-5)
        np.testing.assert_allclose(dataset.keypoints[4:8], humaneva_pixels(good, 1), atol=1e-3)

    def test_training_follows_validation(self, root):
        dataset = humaneva(root, ann_file='converted_15j', split='train', actions=['Walking'], subjects=['S2'])
        assert dataset.frame[:7].tolist() == [n + 80 + 5 + 6 for n in (0, 1, 4, 5, 6, 7, 8)]
        (root / 'converted_15j' / 'Validate' / 'S2' / 'Walking_1.mat').unlink()
        with pytest.raises(FileNotFoundError, match='Validate/S2/Walking_1.mat does not exist, but frames of'):
            humaneva(root, ann_file='converted_15j', split='train')

    def test_both_forms_hold_the_same(self, root):
        chunks, folder = (humaneva(root, ann_file=name) for name in ('data_3d_humaneva15.npz', 'converted_15j'))
        assert len(chunks) == len(folder)
        for one, other in ((chunks, folder), (folder, chunks)):
            for pose in one.poses[:5]:
                assert np.abs(other.poses - pose).max((1, 2)).min() < 1e-5


class TestJoints:
    def test_fifteen_of_sixteen_are_refused_by_name(self, root):
        cfg = dict(type='HumanEvaDataset', data_root=str(root))
        with pytest.raises(ValueError, match='do not give spine'):
            DATASETS.build(cfg)
        lsp = DATASETS.build(dict(cfg, joints='lsp'))
        own = humaneva(root)
        for name, theirs in (('neck', 'thorax'), ('head_top', 'head'), ('left_wrist', 'left_wrist')):
            np.testing.assert_array_equal(
                lsp.poses[:, lsp.skeleton.index(name)], own.poses[:, own.skeleton.index(theirs)]
            )


class TestBadFiles:
    def test_missing_ones_say_where_they_are_had(self, root):
        with pytest.raises(FileNotFoundError, match='gone.npz does not exist. HumanEva-I is free .*ConvertHumanEva'):
            humaneva(root, ann_file='gone.npz')
        (root / 'S1' / 'Sync_Data' / 'Walking_1_(C1).ofs').unlink()
        humaneva(root)  # chunks have no pictures
        with pytest.raises(FileNotFoundError, match=r'S1/Sync_Data/Walking_1_\(C1\).ofs does not exist.*\.ofs files'):
            humaneva(root, ann_file='converted_15j')
        (root / 'S2' / 'Calibration_Data' / 'C2.cal').unlink()
        with pytest.raises(FileNotFoundError, match='calibration file .*S2/Calibration_Data/C2.cal does not exist'):
            humaneva(root)

    @pytest.mark.parametrize(
        'content, message',
        [
            ('1 2 3', 'expected 22 numbers, got 3'),
            ('a ' * 22, 'is no calibration file'),
            ('nan ' * 22, 'expected 22 numbers'),
            ('500 500 320 240 0' + ' 0' * 5 + ' 1' * 12, 'orthogonal rows'),
            ('500 500 320 240 3' + ' 0' * 5 + ' 1 0 0 0 1 0 0 0 1 0 0 0', 'skew 3'),
        ],
        ids=['short', 'text', 'nan', 'rotation', 'skew'],
    )
    def test_bad_calibrations_are_named(self, root, content, message):
        (root / 'S1' / 'Calibration_Data' / 'C1.cal').write_text(content)
        with pytest.raises(AnnotationError, match=f'C1.cal .*{message}'):
            humaneva(root)

    @pytest.mark.parametrize(
        'poses, message',
        [
            ({'Validate/S1': {'Walking 1 chunk0': np.ones((3, 20, 3))}}, r'3D poses \(3, 20, 3\), expected \(T, 15'),
            ({'Validate/S1': {'Walking': np.ones((3, 15, 3))}}, "'Walking' is no take of HumanEva"),
            ({'Train/S1': {'Walking 1 chunk0': np.ones((3, 15, 3))}}, 'no take of the part Validate'),
        ],
        ids=['joints', 'name', 'part'],
    )
    def test_bad_poses_are_named(self, root, poses, message):
        np.savez(root / 'data_3d_humaneva15.npz', positions_3d=poses)
        with pytest.raises(AnnotationError, match=f'data_3d_humaneva15.npz.*{message}'):
            humaneva(root)

    def test_2d_poses_of_other_takes(self, root):
        np.savez(root / 'other.npz', positions_2d={'Validate/S1': {'Walking 1 chunk0': [np.zeros((2, 15, 2))] * 2}})
        with pytest.raises(AnnotationError, match='no 2D poses of|expected three of'):
            humaneva(root, keypoints_file='other.npz')

    def test_damaged_mat_files(self, root):
        path = root / 'converted_15j' / 'Validate' / 'S1' / 'Box_1.mat'
        savemat(path, dict(poses_3d=np.ones((4, 15, 3)), poses_2d=np.ones((4, 3, 15, 2))))
        with pytest.raises(AnnotationError, match=r'Box_1.mat has poses_3d .*expected .*\(3, T, 15, 2\)'):
            humaneva(root, ann_file='converted_15j')
        path.write_bytes(b'MATLAB 5.0 MAT-file' + bytes(99))
        with pytest.raises(AnnotationError, match='Box_1.mat is no file of ConvertHumanEva'):
            humaneva(root, ann_file='converted_15j')

    def test_unknown_names(self, root):
        for kwargs in (dict(split='val'), dict(camera_ids=['C4']), dict(camera_ids='C1'), dict(camera_ids=())):
            with pytest.raises(ValueError, match='expected'):
                humaneva(root, **kwargs)
