import numpy as np
import pytest
from hand_samples import check_box, check_hand, patches, random_hand, skeletons_agree
from scipy.io import savemat

from mmposeda.datasets import STBDataset
from mmposeda.datasets.annotations import AnnotationError
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

NAMES = [f'B{n}{kind}' for n in range(1, 7) for kind in ('Counting', 'Random')]
VIEWS = ('SK_color', 'BB_left', 'BB_right')
# Hand-21 in the order of STB, as published codes index it; joint 0 is the palm there
PUBLISHED = [0, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]


def depth_axes(color):
    """A point (3,) in the colour camera's axes to those of the depth camera, by Rodrigues' formula."""
    vector, shift = np.array([0.00531, -0.01196, 0.00301]), np.array([-24.0381, -0.4563, -1.2326])
    angle = np.linalg.norm(vector)
    axis = vector / angle
    along = axis * (axis @ color) * (1 - np.cos(angle))
    return color * np.cos(angle) + np.cross(axis, color) * np.sin(angle) + along + shift


def write_stb(root, frames=3, names=NAMES):
    """Both label files of each sequence, of one hand before both cameras. Returns it (sequences, frames, 21, 3)."""
    rng, hands = np.random.default_rng(0), []
    for name in names:
        hand = np.array([random_hand(rng, (60, 10 * n, 600), joints='stb') for n in range(frames)])
        hands.append(hand)
        moved = np.array([[depth_axes(joint) for joint in frame] for frame in hand])
        (root / 'labels').mkdir(parents=True, exist_ok=True)
        savemat(root / 'labels' / f'{name}_SK.mat', dict(handPara=moved.transpose(2, 1, 0)))
        savemat(root / 'labels' / f'{name}_BB.mat', dict(handPara=hand.transpose(2, 1, 0)))
        for n in range(frames):
            for view in VIEWS:
                patches(root / 'images' / name / f'{view}_{n}.png', (640, 480))
    return np.array(hands)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('stb')
    return root, write_stb(root)


@pytest.fixture
def one(tmp_path):
    """A sequence of its own, to be spoilt."""
    write_stb(tmp_path, names=['B1Counting'])
    return tmp_path


def infos(root, **kwargs):
    dataset = STBDataset(data_root=str(root), **kwargs)
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_backgrounds_split_train_from_test(data):
    root, _ = data
    names = {split: {i['sequence_id'].split('/')[0] for i in infos(root, split=split)} for split in ('train', 'test')}
    assert names == dict(train=set(NAMES[2:]), test={'B1Counting', 'B1Random'})
    assert len(infos(root)) == 30 and len(infos(root, split='all', views=VIEWS)) == 3 * 36
    some = infos(root, split='all', sequences=['B3Random'], views=['BB_left', 'SK_color'])
    assert [i['sequence_id'] for i in some] == ['B3Random/BB_left'] * 3 + ['B3Random/SK_color'] * 3
    assert [i['frame'] for i in some] == [0, 1, 2] * 2 and [i['id'] for i in some] == list(range(6))
    assert skeletons_agree(STBDataset(data_root=str(root)).metainfo)


@pytest.mark.parametrize('view', VIEWS)
def test_labels_are_in_the_axes_of_the_camera(data, view):
    root, hands = data
    for info in infos(root, split='test', views=[view]):
        check_hand(info, (640, 480))
        name, frame = info['sequence_id'].split('/')[0], info['frame']
        assert info['img_path'] == str(root / 'images' / name / f'{view}_{frame}.png') and info['hand_side'] == 'left'
        wanted = hands[NAMES.index(name), frame] - [120.054 if view == 'BB_right' else 0, 0, 0]
        np.testing.assert_allclose(info['keypoints_3d_cam'][0, 1:], wanted[PUBLISHED][1:], atol=1e-3)
        f, c = info['camera']['f'], info['camera']['c']
        check_box(info, wanted[:, :2] / wanted[:, 2:] * f + c)


def test_wrist_is_made_in_space_or_left_out_and_the_palm_can_be_kept(data):
    root, hands = data
    palm, mcp = hands[0, 0, 0], hands[0, 0, 9]
    derived, none = (infos(root, split='test', wrist=wrist)[0] for wrist in ('derived', 'none'))
    np.testing.assert_allclose(derived['keypoints_3d_cam'][0, 0], mcp + 2 * (palm - mcp), atol=1e-3)
    assert derived['keypoints_visible'].all()
    assert none['keypoints_visible'].tolist() == [[0] + [1] * 20]
    assert not none['keypoints'][0, 0].any() and not none['keypoints_3d_cam'][0, 0].any()
    np.testing.assert_array_equal(none['keypoints'][0, 1:], derived['keypoints'][0, 1:])
    for name in ('stb', 'stb_wrist'):
        native = infos(root, split='test', metainfo=dict(from_file=metainfo_path(name)))[0]
        np.testing.assert_allclose(native['keypoints_3d_cam'][0], hands[0, 0], atol=1e-3)
        place = Skeleton.from_metainfo(name).index('palm')
        assert native['keypoints_visible'].all() and not np.allclose(
            native['keypoints'][0, place], derived['keypoints'][0, 0], atol=1
        )


