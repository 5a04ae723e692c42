import pickle

import cv2
import numpy as np
import pytest
from miniatures import MVHAND_CAMERAS, mvhand_pixel, write_mvhand

from mmposeda.datasets import MVHandDataset, PairSequenceDataset
from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.images import SampleError
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

SERIALS = sorted(MVHAND_CAMERAS)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_mvhand(tmp_path_factory.mktemp('mvhand'))


@pytest.fixture
def two(tmp_path):
    """Two short recordings of its own, to be spoilt."""
    return write_mvhand(tmp_path / 'two', {'a': 3, 'b': 2})


def infos(root, **kwargs):
    dataset = MVHandDataset(data_root=str(root), **kwargs)
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_joint_set_is_the_authors():
    skeleton = Skeleton.from_metainfo('mvhand')
    fingers = ('forefinger', 'middle_finger', 'ring_finger', 'pinky_finger', 'thumb')
    assert skeleton.joint_names == ('wrist', *(f'{finger}{n}' for finger in fingers for n in (1, 2, 3, 4)))
    hand21 = Skeleton.from_metainfo('hand21')
    assert skeleton.map_to(hand21).indices.tolist() == [0, 17, 18, 19, 20, *range(1, 17)]
    assert [skeleton.joint_names[i] for i in skeleton.groups['Fin']] == [
        hand21.joint_names[i] for i in hand21.groups['Fin']
    ]


