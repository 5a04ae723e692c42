import pickle

import cv2
import numpy as np
import pytest
from miniatures import rhd_hand, write_rhd

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.rhd import RHDHandsDataset
from mmposeda.registry import DATASETS, TRANSFORMS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

# Hand-21 in one hand of RHD, as the published code indexes it: each finger runs from the tip to the palm there
PUBLISHED = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
WHOLE = dict(uv_vis=np.ones((42, 3)), xyz=np.ones((42, 3)), K=np.eye(3))
PIPELINE = [
    dict(type='LoadImage'),
    dict(type='MirrorHands'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=(128, 128)),
    dict(type='PackPoseInputs', pack_transformed=True),
]


def both(left, right):
    return np.concatenate([left, right])


def far(rng):
    """A hand that is too small to count and out of the way."""
    return rhd_hand((300, 20), 20, rng)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def sides(root, pictures, **kwargs):
    """(picture, side) of the hands that count."""
    write_rhd(root, dict(training=pictures))
    dataset = RHDHandsDataset(data_root=str(root), **kwargs)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [(int(i['img_path'][-9:-4]), i['hand_side']) for i in infos]


@pytest.mark.parametrize('protocol', [2, 4])
def test_each_hand_is_a_sample_in_the_published_order(tmp_path, protocol):
    root = write_rhd(tmp_path, protocol=protocol)
    dataset = RHDHandsDataset(data_root=str(root))
    assert len(dataset) == 48 and len(RHDHandsDataset(data_root=str(root), split='test')) == 8
    assert Skeleton.from_metainfo(dataset.metainfo).same_joints(Skeleton.from_metainfo('hand21'))
    raw = pickle.loads((root / 'training' / 'anno_training.pickle').read_bytes())
    ids = set()
    for i in range(48):
        info = dataset.get_data_info(i)
        assert info['img_path'].endswith(f'training/color/{i // 2:05d}.png')
        assert info['hand_side'] == ('left', 'right')[i % 2]
        wanted = raw[i // 2]['uv_vis'][21 * (i % 2) :][PUBLISHED]
        np.testing.assert_allclose(info['keypoints'][0], wanted[:, :2], rtol=1e-6)
        assert info['keypoints_visible'].tolist() == [[1] * 21]
        space, camera = info['keypoints_3d_cam'][0], info['camera']
        np.testing.assert_allclose(space[:, :2] / space[:, 2:] * camera['f'] + camera['c'], wanted[:, :2], rtol=1e-4)
        assert 400 <= space[:, 2].min() <= space[:, 2].max() <= 600, 'millimetres'
        ids.add(info['id'])
    assert len(ids) == 48


def test_boxes_are_squares_of_one_and_a_half_hands_inside_the_picture(tmp_path, rng):
    write_rhd(
        tmp_path,
        dict(training=[both(rhd_hand((160, 150), 80, rng), far(rng)), both(rhd_hand((45, 300), 60, rng), far(rng))]),
    )
    dataset = RHDHandsDataset(data_root=str(tmp_path))
    assert dataset.get_data_info(0)['bbox'].tolist() == [[100, 90, 220, 210]]
    assert dataset.get_data_info(1)['bbox'].tolist() == [[0, 230, 90, 320]]  # 255 + 90 is 25 too low


def test_small_hands_do_not_count(tmp_path, rng):
    # crops of 65 and 66 pixels: the first and the last lie 64 and 65 apart, and more than 64 is asked for
    pictures = [both(rhd_hand((100, 100), side, rng), far(rng)) for side in (65 / 1.5, 66 / 1.5)]
    assert sides(tmp_path, pictures) == [(1, 'left')]


def test_hidden_hands_do_not_count(tmp_path, rng):
    pictures = []
    for hidden in (4, 5):
        hand = rhd_hand((100, 100), 80, rng)
        hand[-hidden:, 2] = 0
        pictures.append(both(far(rng), hand))
    assert sides(tmp_path, pictures) == [(0, 'right')]
    info = RHDHandsDataset(data_root=str(tmp_path)).get_data_info(0)
    assert info['keypoints_visible'].sum() == 17 and info['num_keypoints'] == 17


def test_covered_hands_do_not_count(tmp_path, rng):
    # crop 70..189; the other hand's hull of w x 100 pixels, ends included, covers w 100 / 120^2 of it: 0.299, 0.306
    pictures = []
    for width in (43, 44):
        other = np.zeros((21, 3))
        other[:, :2] = rng.uniform([189 - width + 1, 90], [200, 189], (21, 2))
        other[:2, :2] = [[189 - width + 1, 90], [250, 189]]
        pictures.append(both(rhd_hand((130, 130), 80, rng), other))
    assert sides(tmp_path, pictures) == [(0, 'left')]
    assert sides(tmp_path, pictures, max_overlap=0.31) == [(0, 'left'), (1, 'left')]


def test_equals_a_plain_loop_on_random_hands(tmp_path, rng):
    """The rule as the paper's task states it, one hand after the other."""
    pictures = []
    for _ in range(60):
        hands = [rhd_hand(rng.uniform(40, 280, 2), rng.uniform(30, 140), rng) for _ in range(2)]
        hands[0][:, 2] = rng.random(21) < 0.85
        pictures.append(both(*hands))
    wanted = []
    for n, joints in enumerate(pictures):
        for name, own, other in (('left', joints[:21], joints[21:]), ('right', joints[21:], joints[:21])):
            (x0, y0), (x1, y1) = own[:, :2].min(0), own[:, :2].max(0)
            side = min(round(1.5 * max(x1 - x0, y1 - y0)), 320)
            left = min(max(round((x0 + x1) / 2 - side / 2), 0), 320 - side)
            top = min(max(round((y0 + y1) / 2 - side / 2), 0), 320 - side)
            (u0, v0), (u1, v1) = other[:, :2].min(0), other[:, :2].max(0)
            width = max(min(left + side - 1, u1) - max(left, u0) + 1, 0)
            height = max(min(top + side - 1, v1) - max(top, v0) + 1, 0)
            if side - 1 > 64 and own[:, 2].sum() > 16 and width * height / side**2 < 0.3:
                wanted.append((n, name))
    assert 20 < len(wanted) < 110
    assert sides(tmp_path, pictures) == wanted


def test_right_hands_become_left_ones_with_their_joints_on_their_pixels(tmp_path, rng):
    pictures = [both(rhd_hand((90, 200), 80, rng), rhd_hand((230, 120), 80, rng))]
    write_rhd(tmp_path, dict(training=pictures))
    image = np.zeros((320, 320, 3), np.uint8)
    for hand in (pictures[0][:21], pictures[0][21:]):
        x, y = hand[PUBLISHED[8], :2].round().astype(int)  # the tip of the forefinger
        hand[PUBLISHED[8], :2] = x, y
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    write_rhd(tmp_path, dict(training=pictures))
    cv2.imwrite(str(tmp_path / 'training' / 'color' / '00000.png'), image)
    dataset = RHDHandsDataset(data_root=str(tmp_path), pipeline=PIPELINE)
    plain = RHDHandsDataset(data_root=str(tmp_path), pipeline=[s for s in PIPELINE if s['type'] != 'MirrorHands'])
    for i in range(2):
        sample = dataset[i]
        joints = sample['data_samples'].gt_instances.transformed_keypoints[0]
        ys, xs = np.nonzero(sample['inputs'].float().mean(0).numpy() > 128)
        np.testing.assert_allclose([xs.mean(), ys.mean()], joints[8], atol=0.7)
        as_it_was = plain[i]['data_samples'].gt_instances.transformed_keypoints[0]
        np.testing.assert_allclose(joints, as_it_was * [-1, 1] + [128, 0] if i else as_it_was, atol=1e-3)


def test_mirroring_twice_is_nothing_and_unknown_sides_stay():
    image = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    info = dict(img=image, bbox=np.array([[1.0, 1, 4, 3]]), keypoints=np.array([[[2.0, 1]]]), hand_side='right')
    left, right = (TRANSFORMS.build(dict(type='MirrorHands', side=side)) for side in ('left', 'right'))
    once = left(dict(info))
    assert once['bbox'].tolist() == [[3, 1, 6, 3]] and once['keypoints'].tolist() == [[[5, 1]]]
    np.testing.assert_array_equal(once['img'], image[:, ::-1])
    twice = right(once)
    for key in info:
        np.testing.assert_array_equal(twice[key], info[key])
    assert left(dict(img=image))['img'] is image
    with pytest.raises(ValueError, match='right behind LoadImage'):
        left(dict(info, bbox_center=np.zeros((1, 2))))
    with pytest.raises(ValueError, match="got 'both'"):
        TRANSFORMS.build(dict(type='MirrorHands', side='both'))


def test_the_pose_in_space_is_mirrored_with_its_picture():
    """The mirrored camera sees the mirrored joints on the mirrored pixels, and the samples given stay as they were."""
    rng = np.random.default_rng(0)
    focal, centre = np.array([500.0, 510.0]), np.array([150.0, 130.0])
    pose = (rng.uniform(-90, 90, (1, 21, 3)) + [0, 0, 600]).astype(np.float32)
    points = pose[..., :2] / pose[..., 2:] * focal + centre
    info = dict(
        img=np.zeros((240, 320, 3), np.uint8),
        bbox=np.array([[60.0, 20, 260, 220]]),
        keypoints=points,
        keypoints_3d_cam=pose,
        camera=dict(f=focal, c=centre),
        hand_side='right',
    )
    kept = {key: np.copy(info[key]) for key in ('keypoints', 'keypoints_3d_cam', 'bbox')}
    left = TRANSFORMS.build(dict(type='MirrorHands'))(dict(info))
    space, camera = left['keypoints_3d_cam'], left['camera']
    seen = space[..., :2] / space[..., 2:] * camera['f'] + camera['c']
    np.testing.assert_allclose(seen, left['keypoints'], atol=1e-3)
    np.testing.assert_allclose(left['keypoints'][..., 0], 319 - points[..., 0])
    np.testing.assert_array_equal(space[..., 1:], pose[..., 1:])
    assert space.dtype == np.float32
    for key, value in kept.items():
        np.testing.assert_array_equal(info[key], value)
    assert info['camera']['c'] is centre
    twice = TRANSFORMS.build(dict(type='MirrorHands', side='right'))(left)
    np.testing.assert_array_equal(twice['keypoints_3d_cam'], pose)
    np.testing.assert_allclose(twice['camera']['c'], centre)


def test_without_labels_every_large_free_hand_counts_and_sides_are_unknown(tmp_path, rng):
    hidden = rhd_hand((100, 160), 80, rng)
    hidden[:, 2] = 0
    write_rhd(tmp_path, dict(training=[both(hidden, rhd_hand((240, 160), 80, rng))]))
    part = dict(type='RHDHandsDataset', data_root=str(tmp_path), pipeline=PIPELINE)
    dataset = DATASETS.build(dict(type='UnlabeledDataset', dataset=part))
    assert len(dataset) == 2 and len(DATASETS.build(part)) == 1
    assert 'hand_side' not in dataset.get_data_info(1) and 'keypoints' not in dataset[1]['data_samples'].gt_instances


def test_another_order_of_joints_is_mapped_by_name(tmp_path):
    root = write_rhd(tmp_path)
    kwargs = dict(data_root=str(root), split='test')
    own = RHDHandsDataset(metainfo=dict(from_file=metainfo_path('rhd2d')), **kwargs).get_data_info(0)
    hand21 = RHDHandsDataset(**kwargs).get_data_info(0)
    np.testing.assert_array_equal(own['keypoints'][:, PUBLISHED], hand21['keypoints'])


class Evil:
    def __reduce__(self):
        import os

        return os.system, ('echo run > evil.txt',)


@pytest.mark.parametrize(
    'content, message',
    [
        (b'', 'no annotation file of RHD'),
        (pickle.dumps([1, 2]), 'no annotation file of RHD'),
        (pickle.dumps({}), 'no annotation file of RHD'),
        (pickle.dumps({0: dict(xyz=1)}), "no 'uv_vis'"),
        (pickle.dumps({0: dict(WHOLE, uv_vis=np.ones((21, 3)))}), r'uv_vis of shape \(21, 3\), but RHD has \(42, 3\)'),
        (pickle.dumps({0: dict(WHOLE, uv_vis=np.full((42, 3), np.nan))}), 'picture 0 .* uv_vis with NaN'),
        (pickle.dumps({0: dict(WHOLE, xyz=np.full((42, 3), np.nan))}), 'picture 0 .* xyz with NaN'),
        (pickle.dumps({0: dict(WHOLE, K=np.ones(9))}), r'K of shape \(9,\), but RHD has \(3, 3\)'),
        (pickle.dumps({0: Evil()}), 'refused.*system'),
    ],
    ids=['empty', 'list', 'nothing', 'keys', 'joints', 'nan', 'nan_3d', 'camera', 'program'],
)
def test_bad_files_are_named(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'training').mkdir()
    (tmp_path / 'training' / 'anno_training.pickle').write_bytes(content)
    with pytest.raises(AnnotationError, match=message) as caught:
        RHDHandsDataset(data_root=str(tmp_path))
    assert 'anno_training.pickle' in str(caught.value)
    assert not (tmp_path / 'evil.txt').exists()


def test_missing_files_say_where_to_get_them(tmp_path, rng):
    with pytest.raises(FileNotFoundError, match='anno_training.pickle does not exist. RHD is free.*RHD_v1-1.zip'):
        RHDHandsDataset(data_root=str(tmp_path))
    with pytest.raises(ValueError, match="split='all', expected one of train, test"):
        RHDHandsDataset(data_root=str(tmp_path), split='all')
    write_rhd(tmp_path, dict(training=[both(far(rng), far(rng))]))
    with pytest.raises(ValueError, match='no hand in .*anno_training.pickle is large'):
        RHDHandsDataset(data_root=str(tmp_path))
    write_rhd(tmp_path)
    (tmp_path / 'training' / 'color' / '00000.png').unlink()
    with pytest.raises(FileNotFoundError, match='picture .*00000.png does not exist.*RHD'):
        RHDHandsDataset(data_root=str(tmp_path))
