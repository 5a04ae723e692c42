"""The base configs of the 2D-3D data sets, on real data where it is at hand."""

import numpy as np
import pytest
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
    ],
)
def test_parts_want_their_files_and_say_where_they_are_had(base, name, parts):
    cfg = base(name)
    for part, path in parts.items():
        with pytest.raises(FileNotFoundError, match=rf'{path} does not exist\. .*http'):
            DATASETS.build(cfg[part])