def test_every_frame_of_every_camera_with_joints_where_it_sees_them(root):
    found = infos(root)
    assert len(found) == 4 * 12 * 4 and [info['id'] for info in found] == list(range(192))
    for info in found[:: 192 // 13]:
        name, view = info['sequence_id'].split('/')
        path = root / name / 'rgb' / f'{info["frame"]:05d}_{view}.jpg'
        assert info['img_path'] == str(path)
        serial = SERIALS[int(view)]
        pose = pickle.loads((root / name / 'calib.pkl').read_bytes())[serial]
        joints = np.load(root / name / 'mlresults' / f'{name}-joints.npy')[info['frame'], ..., 0]
        want = np.array([mvhand_pixel(joint, pose, serial) for joint in joints])
        # thumb first, as in the set of joints that is asked for
        np.testing.assert_allclose(info['keypoints'][0], want[[0, 17, 18, 19, 20, *range(1, 17)]], atol=1e-2)
        assert cv2.imread(str(path))[tuple(info['keypoints'][0, 4].round().astype(int)[::-1])].min() > 200
        low, high = want.min(0), want.max(0)
        left, top, right, bottom = info['bbox'][0]
        assert right - left == bottom - top == round(1.5 * (high - low).max())
        np.testing.assert_allclose([(left + right) / 2, (top + bottom) / 2], (low + high) / 2, atol=1)
        assert info['keypoints_visible'].all()


def test_splits_recordings_and_views(root):
    def recordings(**kwargs):
        return {info['sequence_id'].split('/')[0] for info in infos(root, **kwargs)}

    names = {'7-14-1-2', '9-10-1-2', '9-17-1-2', '9-25-1-2'}
    assert recordings() == names
    assert recordings(split='test') == {'9-25-1-2'} and recordings(split='train') == names - {'9-25-1-2'}
    assert recordings(split='test', test_recordings=['7-14-1-2', '9-10-1-2']) == {'7-14-1-2', '9-10-1-2'}
    assert recordings(recordings=['9-17-1-2']) == {'9-17-1-2'}
    some = infos(root, views=[2, 0], recordings=['9-17-1-2'])
    assert [info['sequence_id'][-1] for info in some] == ['2', '0'] * 12
    first = next(i for i in infos(root, recordings=['9-17-1-2']) if i['sequence_id'][-1] == '2')
    np.testing.assert_array_equal(some[0]['keypoints'], first['keypoints'])


def test_hands_out_of_the_picture_or_behind_the_camera_are_left_out(two):
    path = two / 'a' / 'mlresults' / 'a-joints.npy'
    joints = np.load(path)
    joints[0, :, 0] += 400  # root camera: the middle leaves the picture to the right
    joints[1, :, 2] -= 1500
    joints[2, :, 0] += 300  # some joints leave it
    np.save(path, joints.reshape(3, 21, 4))  # without the last axis too
    found = infos(two, recordings=['a'], views=[0])
    assert [info['frame'] for info in found] == [2]
    visible, points = found[0]['keypoints_visible'][0], found[0]['keypoints'][0]
    assert 0 < visible.sum() < 21
    np.testing.assert_array_equal(visible, (points[:, 0] < 639.5) & (points[:, 0] > -0.5))
    assert found[0]['bbox'][0, 2] == 640
    assert len(infos(two, recordings=['b'], min_side=100)) == 8
    with pytest.raises(ValueError, match='no hand in .* large enough'):
        infos(two, recordings=['b'], min_side=400)


def test_pairs_are_of_one_recording_and_camera(root, top_down_pipeline):
    inner = dict(type='MVHandDataset', data_root=str(root), pipeline=top_down_pipeline())
    by_fields = PairSequenceDataset(inner, sequence='fields')
    by_names = PairSequenceDataset(inner, sequence=r'(?P<sequence>[^/]+)/rgb/(?P<frame>\d+)_(?P<view>\d)\.jpg$')
    assert len(by_fields) == len(by_names) == 192
    for idx in (0, 50, 191):
        assert by_fields.partners(idx) == by_names.partners(idx)
        sample = by_fields[idx]['data_samples']
        base, driving = sample.frames
        assert 5 <= abs(base - driving) <= 50
        name, view = sample.sequence_id.split('/')
        for path, frame in ((sample.img_path, base), (sample.driving_path, driving)):
            assert path.endswith(f'{name}/rgb/{frame:05d}_{view}.jpg')


def test_without_labels_and_in_another_joint_set(root, top_down_pipeline):
    inner = dict(type='MVHandDataset', data_root=str(root), split='test', pipeline=top_down_pipeline())
    plain = DATASETS.build(dict(type='UnlabeledDataset', dataset=inner))
    assert len(plain) == 48 and not plain.get_data_info(0)['keypoints'].any()
    assert 'keypoints' not in plain[0]['data_samples'].gt_instances
    native = infos(root, metainfo=dict(from_file=metainfo_path('mvhand')))[0]
    np.testing.assert_array_equal(native['keypoints'][0, 17:], infos(root)[0]['keypoints'][0, 1:5])


@pytest.mark.parametrize(
    'spoil, message',
    [
        (lambda j: j[:, :20], r'float64 of shape \(3, 20, 4, 1\), but MVHand has numbers \(N, 21, 4, 1\)'),
        (lambda j: j[:0], r'shape \(0, 21, 4, 1\)'),
        (lambda j: np.where(np.arange(3)[:, None, None, None] == 1, np.nan, j), 'frame 1 of .*a-joints.npy has NaN'),
        (lambda j: j.astype(str), 'holds <U'),
        (lambda j: j.astype(object), 'no usable npy file'),
    ],
    ids=['count', 'empty', 'nan', 'text', 'objects'],
)
def test_bad_joints_are_named(two, spoil, message):
    path = two / 'a' / 'mlresults' / 'a-joints.npy'
    np.save(path, spoil(np.load(path)))
    with pytest.raises(AnnotationError, match=message):
        MVHandDataset(data_root=str(two))


@pytest.mark.parametrize(
    'content, message',
    [
        (pickle.dumps({'1': np.eye(4)}), 'no camera .840412062035.'),
        (pickle.dumps({serial: np.eye(3) for serial in SERIALS}), r'expected poses \(4, 4\)'),
        (pickle.dumps({serial: np.zeros((4, 4)) for serial in SERIALS}), r'expected poses \(4, 4\)'),
        (pickle.dumps([1, 2]), 'no camera file of MVHand'),
        (pickle.dumps(print), 'asks for builtins.print'),
        (b'\x80junk', 'no usable camera file of MVHand'),
    ],
    ids=['serial', 'shape', 'singular', 'list', 'code', 'junk'],
)
def test_bad_cameras_are_named(two, content, message):
    (two / 'b' / 'calib.pkl').write_bytes(content)
    with pytest.raises(AnnotationError, match=message):
        MVHandDataset(data_root=str(two))


def test_missing_files_and_wrong_arguments(two, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no folder in .* holds a calib\.pkl\. MVHand is had from'):
        MVHandDataset(data_root=str(tmp_path / 'nowhere'))
    with pytest.raises(ValueError, match='no recording c in .*; recordings are a, b'):
        MVHandDataset(data_root=str(two), recordings=['c'])
    with pytest.raises(ValueError, match='no recording 9-25-1-2 in'):
        MVHandDataset(data_root=str(two), split='train')
    with pytest.raises(ValueError, match="no recording is left for split='train'"):
        MVHandDataset(data_root=str(two), split='train', test_recordings=['a', 'b'])
    with pytest.raises(ValueError, match="split='val', expected one of all, train, test"):
        MVHandDataset(data_root=str(two), split='val')
    for views in ([], [4]):
        with pytest.raises(ValueError, match=r'views=\[.*expected some of 0 to 3'):
            MVHandDataset(data_root=str(two), views=views)
    picture = two / 'a' / 'rgb' / '00000_0.jpg'
    picture.write_bytes(b'junk')
    with pytest.raises(SampleError, match='00000_0.jpg'):
        MVHandDataset(data_root=str(two), pipeline=[dict(type='LoadImage')])[0]
    picture.unlink()
    with pytest.raises(FileNotFoundError, match=r'picture .*00000_0.jpg does not exist\. MVHand'):
        MVHandDataset(data_root=str(two))
    (two / 'b' / 'mlresults' / 'b-joints.npy').unlink()
    with pytest.raises(FileNotFoundError, match=r'joint file .*b-joints\.npy does not exist'):
        MVHandDataset(data_root=str(two), recordings=['b'])
