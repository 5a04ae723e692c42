import sys
from types import ModuleType

import numpy as np
import pytest
from body_miniatures import (
    MPI_CALIBRATION,
    MPI_CENTRE,
    MPI_ENTRY,
    MPI_FOCAL,
    mpi_labels,
    mpi_train_labels,
    write_mpi_test,
    write_mpi_train,
)

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.mpi_inf_3dhp import ACTIVITIES, MPIINF3DHPDataset
from mmposeda.datasets.mpi_inf_3dhp_files import JOINTS_28
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton

OFFICIAL = Skeleton.from_metainfo('mpi_inf_3dhp')


@pytest.fixture
def samples(shared_data):
    folder = shared_data / 'mmpose_samples' / 'mpi_inf_3dhp'
    if not (folder / 'test_3dhp_test.npz').is_file():
        pytest.skip(f'no MPI-INF-3DHP samples in {folder}')
    return folder


@pytest.fixture
def hdf5(monkeypatch):
    """Write and read HDF5 files: with h5py, or where it is missing with a stand-in for what is used of it."""
    try:
        import h5py
    except ImportError:
        h5py = ModuleType('h5py')
        h5py.File = lambda path, mode: np.load(path)
        monkeypatch.setitem(sys.modules, 'h5py', h5py)

        def write(path, arrays):
            with open(path, 'wb') as file:
                np.savez(file, **arrays)

    else:

        def write(path, arrays):
            with h5py.File(path, 'w') as file:
                for key, value in arrays.items():
                    file[key] = value

    return write


class TestMMPoseFiles:
    def test_the_samples_of_mmpose(self, samples):
        for split, size in (('train', 2048), ('test', 2048)):
            dataset = MPIINF3DHPDataset(
                split=split,
                data_root=str(samples),
                ann_file=f'test_3dhp_{split}.npz',
                camera_file=f'cameras_{split}.pkl',
                joints='mpi_inf_3dhp',
            )
            with np.load(samples / f'test_3dhp_{split}.npz') as raw:
                np.testing.assert_allclose(dataset.poses, raw['S'][..., :3], rtol=1e-6)
                np.testing.assert_allclose(dataset.keypoints, raw['part'][..., :2], rtol=1e-6)
            assert dataset.visible is None and dataset.projectable
            # the file says 204 for the height of the training pictures
            assert (dataset.cameras[:, 9:] == size).all()
        assert dataset.metainfo['subject_names'] == ('TS1', 'TS2')
        assert dataset.picture(0) == 'TS1_002001.jpg' and dataset.frame.tolist() == [2001, 1850]

    def test_cameras_project_the_3d_labels_near_the_2d_labels(self, samples):
        for split in ('train', 'test'):
            kwargs = dict(split=split, data_root=str(samples), ann_file=f'test_3dhp_{split}.npz')
            kwargs.update(camera_file=f'cameras_{split}.pkl')
            labelled, projected = (MPIINF3DHPDataset(**kwargs, keypoints=k) for k in ('file', 'projected'))
            assert np.abs(labelled.keypoints - projected.keypoints).max() < 2

    def test_joints_come_by_name(self, samples):
        kwargs = dict(data_root=str(samples), ann_file='test_3dhp_test.npz', camera_file='cameras_test.pkl')
        dataset = MPIINF3DHPDataset(**kwargs)
        with np.load(samples / 'test_3dhp_test.npz') as raw:
            order = [14, 8, 9, 10, 11, 12, 13, 15, 1, 0, 5, 6, 7, 2, 3, 4]
            np.testing.assert_allclose(dataset.poses, raw['S'][:, order, :3], rtol=1e-6)
        index = dataset.skeleton.index
        across = dataset.poses[:, index('left_hip'), 0] - dataset.poses[:, index('right_hip'), 0]
        seen = dataset.keypoints[:, index('left_hip'), 0] - dataset.keypoints[:, index('right_hip'), 0]
        assert (np.sign(across) == np.sign(seen)).all()

    def test_it_holds_annot3_alone(self, samples):
        with pytest.raises(ValueError, match='holds annot3; univ_annot3 is in the official files'):
            MPIINF3DHPDataset(data_root=str(samples), ann_file='test_3dhp_test.npz', annotation='univ_annot3')

    def test_the_camera_file_lies_beside_it(self, samples, tmp_path):
        (tmp_path / 'annotations').mkdir()
        (tmp_path / 'annotations' / 'mpi_inf_3dhp_test_valid.npz').symlink_to(samples / 'test_3dhp_test.npz')
        cfg = dict(
            type='MPIINF3DHPDataset', data_root=str(tmp_path), ann_file='annotations/mpi_inf_3dhp_test_valid.npz'
        )
        with pytest.raises(FileNotFoundError, match='camera file .*annotations/cameras_test.pkl does not exist'):
            DATASETS.build(cfg)
        (tmp_path / 'annotations' / 'cameras_test.pkl').symlink_to(samples / 'cameras_test.pkl')
        assert DATASETS.build(cfg).projectable


