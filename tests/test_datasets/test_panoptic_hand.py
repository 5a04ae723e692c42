import json

import numpy as np
import pytest
from hand_samples import check_box, check_hand, patches, random_hand, seen, skeletons_agree

from mmposeda.datasets import PanopticHand3DDataset
from mmposeda.datasets.annotations import AnnotationError
from mmposeda.registry import DATASETS

SIZE = (1920, 1080)
BENT = [-0.286227, 0.183082, -4.29815e-05, 0.000644874, -0.0479635]  # of a real camera
TEST = '171204_pose3'


def camera(name, degrees=0.0, kind='hd'):
    """A camera 250 cm from the studio's middle, on the side where that many degrees lie."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
    inner = dict(K=[[1395.91, 0, 951.559], [0, 1392.24, 561.398], [0, 0, 1]], distCoef=BENT, resolution=list(SIZE))
    return dict(name=name, type=kind, panel=0, node=0, R=rotation, t=[[0.0], [0.0], [250.0]], **inner)


def person(number, left=None, right=None, scores=None):
    hands = {}
    for key, space in (('left_hand', left), ('right_hand', right)):
        if space is not None:
            score = [0.5] * 21 if scores is None else scores
            hands[key] = dict(landmarks=np.ravel(space).tolist(), averageScore=score, averageReproError=[1.0] * 21)
    return dict(id=number, **hands)


def write_sequence(root, name, frames, cameras=None, pictures=None):
    """``frames`` is a dict of lists of people; pictures are empty unless named (views, frames)."""
    folder = root / name
    (folder / 'hdHand3d').mkdir(parents=True)
    cameras = [camera('00_00'), camera('00_03', 70), camera('01_01', 0, 'vga')] if cameras is None else cameras
    (folder / f'calibration_{name}.json').write_text(json.dumps(dict(cameras=cameras)))
    for number, people in frames.items():
        path = folder / 'hdHand3d' / f'handRecon3D_hd{number:08d}.json'
        path.write_text(json.dumps(dict(version=0.6, people=people)))
    views = [c['name'] for c in cameras if c['type'] == 'hd']
    for view, number in pictures or [(view, number) for view in views for number in frames]:
        path = folder / 'hdImgs' / view / f'{view}_{number:08d}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def hand(rng, x=0.0, y=0.0, z=0.0, size=8.0):
    """Centimetres, about the studio's middle."""
    return random_hand(rng, (x, y, z), size)


@pytest.fixture
def data(tmp_path):
    """A training and a test sequence; two people, the second with one hand. Returns the root and cm by key."""
    rng, hands = np.random.default_rng(0), {}
    for name in ('171204_pose1', TEST):
        frames = {}
        for number in range(100, 104):
            own = [hand(rng, x, -20, 5) for x in (-60, 40, 80)]
            hands.update({(name, number, *who): h for who, h in zip(((0, 'left'), (0, 'right'), (2, 'left')), own)})
            frames[number] = [person(0, own[0], own[1]), person(2, own[2]), person(-1, own[0])]
        write_sequence(tmp_path, name, frames)
    return tmp_path, hands


def infos(root, **kwargs):
    dataset = PanopticHand3DDataset(**dict(dict(data_root=str(root), every=1), **kwargs))
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def parts(info):
    name, view, number, side = info['sequence_id'].split('/')
    return name, view, int(number), side


def test_both_hands_of_everybody_before_every_camera(data):
    root, hands = data
    found = infos(root, split='all')
    assert len(found) == 2 * 2 * 4 * 3 and [i['id'] for i in found] == list(range(48))
    for info in found:
        check_hand(info, SIZE)
        name, view, number, side = parts(info)
        assert info['hand_side'] == side
        assert info['img_path'] == str(root / name / 'hdImgs' / view / f'{view}_{info["frame"]:08d}.jpg')
        lens = camera(view, {'00_00': 0, '00_03': 70}[view])
        space = [10 * (np.array(lens['R']) @ joint + [0, 0, 250]) for joint in hands[name, info['frame'], number, side]]
        np.testing.assert_allclose(info['keypoints_3d_cam'][0], space, atol=1e-3)
        check_box(info, seen(space, info['camera']))
        np.testing.assert_allclose(info['camera']['distortion'], BENT, rtol=1e-6)
    assert skeletons_agree(PanopticHand3DDataset(data_root=str(root)).metainfo)


def test_distortion_moves_joints_as_opencv_has_it(data):
    cv2 = pytest.importorskip('cv2')
    info = max(infos(data[0]), key=lambda i: np.abs(i['keypoints'] - 960).max())
    f, c, bent = (info['camera'][key].astype(float) for key in ('f', 'c', 'distortion'))
    space, matrix = info['keypoints_3d_cam'][0].astype(float), np.diag([*f, 1])
    matrix[:2, 2] = c
    wanted = cv2.projectPoints(space, np.zeros(3), np.zeros(3), matrix, bent)[0][:, 0]
    np.testing.assert_allclose(info['keypoints'][0], wanted, atol=1e-2)
    assert np.abs(wanted - (space[:, :2] / space[:, 2:] * f + c)).max() > 2


