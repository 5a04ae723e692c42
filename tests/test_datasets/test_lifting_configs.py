"""The base configs of the 2D-3D data sets, on real data where it is at hand."""

import numpy as np
import pytest
from body_miniatures import write_dpw, write_humaneva, write_pictures
from miniatures import write_surreal
from mmengine.config import Config

from mmposeda.registry import DATASETS


@pytest.fixture
def base(tmp_path, pytestconfig, monkeypatch):
    """Read a base config from a folder of its own, as a child reads it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data').mkdir()

    def read(name):
        path = pytestconfig.rootpath / 'configs' / '_base_' / 'datasets' / f'{name}.py'
        (tmp_path / 'child.py').write_text(f'_base_ = [{str(path)!r}]\n')
        return Config.fromfile(tmp_path / 'child.py')

    return read


def test_cmu_mocap(base, shared_data, tmp_path):
    (tmp_path / 'data' / 'cmu_mocap').symlink_to(shared_data / 'cmu_mocap')
    cfg = base('cmu_mocap')
    names = [name for name in cfg if name in ('cmu_train', 'cmu_val') or name.startswith('cmu_test_')]
    built = {name: DATASETS.build(cfg[name]) for name in names}
    lengths = {name: len(part) for name, part in built.items()}
    assert len(lengths) == 6 and lengths['cmu_train'] > 40_000 and min(lengths.values()) > 700
    assert not set(built['cmu_train'].metainfo['subject_names']) & set(built['cmu_val'].metainfo['subject_names'])
    assert built['cmu_train'].metainfo['action_names'] == built['cmu_val'].metainfo['action_names'] == ('walk',)
    assert 'walk' not in built['cmu_test_acrobatics'].metainfo['action_names']
    for name in ('cmu_train', 'cmu_val'):
        assert set(np.round(built[name].cameras[:, 0])) == {1145}
    assert len(set(built['cmu_test_run'].cameras[:, 0])) == 24  # four a clip


@pytest.mark.parametrize(
    'name, parts',
    [
        (
            'h36m_lifting',
            dict(
                h36m_lifting_train='data/h36m/data_3d_h36m.npz',
                h36m_lifting_test='data/h36m/data_3d_h36m.npz',
                h36m_fps10_train='data/h36m/annotation_body3d/fps10/h36m_train.npz',
                h36m_fps10_test='data/h36m/annotation_body3d/fps10/h36m_test.npz',
            ),
        ),
        (
            'mpi_inf_3dhp_lifting',
            dict(
                mpi_inf_3dhp_test='data/mpi_inf_3dhp/mpi_inf_3dhp_valid.npz',
                mpi_inf_3dhp_official_test='data/mpi_inf_3dhp/TS1',
                mpi_inf_3dhp_official_train='data/mpi_inf_3dhp/S1',
            ),
        ),
        (
            'three_dpw_lifting',
            dict(
                three_dpw_train='data/3dpw/sequenceFiles/train',
                three_dpw_val='data/3dpw/sequenceFiles/validation',
                three_dpw_test='data/3dpw/sequenceFiles/test',
            ),
        ),
        ('cmu_mocap', dict(cmu_train='data/cmu_mocap/cmu_h36m17_30fps.npz')),
        (
            'h36m_3d',
            dict(
                h36m_3d_train='data/h36m/annotation_body3d/fps10/h36m_train.npz',
                h36m_3d_test='data/h36m/annotation_body3d/fps10/h36m_test.npz',
            ),
        ),
        (
            'mpi_inf_3dhp_3d',
            dict(
                mpi_inf_3dhp_3d_train='data/mpi_inf_3dhp/annotations/mpi_inf_3dhp_train.npz',
                mpi_inf_3dhp_3d_test='data/mpi_inf_3dhp/annotations/mpi_inf_3dhp_test_valid.npz',
            ),
        ),
        (
            'three_dpw_3d',
            dict(
                three_dpw_3d_train='data/3dpw/sequenceFiles/train',
                three_dpw_3d_val='data/3dpw/sequenceFiles/validation',
                three_dpw_3d_test='data/3dpw/sequenceFiles/test',
            ),
        ),
        (
            'humaneva_3d',
            dict(humaneva_3d_train='data/humaneva/converted_15j', humaneva_3d_test='data/humaneva/converted_15j'),
        ),
        (
            'surreal_3d',
            dict(
                surreal_3d_train='data/surreal_processed/train/run0.json',
                surreal_3d_test='data/surreal_processed/test/run0.json',
            ),
        ),
    ],
)
def test_parts_want_their_files_and_say_where_they_are_had(base, name, parts):
    cfg = base(name)
    for part, path in parts.items():
        with pytest.raises(FileNotFoundError, match=rf'{path} does not exist\. .*http'):
            DATASETS.build(cfg[part])


def test_pictures_with_3d_labels_have_the_same_joints(base, shared_data, tmp_path):
    """Every base config of pictures with 3D labels builds on a miniature in the layout that it names."""
    data, real = tmp_path / 'data', shared_data / 'mmpose_samples'
    write_surreal(data / 'surreal_processed', count=1)
    write_dpw(data / '3dpw')
    write_humaneva(data / 'humaneva', subjects=['S1'])
    (data / 'h36m' / 'annotation_body3d' / 'fps10').mkdir(parents=True)
    (data / 'h36m' / 'images').symlink_to(real / 'h36m')
    (data / 'h36m' / 'annotation_body3d' / 'cameras.pkl').symlink_to(real / 'h36m' / 'cameras.pkl')
    (data / 'h36m' / 'annotation_body3d' / 'fps10' / 'h36m_train.npz').symlink_to(
        real / 'h36m' / 'test_h36m_body3d.npz'
    )
    (data / 'mpi_inf_3dhp' / 'annotations').mkdir(parents=True)
    (data / 'mpi_inf_3dhp' / 'images').symlink_to(real / 'mpi_inf_3dhp')
    for name, file in (('mpi_inf_3dhp_test_valid.npz', 'test_3dhp_test.npz'), ('cameras_test.pkl', 'cameras_test.pkl')):
        (data / 'mpi_inf_3dhp' / 'annotations' / name).symlink_to(real / 'mpi_inf_3dhp' / file)
    parts = dict(surreal='test', three_dpw='test', humaneva='test', h36m='train', mpi_inf_3dhp='test')
    for name, part in parts.items():
        cfg = base(f'{name}_3d')[f'{name}_3d_{part}']
        if name in ('three_dpw', 'humaneva'):
            write_pictures(DATASETS.build(dict(cfg.poses, joints=None)), data / cfg.poses.data_root.split('/')[1])
        dataset = DATASETS.build(cfg)
        info = dataset.get_data_info(0)
        assert dataset.metainfo['dataset_name'] == 'lsp' and info['keypoints_visible'].all()
        assert info['keypoints_3d_cam'].shape == (1, 14, 3) and len(info['camera']) >= 2
