import numpy as np
import pytest
from body_miniatures import DPW_INTRINSICS, SMPL, dpw_cameras, dpw_standing, write_dpw

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.three_dpw import LIMBS, ThreeDPWDataset
from mmposeda.registry import DATASETS


def test_camera_frame_and_projection(tmp_path):
    dataset = ThreeDPWDataset(data_root=str(write_dpw(tmp_path)), joints='smpl24')
    assert len(dataset) == 4 and dataset.frame.tolist() == [0, 1, 3, 4]
    world, moves = dpw_standing(), dpw_cameras()
    for row, frame in enumerate(dataset.frame):
        for joint in (0, 7, 15):
            wanted = moves[frame] @ np.array([*world[frame, joint], 1])
            np.testing.assert_allclose(dataset.poses[row, joint], wanted[:3], atol=1e-5)
            pixel = DPW_INTRINSICS @ wanted[:3]
            np.testing.assert_allclose(dataset.keypoints[row, joint], pixel[:2] / pixel[2], atol=2e-3)
    assert dataset.cameras.tolist() == [[1961, 1969, 540, 960, 0, 0, 0, 0, 0, 1080, 1920]]
    assert dataset.picture(2) == 'imageFiles/downtown_walk_00/image_00003.jpg' and dataset.projectable


def test_someone_who_faces_the_camera_has_the_right_on_the_left(tmp_path):
    dataset = ThreeDPWDataset(data_root=str(write_dpw(tmp_path)))
    index = dataset.skeleton.index
    assert (dataset.keypoints[:, index('right_hip'), 0] < dataset.keypoints[:, index('left_hip'), 0]).all()
    assert (dataset.keypoints[:, index('head'), 1] < dataset.keypoints[:, index('root'), 1]).all()
    assert (dataset.keypoints[:, index('left_foot'), 1] > dataset.keypoints[:, index('root'), 1]).all()
    np.testing.assert_allclose(dataset.poses[..., 2], 4, atol=0.3)


@pytest.mark.parametrize('scored, hidden', [('common14', ['root', 'spine']), ('all', [])])
def test_joints_that_count(tmp_path, scored, hidden):
    dataset = ThreeDPWDataset(data_root=str(write_dpw(tmp_path)), scored=scored)
    seen = np.ones((4, 16), bool) if dataset.visible is None else dataset.visible
    names = dataset.skeleton.joint_names
    assert [name for name, there in zip(names, seen[0]) if not there] == hidden and (seen == seen[0]).all()
    limbs = ThreeDPWDataset(data_root=str(write_dpw(tmp_path)), scored='limbs12', joints='smpl24')
    assert [name for name, there in zip(SMPL.joint_names, limbs.visible[0]) if there] == [
        name for name in SMPL.joint_names if name in LIMBS
    ]


def test_people_and_sequences(tmp_path):
    write_dpw(tmp_path, people=2)
    write_dpw(tmp_path, name='arguing_00', python2=False)
    write_dpw(tmp_path, split='train', name='other')
    dataset = DATASETS.build(dict(type='ThreeDPWDataset', data_root=str(tmp_path)))
    assert dataset.metainfo['action_names'] == ('arguing_00', 'downtown_walk_00')
    assert dataset.metainfo['subject_names'] == ('person0', 'person1')
    assert len(dataset) == 12 and dataset.subject.tolist() == [0] * 8 + [1] * 4
    # the camera looks along +z, where the world's +x is on its left
    np.testing.assert_allclose(dataset.poses[8:, 0, 0] - dataset.poses[4:8, 0, 0], -0.5, atol=0.1)
    chosen = ThreeDPWDataset(data_root=str(tmp_path), actions=['downtown_walk_00'], subjects=['person1'])
    np.testing.assert_array_equal(chosen.poses, dataset.poses[8:])
    with pytest.raises(ValueError, match='expected a list of arguing_00, downtown_walk_00; unknown: other'):
        ThreeDPWDataset(data_root=str(tmp_path), actions=['other'])


def test_people_behind_the_camera_are_left_out(tmp_path):
    moved = dpw_cameras()
    moved[1, 2, 3] -= 4.05  # 5 cm behind
    dataset = ThreeDPWDataset(data_root=str(write_dpw(tmp_path, cam_poses=moved)))
    assert dataset.frame.tolist() == [0, 3, 4]


def test_files_run_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / 'ran'), 'w'))

    write_dpw(tmp_path, python2=False, betas=Hostile())
    with pytest.raises(AnnotationError, match='downtown_walk_00.pkl is no usable sequence of 3DPW'):
        ThreeDPWDataset(data_root=str(tmp_path))
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(cam_poses=None), 'no sequence of 3DPW: KeyError..cam_poses'),
        (dict(cam_poses=np.zeros((4, 4, 4))), r'cam_poses \(4, 4, 4\)'),
        (dict(jointPositions=[np.zeros((5, 54))]), r'jointPositions \[\(5, 54\)\]'),
        (dict(campose_valid=[]), r'campose_valid \[\]'),
        (dict(jointPositions=[np.full((5, 72), np.nan)]), 'poses of 4 samples are NaN'),
        (dict(campose_valid=[np.zeros(5, bool)]), 'no pose'),
    ],
)
def test_bad_files_are_named(tmp_path, change, message):
    with pytest.raises(AnnotationError, match=message):
        ThreeDPWDataset(data_root=str(write_dpw(tmp_path, **change)))


def test_missing_ones_say_where_they_are_had(tmp_path):
    with pytest.raises(FileNotFoundError, match='sequenceFiles/test does not exist. 3DPW is free'):
        ThreeDPWDataset(data_root=str(tmp_path))
    (tmp_path / 'sequenceFiles' / 'test').mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r'holds no sequence \(\*.pkl\). 3DPW'):
        ThreeDPWDataset(data_root=str(tmp_path))
    for kwargs in (dict(split='val'), dict(scored='lsp14')):
        with pytest.raises(ValueError, match='expected one of'):
            ThreeDPWDataset(data_root=str(tmp_path), **kwargs)
    (tmp_path / 'sequenceFiles' / 'test' / 'a.pkl').write_bytes(b'no pickle')
    with pytest.raises(AnnotationError, match='a.pkl is no usable sequence'):
        ThreeDPWDataset(data_root=str(tmp_path))
