import pickle
import shutil

import numpy as np
import pytest
from miniatures import write_h36m
from scipy.spatial.transform import Rotation

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.human36m_lifting import CAMERA_IDS, MOVING, Human36mLiftingDataset
from mmposeda.datasets.lifting_cameras import project
from mmposeda.registry import DATASETS

#: camera 54138969 before subject 1, as VideoPose3D's code has it: quaternion (w, x, y, z) and place in mm
QUATERNION = (0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088)
PLACE = (1841.1070556640625, 4955.28466796875, 1563.4454345703125)


@pytest.fixture(scope='module')
def samples(shared_data):
    folder = shared_data / 'mmpose_samples' / 'h36m'
    if not (folder / 'cameras.pkl').is_file():
        pytest.skip(f'no Human3.6M samples in {folder}')
    return folder


def mmpose_layout(samples, **kwargs):
    return Human36mLiftingDataset(
        data_root=str(samples), ann_file='test_h36m_body3d.npz', camera_file='cameras.pkl', **kwargs
    )


def write_video_pose(folder, samples, joints_2d=16, extra=0):
    """VideoPose3D's pair of files: two takes of subjects 1 and 11, and 2D poses that tell camera and frame."""
    shutil.copy(samples / 'cameras.pkl', folder / 'cameras.pkl')
    rng = np.random.default_rng(0)
    positions_3d: dict = {}
    positions_2d: dict = {}
    for subject, actions in (('S1', ('Directions 1', 'TakingPhoto')), ('S11', ('Directions', 'Directions 1'))):
        positions_3d[subject], positions_2d[subject] = {}, {}
        for number, action in enumerate(actions):
            frames = 3 + number
            root = rng.uniform([-0.5, -0.5, 0.8], [0.5, 0.5, 1], (frames, 1, 3))
            positions_3d[subject][action] = (root + rng.uniform(-0.6, 0.6, (frames, 32, 3))).astype('f4')
            points = np.zeros((4, frames + extra, joints_2d, 2), 'f4')
            points += 100 * np.arange(4)[:, None, None, None] + np.arange(frames + extra)[:, None, None] + 1
            points += np.arange(joints_2d)[:, None] / 32
            positions_2d[subject][action] = list(points)
    metadata = dict(layout_name='h36m', num_joints=joints_2d)
    np.savez_compressed(folder / 'data_3d_h36m.npz', positions_3d=positions_3d)
    np.savez_compressed(folder / 'data_2d_h36m_gt.npz', positions_2d=positions_2d, metadata=metadata)
    return positions_3d, positions_2d


def video_pose(folder, **kwargs):
    files = dict(ann_file='data_3d_h36m.npz', camera_file='cameras.pkl', keypoints_file='data_2d_h36m_gt.npz')
    return Human36mLiftingDataset(data_root=str(folder), **{**files, **kwargs})


class TestMMPoseLayout:
    def test_the_samples_of_mmpose(self, samples):
        dataset = mmpose_layout(samples, joints='h36m')
        with np.load(samples / 'test_h36m_body3d.npz') as raw:
            np.testing.assert_allclose(dataset.poses, raw['S'][..., :3], rtol=1e-6)
            np.testing.assert_allclose(dataset.keypoints, raw['part'][..., :2], rtol=1e-6)
        assert dataset.metainfo['action_names'] == ('Directions', 'Greeting', 'SittingDown', 'WalkDog')
        assert dataset.metainfo['subject_names'] == ('S1', 'S5', 'S7', 'S8')
        assert dataset.frame.tolist() == [1, 2061, 396, 26]
        assert dataset.picture(1) == 'S5/S5_SittingDown.54138969/S5_SittingDown.54138969_002061.jpg'
        assert sorted(dataset.cameras[dataset.camera, 10].tolist()) == [1000, 1000, 1002, 1002]

    def test_cameras_project_the_3d_labels_onto_the_2d_labels(self, samples):
        labelled = mmpose_layout(samples, joints='h36m')
        projected = mmpose_layout(samples, joints='h36m', keypoints='projected')
        np.testing.assert_allclose(projected.keypoints, labelled.keypoints, atol=1e-3)
        # with the tangential coefficients as MMPose's files have them it would be off by 0.2 pixels
        swapped = labelled.cameras.copy()
        swapped[:, [7, 8]] = swapped[:, [8, 7]]
        off = np.abs(project(labelled.poses, labelled.camera, swapped) - labelled.keypoints).max()
        assert off > 0.1

    def test_people_who_face_the_camera_have_their_right_on_the_left(self, samples):
        dataset = mmpose_layout(samples)
        index = dataset.skeleton.index
        for pose, points in zip(dataset.poses, dataset.keypoints):
            across = pose[index('left_hip')] - pose[index('right_hip')]
            front = np.cross(across, pose[index('thorax')] - pose[index('root')])  # left x up, in y down and z forward
            assert np.sign(points[index('left_hip'), 0] - points[index('right_hip'), 0]) == np.sign(across[0])
            assert (front[2] < 0) == (across[0] > 0)
        standing = [0, 2, 3]
        assert (dataset.keypoints[standing, index('head'), 1] < dataset.keypoints[standing, index('root'), 1]).all()

    def test_detections_take_the_place_of_labels(self, samples):
        detected = mmpose_layout(samples, joints='h36m', keypoints_file='test_h36m_2d_detection.npy')
        raw = np.load(samples / 'test_h36m_2d_detection.npy')
        np.testing.assert_allclose(detected.keypoints, raw[..., :2], rtol=1e-6)

    def test_default_files_and_splits(self, samples, tmp_path):
        root = write_h36m(tmp_path, pictures=0)
        shutil.copy(samples / 'cameras.pkl', root / 'annotation_body3d')
        for split, subjects in (('train', ('S1', 'S5')), ('test', ('S9', 'S11'))):
            cfg = dict(type='Human36mLiftingDataset', data_root=str(root), split=split, stride=5)
            dataset = DATASETS.build(cfg)
            assert dataset.metainfo['subject_names'] == subjects and len(dataset) == 8
            assert dataset.metainfo['action_names'] == ('Walking',)
            assert dataset.frame.tolist()[:3] == [1, 26, 51]