class TestSPINFile:
    @pytest.fixture
    def path(self, tmp_path):
        spin, order = Skeleton.from_metainfo('spin19'), []
        for name in ('pelvis', 'spine', 'neck', 'jaw', 'head'):
            order.append(spin.index(name))
        limbs = [n for n, name in enumerate(spin.joint_names) if name.startswith(('left', 'right'))]
        poses, points = mpi_labels(4, 24, 0)
        seen = np.isin(np.arange(24), [*order, *limbs])[:, None]
        poses = np.where(seen, poses - poses[:, spin.index('pelvis')][:, None], 0) / 1000
        flags = np.broadcast_to(seen, (4, 24, 1)).astype(float)
        np.savez(
            tmp_path / 'mpi_inf_3dhp_valid.npz',
            imgname=np.array([f'mpi_inf_3dhp_test_set/TS{n}/imageSequence/img_{n:06d}.jpg' for n in (1, 1, 5, 6)]),
            S=np.concatenate([poses, flags], 2),
            part=np.concatenate([np.where(seen, points / 2, 0), flags], 2),
        )
        return tmp_path

    def test_it_is_relative_to_the_root_and_without_cameras(self, path):
        dataset = MPIINF3DHPDataset(data_root=str(path), ann_file='mpi_inf_3dhp_valid.npz')
        assert not dataset.absolute and not dataset.projectable and dataset.visible is None
        with np.load(path / 'mpi_inf_3dhp_valid.npz') as raw:
            order = [14, 2, 1, 0, 3, 4, 5, 16, 12, 18, 9, 10, 11, 8, 7, 6]  # of PoseAug's code
            np.testing.assert_allclose(dataset.poses, raw['S'][:, order, :3], rtol=1e-6)
            sizes = np.array([(2048, 2048), (2048, 2048), (1920, 1080), (1920, 1080)])
            screen = 2 * raw['part'][:, order, :2] / sizes[:, None, :1]
            screen = screen - np.stack([np.ones(4), sizes[:, 1] / sizes[:, 0]], 1)[:, None]
        batch = dataset.__getitems__(range(4))
        np.testing.assert_allclose(batch['inputs']['keypoints'], screen, atol=1e-6)
        assert batch['inputs']['camera'].isnan().any()
        assert dataset.picture(3) == 'mpi_inf_3dhp_test_set/TS6/imageSequence/img_000006.jpg'
        assert set(dataset.get_data_info(0)['camera_param']) == {'w', 'h'}

    def test_joints_that_it_lacks_do_not_count(self, path):
        dataset = MPIINF3DHPDataset(data_root=str(path), ann_file='mpi_inf_3dhp_valid.npz', joints='spin19')
        missing = [dataset.skeleton.index(name) for name in ('head_top', 'thorax')]
        assert not dataset.visible[:, missing].any() and dataset.visible.sum() == 4 * 17

    def test_it_holds_the_universal_skeleton(self, path):
        with pytest.raises(ValueError, match='holds univ_annot3'):
            MPIINF3DHPDataset(data_root=str(path), ann_file='mpi_inf_3dhp_valid.npz', annotation='annot3')
        with pytest.raises(ValueError, match='cannot project'):
            MPIINF3DHPDataset(data_root=str(path), ann_file='mpi_inf_3dhp_valid.npz', keypoints='projected')


