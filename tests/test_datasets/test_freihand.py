import json
import shutil

import numpy as np
import pytest
from hand_samples import check_box, check_hand, patches, random_hand, skeletons_agree

from mmposeda.datasets import FreiHANDDataset
from mmposeda.datasets.annotations import AnnotationError
from mmposeda.registry import DATASETS

SIZE = (224, 224)
UNIQUE = 32560


def write_freihand(root, count=3, points=None, pictures=True):
    """Both parts; hands, or joints at ``points`` (count, 21, 2) with random depths. Returns training's pixels."""
    rng, written = np.random.default_rng(0), {}
    for part, versions in (('training', 4), ('evaluation', 1)):
        cameras = np.tile(np.diag([480.0, 482, 1]), (count, 1, 1))
        cameras[:, :2, 2] = rng.uniform(108, 116, (count, 2))
        if points is None:
            space = np.array([random_hand(rng, (0, 0, 700), 75) for _ in range(count)]) / 1000
            pixels = (space @ cameras.transpose(0, 2, 1) / space[..., 2:])[..., :2]
        else:
            pixels = points
            rays = np.concatenate([pixels, np.ones((count, 21, 1))], -1) @ np.linalg.inv(cameras).transpose(0, 2, 1)
            space = rays * rng.uniform(0.6, 0.8, (count, 21, 1))
        root.mkdir(parents=True, exist_ok=True)
        (root / f'{part}_K.json').write_text(json.dumps(cameras.tolist()))
        (root / f'{part}_xyz.json').write_text(json.dumps(space.tolist()))
        for number in (n + UNIQUE * v for v in range(versions) for n in range(count)):
            if pictures or number == 0:
                patches(root / part / 'rgb' / f'{number:08d}.jpg', SIZE)
        written[part] = pixels
    return written['training']


def infos(root, **kwargs):
    dataset = FreiHANDDataset(data_root=str(root), **kwargs)
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_four_pictures_of_each_hand(tmp_path):
    points = write_freihand(tmp_path)
    found = infos(tmp_path)
    assert [i['id'] for i in found] == [n + UNIQUE * v for v in range(4) for n in range(3)]
    assert [i['hand_id'] for i in found] == [0, 1, 2] * 4
    for info in found:
        check_hand(info, SIZE)
        np.testing.assert_allclose(info['keypoints'][0], points[info['hand_id']], atol=1e-3)
        assert info['img_path'] == str(tmp_path / 'training' / 'rgb' / f'{info["id"]:08d}.jpg')
        assert info['hand_side'] == 'right' and info['bbox'].tolist() == [[0, 0, 224, 224]]
        assert 600 <= info['keypoints_3d_cam'][..., 2].min() <= 800, 'millimetres'
    assert [i['id'] for i in infos(tmp_path, versions=['auto', 'gs'])] == [97680, 97681, 97682, 0, 1, 2]
    assert [i['img_path'][-23:] for i in infos(tmp_path, split='test')][0] == 'uation/rgb/00000000.jpg'
    assert len(infos(tmp_path, split='test')) == 3 and skeletons_agree(
        FreiHANDDataset(data_root=str(tmp_path)).metainfo
    )


def test_box_can_be_the_hand(tmp_path):
    points = write_freihand(tmp_path)
    for info in infos(tmp_path, crop=1.5):
        check_hand(info, SIZE)
        check_box(info, points[info['hand_id']])


def test_joints_outside_the_picture_are_invisible(tmp_path):
    points = np.random.default_rng(1).uniform(60, 160, (1, 21, 2))
    points[0, 4], points[0, 8] = (230, 100), (100, 223.4)
    write_freihand(tmp_path, 1, points)
    info = infos(tmp_path)[0]
    check_hand(info, SIZE)
    assert np.flatnonzero(info['keypoints_visible'][0] == 0).tolist() == [4]