class TestVideoPoseLayout:
    def test_world_to_camera_is_that_of_the_published_quaternions(self, samples, tmp_path):
        world, _ = write_video_pose(tmp_path, samples)
        dataset = video_pose(tmp_path, joints='h36m', keypoints_file=None)
        turn = Rotation.from_quat([*QUATERNION[1:], QUATERNION[0]])
        wanted = turn.inv().apply(world['S1']['Directions 1'][:, MOVING].reshape(-1, 3) - np.array(PLACE) / 1000)
        np.testing.assert_allclose(dataset.poses[:3], wanted.reshape(3, 17, 3), atol=2e-5)
        assert dataset.poses[..., 2].min() > 2  # the room lies before the cameras
        assert np.abs(dataset.keypoints - 500).max() < 500  # and in their pictures

    def test_every_frame_before_every_camera(self, samples, tmp_path):
        _, points = write_video_pose(tmp_path, samples)
        dataset = video_pose(tmp_path)
        assert len(dataset) == 4 * (3 + 4)
        assert dataset.metainfo['action_names'] == ('Directions', 'Photo')
        wanted = np.concatenate([view for action in points['S1'].values() for view in action])
        np.testing.assert_array_equal(dataset.keypoints, wanted)
        assert dataset.frame.tolist()[:6] == [1, 2, 3, 1, 2, 3]
        heights = dataset.cameras[dataset.camera, 10].reshape(-1)[[0, 3, 6, 9]]
        assert heights.tolist() == [1002, 1000, 1000, 1002]  # in the published order of the cameras
        assert dataset.picture(12) == f'S1_Photo.{CAMERA_IDS[0]}_000001.jpg'

    def test_seventeen_detected_joints_lose_the_neck(self, samples, tmp_path):
        _, points = write_video_pose(tmp_path, samples, joints_2d=17, extra=2)
        dataset = video_pose(tmp_path)
        wanted = np.concatenate([view[: len(view) - 2] for action in points['S1'].values() for view in action])
        np.testing.assert_array_equal(dataset.keypoints, np.delete(wanted, 9, axis=1))
        whole = video_pose(tmp_path, joints='h36m')
        np.testing.assert_array_equal(whole.keypoints, wanted)
        np.testing.assert_array_equal(np.delete(whole.poses, 9, axis=1), dataset.poses)

    def test_sixteen_joints_give_no_neck(self, samples, tmp_path):
        write_video_pose(tmp_path, samples)
        with pytest.raises(ValueError, match='do not give neck_base'):
            video_pose(tmp_path, joints='h36m')

    def test_the_faulty_take_is_left_out_by_default(self, samples, tmp_path):
        write_video_pose(tmp_path, samples)
        assert len(video_pose(tmp_path, split='test')) == 4 * 4
        assert len(video_pose(tmp_path, split='test', skip=())) == 4 * (3 + 4)
        with pytest.raises(AnnotationError, match='no take of S11 but S11_Directions, S11_Directions_1'):
            video_pose(tmp_path, split='test', skip=('S11_Directions', 'S11_Directions_1'))

    def test_chosen_subjects(self, samples, tmp_path):
        write_video_pose(tmp_path, samples)
        with pytest.raises(ValueError, match='expected a list of S1; unknown: S5'):
            video_pose(tmp_path, subjects=['S5'])

    def test_archives_run_nothing(self, samples, tmp_path):
        write_video_pose(tmp_path, samples)

        class Hostile:
            def __reduce__(self):
                return (open, (str(tmp_path / 'ran'), 'w'))

        np.savez(tmp_path / 'data_3d_h36m.npz', positions_3d=dict(S1=dict(Directions=Hostile())))
        with pytest.raises(AnnotationError, match='no usable positions_3d .*asks for (io|_io).open'):
            video_pose(tmp_path)
        (tmp_path / 'cameras.pkl').write_bytes(pickle.dumps(dict(a=Hostile())))
        write = np.savez
        write(tmp_path / 'data_3d_h36m.npz', positions_3d=dict(S1=dict(Directions=np.zeros((2, 32, 3)))))
        with pytest.raises(AnnotationError, match='cameras.pkl is no usable camera file'):
            video_pose(tmp_path, keypoints_file=None)
        assert not (tmp_path / 'ran').exists()


