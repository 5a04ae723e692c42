import pickle
import shutil
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import cv2
import mmpose
import numpy as np
import pytest
from official_downloads import (
    H36M_CAMERAS,
    contents,
    grey_numbers,
    h36m_camera,
    snapshot,
    write_h36m,
    write_h36m_metadata,
    write_video,
)

from mmposeda.datasets.converters.human36m_files import read_metadata
from mmposeda.datasets.human36m import Human36m2DDataset
from mmposeda.datasets.human36m_lifting import MOVING, Human36mLiftingDataset
from mmposeda.datasets.image_pose_3d import ImagePose3DDataset

KINDS = {'Videos': '', 'D2_Positions': 'MyPoseFeatures/', 'D3_Positions_mono': 'MyPoseFeatures/'}
MMPOSE = Path(mmpose.__file__).parent / '.mim/tools/dataset_converters/preprocess_h36m.py'


@pytest.fixture(scope='module')
def convert(tool):
    return tool('dataset_converters/human36m').main


@pytest.fixture(scope='module')
def release(tmp_path_factory):
    """The official files of two subjects, unpacked and as archives, and their joints."""
    pytest.importorskip('cdflib')
    root = tmp_path_factory.mktemp('h36m')
    metadata = write_h36m_metadata(root / 'metadata.xml')
    joints = write_h36m(root / 'unpacked', ('S1', 'S9'))
    for subject in ('S1', 'S9'):
        (root / 'original' / subject.lower()).mkdir(parents=True)
        for kind, inside in (
            ('Videos', ''),
            ('D2_Positions', 'MyPoseFeatures/'),
            ('D3_Positions_mono', 'MyPoseFeatures/'),
        ):
            with tarfile.open(root / 'original' / subject.lower() / f'{kind}.tgz', 'w:gz') as archive:
                archive.add(root / 'unpacked' / subject / inside / kind, f'{subject}/{inside}{kind}')
    return root, metadata, joints


def arguments(release, out, source='unpacked', **more):
    root, metadata, _ = release
    options = [str(part) for key, value in more.items() for part in (f'--{key}', value)]
    return [str(root / source), str(out), '--metadata', str(metadata), '--subjects', 'S1', 'S9', *options]


@pytest.fixture(scope='module')
def converted(convert, release, tmp_path_factory):
    out = tmp_path_factory.mktemp('out')
    convert(arguments(release, out))
    return out


def test_cameras_are_those_of_the_metadata(release):
    metadata = read_metadata(release[1])
    assert metadata.takes['S5'] == ['Directions 1', 'Directions'] and len(metadata.cameras) == 44
    for subject, number in (('S1', 1), ('S11', 11)):
        for camera, name in enumerate(H36M_CAMERAS):
            param, (turn, place) = metadata.cameras[subject, name], h36m_camera(number, camera)
            np.testing.assert_allclose(param['R'], turn.T, atol=1e-12)
            np.testing.assert_allclose(param['T'][:, 0], place / 1000, atol=1e-12)


def test_the_data_sets_read_what_they_were_made_of(release, converted):
    joints = release[2]
    poses = Human36mLiftingDataset(data_root=str(converted), joints='h36m', split='train')
    assert len(poses) == 2 * 4 * 3 and poses.projectable and poses.visible is None
    first = [poses.picture(n) for n in range(3)]
    assert first == [f'S1/S1_Directions_1.54138969/S1_Directions_1.54138969_{n:06d}.jpg' for n in (1, 6, 11)]
    wanted = joints['S1', 'Directions 1', '54138969'][::5, MOVING] / 1000
    np.testing.assert_allclose(poses.poses[:3], wanted, rtol=1e-6)
    projected = Human36mLiftingDataset(data_root=str(converted), joints='h36m', keypoints='projected')
    np.testing.assert_allclose(projected.keypoints, poses.keypoints, atol=0.01)
    pictures = ImagePose3DDataset(poses)
    paths = [pictures.get_data_info(n)['img_path'] for n in range(6)]
    assert grey_numbers(paths[:3]) == [0, 5, 10] and grey_numbers(paths[3:], start=21) == [0, 5, 10]
    flat = Human36m2DDataset(data_root=str(converted), split='test')
    assert len(flat) == 24 and Path(flat.get_data_info(23)['img_path']).is_file()