def test_splits_views_and_frames(data):
    root, _ = data
    assert {parts(i)[0] for i in infos(root)} == {'171204_pose1'}
    assert {parts(i)[0] for i in infos(root, split='test')} == {TEST}
    assert {parts(i)[0] for i in infos(root, split='test', test_sequences=['171204_pose1'])} == {'171204_pose1'}
    assert {parts(i)[0] for i in infos(root, split='all', sequences=[TEST])} == {TEST}
    assert {parts(i)[1] for i in infos(root, views=['00_03'])} == {'00_03'}
    assert {i['frame'] for i in infos(root, every=2)} == {100, 102}
    assert {i['frame'] for i in PanopticHand3DDataset(data_root=str(root))} == {100}, 'every tenth by default'


def test_frames_without_a_picture_are_left_out_and_png_serves(tmp_path):
    rng = np.random.default_rng(0)
    people = [person(0, hand(rng))]
    folder = write_sequence(tmp_path, 'a', {5: people, 6: people}, pictures=[('00_00', 5), ('00_03', 7)])
    (folder / 'hdImgs' / '00_03' / '00_03_00000006.png').touch()
    found = infos(tmp_path)
    assert [(parts(i)[1], i['frame'], i['img_path'][-3:]) for i in found] == [('00_00', 5, 'jpg'), ('00_03', 6, 'png')]


def test_hands_that_are_small_or_out_of_the_picture_or_behind_are_left_out(tmp_path):
    rng = np.random.default_rng(0)
    places = [(0, 0, 0), (0, 0, -400), (300, 0, 0), (195, 0, 0), (0, 0, 900), (1200, 0, 0)]
    people = [person(n, hand(rng, *place)) for n, place in enumerate(places)]
    write_sequence(tmp_path, 'a', {0: people}, [camera('00_00')])
    found = infos(tmp_path)
    assert [parts(i)[2] for i in found] == [0, 3]
    check_hand(found[1], SIZE)
    assert 0 < found[1]['keypoints_visible'].sum() < 21 and found[1]['bbox'][0, 2] == 1920
    assert [parts(i)[2] for i in infos(tmp_path, min_side=20)] == [0, 3, 4]
    with pytest.raises(ValueError, match='no hand in .* large enough'):
        infos(tmp_path, min_side=1000)


def test_joints_that_are_not_reconstructed(tmp_path):
    rng = np.random.default_rng(0)
    space, scores = hand(rng), [0.5] * 21
    space[[4, 8]], scores[4], scores[8] = 0, 0.1, 0.0
    space[4] = [900, 900, -900]
    write_sequence(tmp_path, 'a', {0: [person(0, space, hand(rng), scores), person(1, hand(rng))]}, [camera('00_00')])
    assert [parts(i)[2:] for i in infos(tmp_path)] == [(1, 'left')]
    assert [parts(i)[2:] for i in infos(tmp_path, min_score=-1)] == [(0, 'right'), (1, 'left')], (
        'far out of the picture'
    )
    found = infos(tmp_path, min_joints=19)
    assert [parts(i)[2:] for i in found] == [(0, 'left'), (0, 'right'), (1, 'left')]
    assert np.flatnonzero(found[0]['keypoints_visible'][0] == 0).tolist() == [4, 8]
    good = np.delete(np.arange(21), [4, 8])
    check_box(found[0], found[0]['keypoints'][0, good])
    joints = found[0]['keypoints_3d_cam'][0]
    np.testing.assert_allclose(joints[4], joints[good].mean(0), rtol=1e-4)


def test_real_calibration(tmp_path, shared_data):
    folder = shared_data / 'mmpose_samples' / 'panoptic_body3d' / '160906_band1'
    cameras = json.loads((folder / 'calibration_160906_band1.json').read_text())['cameras']
    body = json.loads((folder / 'hdPose3d_stage1_coco19' / 'body3DScene_00000168.json').read_text())['bodies'][0]
    wrist = np.reshape(body['joints19'], (19, 4))[5, :3]
    space = hand(np.random.default_rng(0), *wrist)
    write_sequence(tmp_path, '160906_band1', {168: [person(0, space)]}, cameras)
    found = infos(tmp_path)
    assert len({parts(i)[1] for i in found}) == len(found) > 20, 'most of the 31 cameras see him'
    for info in found:
        check_hand(info, SIZE)
        assert 1000 < info['keypoints_3d_cam'][..., 2].mean() < 5000, 'the studio is 5 m wide'
    world = []
    for info in found:
        lens = next(c for c in cameras if c['name'] == parts(info)[1])
        world.append((info['keypoints_3d_cam'][0] / 10 - np.ravel(lens['t'])) @ np.array(lens['R']))
    np.testing.assert_allclose(world, np.tile(space, (len(world), 1, 1)), atol=1e-2)