class TestOfficialTest:
    def test_valid_frames_in_metres_with_fitted_cameras(self, tmp_path, hdf5):
        root = write_mpi_test(tmp_path / 'mpi_inf_3dhp_test_set', hdf5)
        dataset = MPIINF3DHPDataset(data_root=str(tmp_path), annotation='annot3', joints='mpi_inf_3dhp')
        assert len(dataset) == 24 and dataset.frame.tolist() == [1, 3, 4, 6] * 6
        poses, points = mpi_labels(6, 17, 3)
        np.testing.assert_allclose(dataset.poses[8:12], poses[[0, 2, 3, 5]] / 1000, rtol=1e-5)
        np.testing.assert_allclose(dataset.keypoints[8:12], points[[0, 2, 3, 5]], rtol=1e-5)
        np.testing.assert_allclose(dataset.cameras[:, :4], np.tile([*MPI_FOCAL, *MPI_CENTRE], (6, 1)), atol=0.1)
        assert dataset.cameras[:, 9:].tolist() == [[2048, 2048]] * 4 + [[1920, 1080]] * 2
        assert dataset.projectable
        assert [dataset.metainfo['action_names'][a] for a in dataset.action[:4]] == [
            ACTIVITIES[n] for n in (0, 2, 3, 5)
        ]
        everything = MPIINF3DHPDataset(data_root=str(root), valid_only=False)
        assert len(everything) == 36

    def test_the_universal_skeleton_is_the_default(self, tmp_path, hdf5):
        write_mpi_test(tmp_path, hdf5)
        universal, own = (MPIINF3DHPDataset(data_root=str(tmp_path), annotation=a) for a in (None, 'annot3'))
        np.testing.assert_allclose(universal.poses, 0.9 * own.poses, rtol=1e-5)
        assert universal.projectable  # scaled about the camera it explains the same picture

    def test_labels_that_no_camera_explains_have_none(self, tmp_path, hdf5):
        write_mpi_test(
            tmp_path, hdf5, people=[1], univ_annot3=np.random.default_rng(0).uniform(-900, 900, (6, 1, 17, 3))
        )
        dataset = MPIINF3DHPDataset(data_root=str(tmp_path), subjects=['TS1'])
        assert not dataset.projectable and np.isnan(dataset.cameras[0, :4]).all()

    def test_some_people_alone(self, tmp_path, hdf5):
        write_mpi_test(tmp_path, hdf5, people=[2, 5], activity_annotation=None)
        dataset = MPIINF3DHPDataset(data_root=str(tmp_path), subjects=['TS2', 'TS5'])
        assert dataset.metainfo['action_names'] == ('TS2', 'TS5')
        with pytest.raises(FileNotFoundError, match='TS1/annot_data.mat does not exist.*gvv.mpi-inf'):
            MPIINF3DHPDataset(data_root=str(tmp_path))
        with pytest.raises(ValueError, match='expected a list of TS1, TS2.*unknown: S1'):
            MPIINF3DHPDataset(data_root=str(tmp_path), subjects=['S1'])

    def test_bad_files_are_named(self, tmp_path, hdf5):
        for number, (change, message) in enumerate(
            [
                (dict(annot2=np.ones((6, 1, 16, 2))), r'annot2 \(6, 1, 16, 2\)'),
                (dict(valid_frame=None), 'no annotation file of the test set'),
                (dict(activity_annotation=np.full((6, 1), 9)), 'activities up to 9'),
            ]
        ):
            root = write_mpi_test(tmp_path / str(number), hdf5, people=[1], **change)
            with pytest.raises(AnnotationError, match=f'TS1/annot_data.mat.*{message}'):
                MPIINF3DHPDataset(data_root=str(root), subjects=['TS1'])

    def test_without_h5py_the_way_out_is_named(self, tmp_path, hdf5, monkeypatch):
        write_mpi_test(tmp_path, hdf5, people=[1])
        monkeypatch.setitem(sys.modules, 'h5py', None)
        with pytest.raises(ImportError, match='pip install h5py.*mpi_inf_3dhp_valid.npz'):
            MPIINF3DHPDataset(data_root=str(tmp_path), subjects=['TS1'])