@pytest.mark.skipif(not MMPOSE.is_file(), reason='this MMPose came without its tools')
def test_the_files_are_those_of_mmposes_own_converter(release, converted, tmp_path, monkeypatch, capsys):
    import cdflib

    class File(dict):
        def __init__(self, path):
            super().__init__(Pose=cdflib.CDF(path).varget('Pose'))

        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

    spacepy, pycdf = ModuleType('spacepy'), ModuleType('spacepy.pycdf')
    spacepy.pycdf, pycdf.CDF = pycdf, File
    monkeypatch.setitem(sys.modules, 'spacepy', spacepy)
    monkeypatch.setitem(sys.modules, 'spacepy.pycdf', pycdf)
    names: dict = {'__name__': 'preprocess_h36m'}
    exec(compile(MMPOSE.read_text(), str(MMPOSE), 'exec'), names)
    root, metadata, _ = release
    theirs = names['PreprocessH36m'](str(metadata), str(root), str(root / 'unpacked'), str(tmp_path))
    theirs.subjects_splits = dict(train=['S1'], test=['S9'])
    for subject in theirs.sequence_mappings:  # takes that this miniature lacks
        mapping = theirs.sequence_mappings[subject]
        theirs.sequence_mappings[subject] = {key: name for key, name in mapping.items() if name}
    (tmp_path / 'annotation_body3d').mkdir()
    theirs.generate_cameras_file()
    theirs.generate_annotations()
    for split in ('train', 'test'):
        name = f'annotation_body3d/fps10/h36m_{split}.npz'
        with np.load(tmp_path / name) as wanted, np.load(converted / name) as ours:
            assert set(ours.files) == set(wanted.files)
            assert ours['imgname'].tolist() == wanted['imgname'].tolist()
            for key in ('center', 'scale', 'part', 'S'):
                np.testing.assert_allclose(ours[key], wanted[key], rtol=1e-6, atol=1e-6)
            for picture in ours['imgname']:
                assert (tmp_path / 'images' / picture).read_bytes() == (converted / 'images' / picture).read_bytes()
    for file in ('cameras.pkl', *(f'fps10/joint{n}{kind}_stats.pkl' for n in ('2d', '3d') for kind in ('', '_rel'))):
        ours, wanted = (
            pickle.loads((folder / 'annotation_body3d' / file).read_bytes()) for folder in (converted, tmp_path)
        )
        assert set(ours) == set(wanted)
        for key, value in wanted.items():
            for inner, number in value.items() if isinstance(value, dict) else [('', value)]:
                found = ours[key][inner] if inner else ours[key]
                if isinstance(number, str):
                    assert found == number
                else:
                    np.testing.assert_allclose(found, number, rtol=1e-5, atol=1e-6)


def test_archives_are_unpacked_and_make_the_same(convert, release, converted, tmp_path, capsys):
    before = snapshot(release[0] / 'original')
    convert(arguments(release, tmp_path / 'out', 'original', unpacked=tmp_path / 'unpacked'))
    out = capsys.readouterr().out
    assert out.count('unpacking') == 6 and snapshot(release[0] / 'original') == before
    assert ['train', '8', '24', '312188', '!'] in [line.split() for line in out.splitlines()]
    assert contents(tmp_path / 'out') == contents(converted)
    was = snapshot(tmp_path)
    convert(arguments(release, tmp_path / 'out', 'original', unpacked=tmp_path / 'unpacked'))
    out = capsys.readouterr().out
    assert out.startswith('16 of 16 videos are there, converting 0') and snapshot(tmp_path) == was