def test_without_labels_and_in_pairs(data, top_down_pipeline):
    root, _ = data
    for path in root.glob('*/hdImgs/*/*.jpg'):
        patches(path, (64, 36))
    inner = dict(type='PanopticHand3DDataset', data_root=str(root), every=1, pipeline=top_down_pipeline())
    plain = DATASETS.build(dict(type='UnlabeledDataset', dataset=inner))
    info = plain.get_data_info(0)
    assert len(plain) == 24 and not info['keypoints'].any() and 'hand_side' not in info
    assert not plain.dataset.get_data_info(0)['keypoints_3d_cam'].any()
    assert 'keypoints' not in plain[0]['data_samples'].gt_instances
    pairs = DATASETS.build(dict(type='PairSequenceDataset', dataset=inner, sequence='fields', gap=(1, 3)))
    sample = pairs[0]['data_samples']
    assert sample.sequence_id == '171204_pose1/00_00/0/left' and len(pairs) == 24


@pytest.mark.parametrize(
    'content, message',
    [
        ([], 'no hand file of Panoptic Studio: expected a dict with a list `people`'),
        (dict(people=3), 'expected a dict with a list `people`'),
        (dict(people=[dict(id='0')]), "a person with id='0'"),
        (dict(people=[dict(id=0, left_hand=[1])]), 'left_hand of .* is no hand'),
        (dict(people=[dict(id=0, left_hand=dict(landmarks=[1.0] * 60))]), r'shape \(60,\), expected \(63,\)'),
        (dict(people=[dict(id=0, right_hand=dict(averageScore=[1] * 21))]), 'landmarks of a right_hand'),
        (dict(people=[dict(id=0, left_hand=dict(landmarks=[float('nan')] * 63))]), 'has NaN'),
        (
            dict(people=[dict(id=0, left_hand=dict(landmarks=[1.0] * 63, averageScore=[1.0]))]),
            r'averageScore of a left_hand .* shape \(1,\), expected \(21,\)',
        ),
    ],
    ids=['list', 'people', 'id', 'hand', 'count', 'none', 'nan', 'scores'],
)
def test_bad_hand_files_are_named(data, content, message):
    root, _ = data
    path = root / '171204_pose1' / 'hdHand3d' / 'handRecon3D_hd00000101.json'
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=message) as caught:
        infos(root)
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    'spoil, message',
    [
        (lambda c: dict(), "expected lists 'cameras'"),
        (lambda c: dict(cameras=[3]), 'no calibration of Panoptic Studio'),
        (lambda c: dict(cameras=[{k: v for k, v in c[0].items() if k != 'K'}, c[1]]), 'K of camera 00_00'),
        (lambda c: dict(cameras=[dict(c[0], R=np.eye(2).tolist()), c[1]]), r'R of camera 00_00 .*shape \(2, 2\)'),
    ],
    ids=['dict', 'list', 'key', 'shape'],
)
def test_bad_calibrations_are_named(data, spoil, message):
    root, _ = data
    path = root / '171204_pose1' / 'calibration_171204_pose1.json'
    path.write_text(json.dumps(spoil([camera('00_00'), camera('00_03')])))
    with pytest.raises(AnnotationError, match=message) as caught:
        infos(root)
    assert path.name in str(caught.value)


def test_missing_files_and_wrong_arguments(data, tmp_path_factory):
    root, _ = data
    with pytest.raises(FileNotFoundError, match='holds an hdHand3d. Panoptic Studio is free'):
        infos(tmp_path_factory.mktemp('empty'))
    for kwargs, message in (
        (dict(split='val'), "split='val', expected one of train, test, all"),
        (dict(every=0), 'every=0'),
        (dict(min_joints=22), 'min_joints=22'),
        (dict(sequences=['b']), 'no sequence b with hdHand3d in .*; sequences are 171204_pose1, 171204_pose3'),
        (dict(split='test', test_sequences=['c']), 'no sequence c'),
        (dict(test_sequences=['171204_pose1', TEST]), "no sequence is left for split='train'"),
        (dict(views=['00_30']), 'no HD camera 00_30 in .*; cameras are 00_00, 00_03'),
        (dict(views=['01_01']), 'no HD camera 01_01'),
    ):
        with pytest.raises(ValueError, match=message):
            infos(root, **kwargs)
    for path in root.glob('171204_pose1/hdImgs/00_03/*'):
        path.unlink()
    (root / '171204_pose1' / 'hdImgs' / '00_03').rmdir()
    assert {parts(i)[1] for i in infos(root)} == {'00_00'}
    with pytest.raises(FileNotFoundError, match='no folder 00_03 in .*hdImgs. Panoptic'):
        infos(root, views=['00_03'])
    (root / '171204_pose1' / 'calibration_171204_pose1.json').unlink()
    with pytest.raises(FileNotFoundError, match='calibration .*calibration_171204_pose1.json does not exist'):
        infos(root)
    for path in root.glob('171204_pose1/hdHand3d/*'):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r'no handRecon3D_hd\*.json in'):
        infos(root)