class TestBadFiles:
    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(S=np.ones((4, 17))), r'S \(4, 17\)'),
            (dict(S=np.ones((4, 16, 4))), r'poses have shape \(4, 16, 3\)'),
            (dict(imgname=np.array(['a.jpg'] * 4)), "picture 'a.jpg' is not named as S1_Directions_1"),
            (dict(imgname=np.array(['S1_Directions_1.99_000001.jpg'] * 4)), r"no usable camera \('S1', '99'\)"),
            (dict(imgname=np.arange(4)), 'imgname of int64'),
            (dict(part=None), 'no file of preprocess_h36m.py.*it has S, center, imgname, scale'),
        ],
        ids=['shape', 'joints', 'name', 'camera', 'numbers', 'key'],
    )
    def test_are_named(self, samples, tmp_path, change, message):
        with np.load(samples / 'test_h36m_body3d.npz') as raw:
            arrays = {key: value for key, value in {**raw, **change}.items() if value is not None}
        np.savez(tmp_path / 'test_h36m_body3d.npz', **arrays)
        shutil.copy(samples / 'cameras.pkl', tmp_path)
        with pytest.raises(AnnotationError, match=message):
            mmpose_layout(tmp_path)

    def test_missing_ones_say_how_they_are_made(self, samples, tmp_path):
        with pytest.raises(
            FileNotFoundError, match='fps10/h36m_test.npz does not exist.*preprocess_h36m.py.*VideoPose3D'
        ):
            Human36mLiftingDataset(data_root=str(tmp_path), split='test')
        shutil.copy(samples / 'test_h36m_body3d.npz', tmp_path)
        with pytest.raises(FileNotFoundError, match='camera file .*cameras.pkl does not exist'):
            mmpose_layout(tmp_path)
        with pytest.raises(ValueError, match="split='val', expected one of train, test"):
            Human36mLiftingDataset(split='val')

    def test_damaged_ones(self, samples, tmp_path):
        write_video_pose(tmp_path, samples)
        whole = (tmp_path / 'data_3d_h36m.npz').read_bytes()
        (tmp_path / 'data_3d_h36m.npz').write_bytes(whole[: len(whole) // 2])
        with pytest.raises(AnnotationError, match='data_3d_h36m.npz is no usable npz'):
            video_pose(tmp_path)
        (tmp_path / 'data_3d_h36m.npz').write_bytes(whole)
        np.save(tmp_path / 'short.npy', np.zeros((3, 17, 2)))
        shutil.copy(samples / 'test_h36m_body3d.npz', tmp_path)
        with pytest.raises(AnnotationError, match=r'short.npy has an array of \(3, 17, 2\), expected \(4, 17, 3\)'):
            mmpose_layout(tmp_path, keypoints_file='short.npy')

    def test_2d_poses_of_other_takes(self, samples, tmp_path):
        _, points = write_video_pose(tmp_path, samples)
        del points['S1']['TakingPhoto']
        np.savez(tmp_path / 'data_2d_h36m_gt.npz', positions_2d=points)
        with pytest.raises(AnnotationError, match='no poses of S1 TakingPhoto before 4 cameras'):
            video_pose(tmp_path)
        points['S1']['TakingPhoto'] = [np.zeros((2, 16, 2))] * 4
        np.savez(tmp_path / 'data_2d_h36m_gt.npz', positions_2d=points)
        with pytest.raises(AnnotationError, match=r'2D poses \(2, 16, 2\).*expected \(4, 17, 2\)'):
            video_pose(tmp_path)

    def test_millimetres_are_noticed(self, samples, tmp_path):
        world, _ = write_video_pose(tmp_path, samples)
        scaled = {s: {a: 1000 * p for a, p in actions.items()} for s, actions in world.items()}
        np.savez(tmp_path / 'data_3d_h36m.npz', positions_3d=scaled)
        with pytest.raises(AnnotationError, match='metres are expected'):
            video_pose(tmp_path)