def test_real_pictures_have_the_numbers_of_their_hands(tmp_path, shared_data):
    """MMPose's samples: two hands before four backgrounds, with the 2D labels of each."""
    folder = shared_data / 'mmpose_samples' / 'freihand'
    raw = json.loads((folder / 'test_freihand.json').read_text())
    real = {a['image_id']: np.reshape(a['keypoints'], (21, 3))[:, :2] for a in raw['annotations']}
    hand = min(real)
    assert sorted(n for n in real if n % UNIQUE == hand) == [hand + UNIQUE * v for v in range(4)]
    points = np.tile(real[hand], (hand + 1, 1, 1))
    write_freihand(tmp_path, hand + 1, points, pictures=False)
    for number in real:
        shutil.copy(folder / f'{number:08d}.jpg', tmp_path / 'training' / 'rgb')
    dataset = FreiHANDDataset(data_root=str(tmp_path), pipeline=[dict(type='LoadImage')])
    for version in range(4):
        place = version * (hand + 1) + hand
        info = dataset.get_data_info(place)
        check_hand(info, SIZE)
        np.testing.assert_allclose(info['keypoints'][0], real[hand + UNIQUE * version], atol=1e-2)
        assert dataset[place]['img'].shape == (224, 224, 3) and dataset[place]['img'].any()


def test_without_labels_only_their_number_is_read(tmp_path, top_down_pipeline):
    write_freihand(tmp_path)
    (tmp_path / 'evaluation_xyz.json').unlink()
    inner = dict(type='FreiHANDDataset', data_root=str(tmp_path), split='test', pipeline=top_down_pipeline())
    plain = DATASETS.build(dict(type='UnlabeledDataset', dataset=inner))
    assert len(plain) == 3 and plain.get_data_info(0)['bbox'].tolist() == [[0, 0, 224, 224]]
    assert 'keypoints' not in plain[0]['data_samples'].gt_instances
    with pytest.raises(FileNotFoundError, match='evaluation_xyz.json does not exist. .*FreiHAND_pub_v2_eval.zip'):
        DATASETS.build(inner)


@pytest.mark.parametrize(
    'name, spoil, message',
    [
        ('xyz', lambda x: dict(a=1), 'no file of FreiHAND: expected a list of 32560 entries .*got dict'),
        ('xyz', lambda x: [], 'got a list of 0'),
        ('xyz', lambda x: x[:2], 'has 2 hands, but there are 3 cameras'),
        ('xyz', lambda x: [x[0], x[1], x[2][:20]], 'holds no numbers of one shape'),
        ('xyz', lambda x: [h[:20] for h in x], r'shape \(3, 20, 3\), expected \(N, 21, 3\)'),
        ('xyz', lambda x: [x[0], [[float('nan')] * 3] * 21, x[2]], 'has NaN.*first in entry 1'),
        ('xyz', lambda x: [x[0], x[1], (-np.array(x[2])).tolist()], 'entry 2 .* behind the camera'),
        ('K', lambda k: [c[:2] for c in k], r'shape \(3, 2, 3\), expected \(N, 3, 3\)'),
    ],
    ids=['dict', 'empty', 'short', 'ragged', 'joints', 'nan', 'behind', 'camera'],
)
def test_bad_files_are_named(tmp_path, name, spoil, message):
    write_freihand(tmp_path)
    path = tmp_path / f'training_{name}.json'
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    with pytest.raises(AnnotationError, match=message) as caught:
        infos(tmp_path)
    assert path.name in str(caught.value)


def test_missing_files_and_wrong_arguments(tmp_path):
    with pytest.raises(FileNotFoundError, match='training_K.json does not exist. FreiHAND is free'):
        infos(tmp_path)
    write_freihand(tmp_path)
    with pytest.raises(ValueError, match="split='val', expected one of train, test"):
        infos(tmp_path, split='val')
    for versions in ([], ['green']):
        with pytest.raises(ValueError, match='expected some of gs, hom, sample, auto'):
            infos(tmp_path, versions=versions)
    (tmp_path / 'training_K.json').write_text('[1, ')
    with pytest.raises(AnnotationError, match='training_K.json is no JSON file'):
        infos(tmp_path)
    write_freihand(tmp_path)
    (tmp_path / 'training' / 'rgb' / '00000000.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='picture .*00000000.jpg does not exist'):
        infos(tmp_path)