class TestOfficialTraining:
    def test_eight_cameras_with_their_calibration(self, tmp_path):
        write_mpi_train(tmp_path / 'train')
        dataset = MPIINF3DHPDataset(
            split='train', data_root=str(tmp_path), subjects=['S1'], joints='mpi_inf_3dhp', actions=['Seq1']
        )
        assert len(dataset) == 8 * 5 and len(np.unique(dataset.camera)) == 8
        # the third of the eight is camera 2, the fourth is camera 4
        row = dataset.cameras[dataset.camera[15]]
        assert row[:4].tolist() == [1404.5, 1404.5, 1024.5, 1051.25] and row[9:].tolist() == [2048, 2048]
        poses, points = mpi_train_labels(5, 4)
        for name in ('root', 'head_top', 'left_wrist', 'right_ankle', 'neck'):
            official, ours = JOINTS_28.index(name), OFFICIAL.index(name)
            np.testing.assert_allclose(dataset.poses[15:20, ours], poses[:, official] / 1000, rtol=1e-5)
            np.testing.assert_allclose(dataset.keypoints[15:20, ours], points[:, official], rtol=1e-5)
        assert dataset.picture(15) == 'S1_Seq1_Cam4_000001.jpg'

    def test_joints_are_those_of_mmposes_converter(self):
        assert [JOINTS_28.index(name) for name in OFFICIAL.joint_names] == [
            *(7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6)
        ]

    def test_other_labels_and_cameras(self, tmp_path):
        write_mpi_train(tmp_path)
        kwargs = dict(split='train', data_root=str(tmp_path), subjects=['S1'])
        own, universal = (MPIINF3DHPDataset(**kwargs, annotation=a) for a in (None, 'univ_annot3'))
        np.testing.assert_allclose(universal.poses, 0.9 * own.poses, rtol=1e-5)
        assert len(MPIINF3DHPDataset(**kwargs, camera_ids=[3])) == 10
        with pytest.raises(AnnotationError, match='14 cameras, none of number 20'):
            MPIINF3DHPDataset(**kwargs, camera_ids=[20])
        (tmp_path / 'S1' / 'Seq1' / 'camera.calibration').write_text(MPI_CALIBRATION + MPI_ENTRY.format(0, 1500))
        with pytest.raises(AnnotationError, match=r'no intrinsics of cameras \[1, 2, 4'):
            MPIINF3DHPDataset(**kwargs)

    def test_damaged_files_are_named(self, tmp_path):
        write_mpi_train(tmp_path)
        (tmp_path / 'S1' / 'Seq1' / 'annot.mat').write_bytes(b'MATLAB 5.0 MAT-file' + bytes(99))
        with pytest.raises(AnnotationError, match='Seq1/annot.mat is no annotation file'):
            MPIINF3DHPDataset(split='train', data_root=str(tmp_path), subjects=['S1'])


class TestBadFiles:
    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(S=np.ones((2, 16, 4))), r'S \(2, 16, 4\)'),
            (dict(imgname=np.array(['a', 'b'])), "picture 'a' is not named as TS1_000001.jpg"),
            (dict(imgname=np.array(['TS9_000001.jpg'] * 2)), 'no usable camera TS9'),
            (dict(part=None), 'no file of MPI-INF-3DHP'),
            (dict(S=np.full((2, 17, 4), np.nan)), 'poses of 2 samples are NaN'),
        ],
        ids=['joints', 'name', 'camera', 'key', 'nan'],
    )
    def test_are_named(self, samples, tmp_path, change, message):
        with np.load(samples / 'test_3dhp_test.npz') as raw:
            arrays = {key: value for key, value in {**raw, **change}.items() if value is not None}
        np.savez(tmp_path / 'a.npz', **arrays)
        (tmp_path / 'cameras_test.pkl').symlink_to(samples / 'cameras_test.pkl')
        with pytest.raises(AnnotationError, match=message):
            MPIINF3DHPDataset(data_root=str(tmp_path), ann_file='a.npz')

    def test_missing_ones_say_where_they_are_had(self, tmp_path):
        for kwargs in (dict(), dict(split='train'), dict(ann_file='gone.npz')):
            with pytest.raises(FileNotFoundError, match='does not exist. MPI-INF-3DHP is free for research'):
                MPIINF3DHPDataset(data_root=str(tmp_path), **kwargs)
        for kwargs in (dict(split='valid'), dict(annotation='annot2')):
            with pytest.raises(ValueError, match='expected one of'):
                MPIINF3DHPDataset(data_root=str(tmp_path), **kwargs)
