import shutil

import numpy as np
import pytest
from official_downloads import snapshot

from mmposeda.datasets.mocap import load_mocap
from mmposeda.datasets.motion import MocapMotionDataset


@pytest.fixture(scope='module')
def pack(tool):
    return tool('dataset_converters/mocap_pack').main


@pytest.fixture
def subjects(tmp_path, shared_data):
    """CMU's folders of ASF and AMC files: subject 1 with two clips, and one of BVH."""
    pytest.importorskip('pybvh')
    raw, root = shared_data / 'cmu_mocap' / 'raw', tmp_path / 'subjects'
    if not (raw / '01.asf').is_file():
        pytest.skip(f'no ASF and AMC files in {raw}')
    (root / '01').mkdir(parents=True)
    (root / '02').mkdir()
    shutil.copy(raw / '01.asf', root / '01/01.asf')
    for name in ('01_01.amc', '01_02.amc'):
        shutil.copy(raw / '01_01_first600.amc', root / '01' / name)
    shutil.copy(raw / '02_01.bvh', root / '02/02_01.bvh')
    return root


def test_the_pack_is_what_the_files_are(pack, subjects, tmp_path, capsys):
    out = tmp_path / 'cmu_30fps.npz'
    before = snapshot(subjects)
    pack([str(subjects), str(out)])
    assert snapshot(subjects) == before
    files = [(subjects / '01/01.asf', subjects / f'01/01_0{n}.amc') for n in (1, 2)] + [subjects / '02/02_01.bvh']
    wanted, found = load_mocap(files, toes=True, fps=30), load_mocap([out], toes=True)
    for key in ('poses', 'root', 'starts', 'lengths', 'fps', 'names', 'subjects'):
        np.testing.assert_array_equal(getattr(found, key), getattr(wanted, key))
    dataset = MocapMotionDataset([out.name], str(tmp_path), 'nlrd17', frames=30, subjects=['02'])
    assert len(dataset)
    text = capsys.readouterr().out
    assert ['all', '3', str(len(wanted.poses))] in [line.split() for line in text.splitlines()] and 'sha256' in text
    was = snapshot(tmp_path)
    pack([str(subjects), str(out)])
    assert capsys.readouterr().out.startswith('3 of 3 clips are there, converting 0') and snapshot(tmp_path) == was


def test_files_that_are_added_or_mended_are_added(pack, subjects, tmp_path, capsys):
    out, whole = tmp_path / 'out/pack.npz', (subjects / '01/01_02.amc').read_bytes()
    (subjects / '01/01_02.amc').write_bytes(b'no motion')
    pack([str(subjects), str(out), '--no-toes'])
    text = capsys.readouterr().out
    assert 'left out, cannot be converted: 1 (' in text and '01_02.amc' in text
    assert load_mocap([out]).names == ['01_01', '02_01']
    (subjects / '01/01_02.amc').write_bytes(whole)
    shutil.copy(subjects / '02/02_01.bvh', subjects / '02/02_02.bvh')
    pack([str(subjects), str(out), '--no-toes'])
    assert capsys.readouterr().out.startswith('2 of 4 clips are there, converting 2')
    assert load_mocap([out]).names == ['01_01', '01_02', '02_01', '02_02']


def test_a_folder_without_motion_is_one_line(pack, tmp_path):
    with pytest.raises(SystemExit, match=r'no .npz, .bvh or .amc file in it.*http://mocap.cs.cmu.edu'):
        pack([str(tmp_path), str(tmp_path / 'pack.npz')])
    (tmp_path / '02_01.amc').write_text('')
    with pytest.raises(SystemExit, match='no ASF file 02.asf beside it'):
        pack([str(tmp_path), str(tmp_path / 'pack.npz')])


def test_a_pack_ends_in_npz(pack, tmp_path, capsys):
    with pytest.raises(SystemExit):
        pack([str(tmp_path), str(tmp_path / 'pack')])
    assert 'expected one that ends in .npz' in capsys.readouterr().err