def test_hands_whose_middle_is_outside_are_left_out(one):
    path = one / 'labels' / 'B1Counting_BB.mat'
    hands = np.stack([random_hand(np.random.default_rng(1), (x, 0, 600), joints='stb') for x in (0, -210, 300)])
    savemat(path, dict(handPara=hands.transpose(2, 1, 0)))
    part = dict(split='test', sequences=['B1Counting'])
    assert [i['frame'] for i in infos(one, views=['BB_left'], **part)] == [0, 1]
    assert [i['frame'] for i in infos(one, views=['BB_right'], **part)] == [0, 2]
    edge = infos(one, views=['BB_left'], **part)[1]
    check_hand(edge, (640, 480))
    assert 0 < edge['keypoints_visible'].sum() < 21
    savemat(path, dict(handPara=(hands[:1] + [900, 0, 0]).transpose(2, 1, 0)))
    with pytest.raises(ValueError, match='no hand in .* inside the picture'):
        infos(one, views=['BB_left'], **part)


def test_without_labels_and_in_pairs(data, top_down_pipeline):
    root, _ = data
    inner = dict(type='STBDataset', data_root=str(root), split='test', pipeline=top_down_pipeline())
    plain = DATASETS.build(dict(type='UnlabeledDataset', dataset=inner))
    info = plain.get_data_info(0)
    assert len(plain) == 6 and not info['keypoints'].any() and 'keypoints_3d_cam' not in info
    assert 'keypoints' not in plain[0]['data_samples'].gt_instances
    assert not plain.dataset.get_data_info(0)['keypoints_3d_cam'].any()
    pairs = DATASETS.build(dict(type='PairSequenceDataset', dataset=inner, sequence='fields', gap=(1, 2)))
    base, driving = pairs[0]['data_samples'].frames
    assert len(pairs) == 6 and 1 <= abs(base - driving) <= 2


@pytest.mark.parametrize(
    'content, message',
    [
        (dict(other=np.ones(3)), "it has no 'handPara'"),
        (dict(handPara=np.ones((21, 3, 5))), r'shape \(21, 3, 5\), but STB has \(3, 21, frames\)'),
        (dict(handPara=np.ones((3, 21))), r'shape \(3, 21\), but STB has'),
        (dict(handPara=np.full((3, 21, 2), np.nan)), r'handPara of .* has NaN.*\(the first in entry 0\)'),
        (dict(handPara=-np.ones((3, 21, 2))), 'frame 0 .* behind the camera'),
        (dict(handPara=np.array([['a']], object)), 'but STB has'),
        (None, 'no label file of STB'),
    ],
    ids=['key', 'order', 'axes', 'nan', 'behind', 'text', 'junk'],
)
def test_bad_label_files_are_named(one, content, message):
    path = one / 'labels' / 'B1Counting_SK.mat'
    path.write_bytes(b'junk') if content is None else savemat(path, content)
    with pytest.raises(AnnotationError, match=message) as caught:
        infos(one, split='test')
    assert 'B1Counting_SK.mat' in str(caught.value)


def test_missing_files_and_wrong_arguments(one):
    with pytest.raises(FileNotFoundError, match='label file .*B1Random_SK.mat does not exist. STB is free'):
        infos(one, split='test')
    (one / 'images' / 'B1Counting' / 'SK_color_0.png').unlink()
    with pytest.raises(FileNotFoundError, match='picture .*SK_color_0.png does not exist'):
        infos(one, split='test', sequences=['B1Counting'])
    for kwargs, message in (
        (dict(split='val'), "split='val', expected one of train, test, all"),
        (dict(views=['SK_depth']), 'expected some of SK_color, BB_left, BB_right'),
        (dict(views=[]), r'views=\[\], expected some'),
        (dict(wrist='ring'), "wrist='ring', expected one of derived, none"),
        (dict(sequences=['B1Random']), "expected some of B2Counting, .* for 'train'"),
    ):
        with pytest.raises(ValueError, match=message):
            infos(one, **kwargs)