def test_fifty_a_second_lie_beside_ten(convert, release, tmp_path):
    for every in (5, 1):
        convert(arguments(release, tmp_path, every=every))
    for fps, count in ((10, 24), (50, 88)):
        ann_file = f'annotation_body3d/fps{fps}/h36m_test.npz'
        assert len(Human36mLiftingDataset('test', ann_file, data_root=str(tmp_path))) == count


def test_a_cut_archive_is_named_and_mended(convert, release, tmp_path, capsys):
    root = tmp_path / 'original/s1'
    root.mkdir(parents=True)
    for file in (release[0] / 'original/s1').iterdir():
        (root / file.name).write_bytes(file.read_bytes())
    whole = (root / 'Videos.tgz').read_bytes()
    (root / 'Videos.tgz').write_bytes(whole[: len(whole) * 2 // 3])
    command = [str(root.parent), str(tmp_path / 'out'), '--metadata', str(release[1]), '--subjects', 'S1']
    with pytest.raises(SystemExit, match=r'Videos.tgz is damaged or cut short .*: download it again'):
        convert(command)
    kept = snapshot(tmp_path / 'out/unpacked/S1/Videos')
    assert 0 < len(kept) < 8 and not any(name.startswith('.') for name in kept)
    (root / 'Videos.tgz').write_bytes(whole)
    convert(command)
    assert kept.items() <= snapshot(tmp_path / 'out/unpacked/S1/Videos').items()
    assert ['train', '8', '24', '312188', '!'] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_damaged_takes_are_left_out_and_named(convert, release, tmp_path, capsys):
    root = shutil.copytree(release[0] / 'unpacked/S9', tmp_path / 'in/S9').parent
    videos, flat, space = (
        root / 'S9/Videos',
        *(root / 'S9/MyPoseFeatures' / k for k in ('D2_Positions', 'D3_Positions_mono')),
    )
    (videos / 'Directions.54138969.mp4').unlink()
    (flat / 'Directions.55011271.cdf').write_bytes(b'no labels')
    cut = (space / 'Directions.58860488.cdf').read_bytes()
    (space / 'Directions.58860488.cdf').write_bytes(cut[: len(cut) // 2])
    short = shutil.copy(videos / 'Directions 1.54138969.mp4', tmp_path / 'long.mp4')
    capture = cv2.VideoCapture(str(short))
    write_video(videos / 'Directions 1.54138969.mp4', [capture.read()[1] for _ in range(7)])
    convert([str(root), str(tmp_path / 'out'), '--metadata', str(release[1]), '--subjects', 'S9'])
    text = capsys.readouterr().out
    assert 'left out, cannot be converted: 3 (' in text and 'video is shorter than its labels: 1 (' in text
    for name in ('Directions.54138969.mp4 does not exist', '55011271.cdf is no usable CDF file'):
        assert name in text
    data = Human36mLiftingDataset('test', data_root=str(tmp_path / 'out'))
    assert len(data) == 5 * 3 - 1


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(metadata='gone.xml'), r'gone.xml does not exist'),
        (dict(metadata='other.xml'), r'other.xml is no metadata.xml of Human3.6M'),
        (dict(subject='S5'), r'neither S5/Videos.tgz nor a folder Videos in S5'),
    ],
)
def test_what_is_missing_is_one_line(convert, release, tmp_path, change, message):
    (tmp_path / 'other.xml').write_text('<metadata><mapping/></metadata>')
    metadata = tmp_path / change['metadata'] if 'metadata' in change else release[1]
    command = [str(release[0] / 'unpacked'), str(tmp_path / 'out'), '--metadata', str(metadata)]
    with pytest.raises(SystemExit, match=message):
        convert([*command, '--subjects', change.get('subject', 'S1')])


def test_without_cdflib_it_says_what_to_install(convert, release, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'cdflib', None)
    with pytest.raises(SystemExit, match=r'pip install mmposeda\[convert\]'):
        convert(arguments(release, tmp_path))
