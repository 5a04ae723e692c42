import json
import shutil

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mmposeda.datasets.images import SampleError
from mmposeda.datasets.lsp import LSPDataset
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import metainfo_path


def lsp(**kwargs):
    return LSPDataset(**{'data_prefix': dict(img='images/'), **kwargs})


def write_lsp(folder, count=2000):
    """Joint k of picture n at (n % 50 + k, k + 1), 1-based; joint 0 occluded."""
    (folder / 'images').mkdir()
    _, blank = cv2.imencode('.jpg', np.zeros((40, 70, 3), np.uint8))
    for n in range(1, count + 1):
        (folder / 'images' / f'im{n:04d}.jpg').write_bytes(blank.tobytes())
    number, joint = np.meshgrid(np.arange(1, count + 1), np.arange(14))
    joints = np.stack([number % 50 + joint, joint + 1.0, (joint == 0).astype(float)])
    savemat(folder / 'joints.mat', dict(joints=joints))
    return str(folder)


@pytest.fixture(scope='module')
def lsp_root(tmp_path_factory):
    return write_lsp(tmp_path_factory.mktemp('lsp'))


def test_lsp_flag_means_occluded_and_coordinates_count_from_one(lsp_root):
    info = lsp(data_root=lsp_root, ann_file='joints.mat').get_data_info(2)  # im0003
    assert info['img_path'].endswith('images/im0003.jpg') and info['img_id'] == 3
    assert info['keypoints_visible'][0].tolist() == [0] + [1] * 13
    np.testing.assert_allclose(info['keypoints'][0, 5], [3 + 5 - 1, 6 - 1])
    assert info['bbox'].tolist() == [[0, 0, 70, 40]]
    info = lsp(data_root=lsp_root, ann_file='joints.mat', one_based=False, use_occluded=True).get_data_info(2)
    np.testing.assert_allclose(info['keypoints'][0, :2], [[3, 1], [4, 2]])
    assert info['keypoints_visible'].all()


@pytest.mark.parametrize('part, numbers', [('train', (1, 1000)), ('test', (1001, 2000)), ('reference', (1, 2000))])
def test_lsp_splits(lsp_root, part, numbers):
    dataset = lsp(data_root=lsp_root, ann_file='joints.mat', part=part)
    assert (dataset.get_data_info(0)['img_id'], dataset.get_data_info(len(dataset) - 1)['img_id']) == numbers
    assert len(dataset) == numbers[1] - numbers[0] + 1


def test_lsp_official_file_is_read_as_it_is(shared_data, tmp_path):
    shutil.copy(shared_data / 'lsp_official_mini' / 'lsp' / 'joints.mat', tmp_path / 'joints.mat')
    raw = loadmat(tmp_path / 'joints.mat')['joints']
    (tmp_path / 'images').mkdir()
    for n in range(1, 2001):
        (tmp_path / 'images' / f'im{n:04d}.jpg').symlink_to(shared_data / 'lspet_subset' / 'images' / 'im00002.jpg')
    dataset = lsp(data_root=str(tmp_path), ann_file='joints.mat', part='test')
    visible = np.concatenate([dataset.get_data_info(i)['keypoints_visible'] for i in range(len(dataset))])
    np.testing.assert_array_equal(visible, raw[2].T[1000:] == 0)
    assert 0.9 < visible.mean() < 0.95


def test_lspet_official_layout(shared_data):
    root = shared_data / 'lsp_official_mini' / 'lspet'
    raw = loadmat(root / 'joints.mat')['joints']
    dataset = lsp(data_root=str(root), ann_file='joints.mat')
    assert len(dataset) == 24
    for i in range(24):
        info = dataset.get_data_info(i)
        seen = raw[:, 2, i] > 0
        np.testing.assert_array_equal(info['keypoints_visible'][0], seen)
        np.testing.assert_allclose(info['keypoints'][0, seen], raw[seen, :2, i] - 1, atol=1e-4)
        height, width = cv2.imread(info['img_path']).shape[:2]
        assert info['bbox'].tolist() == [[0, 0, width, height]]


def test_another_joint_set_is_mapped_by_name(shared_data):
    kwargs = dict(data_root=str(shared_data / 'lspet_subset'), ann_file='annotations/lspet_test.json')
    own, mpii = lsp(**kwargs).get_data_info(0), lsp(metainfo=dict(from_file=metainfo_path('mpii')), **kwargs)
    info = mpii.get_data_info(0)
    order = [0, 1, 2, 3, 4, 5, 12, 13, 6, 7, 8, 9, 10, 11]
    there = [k for k in range(16) if k not in (6, 7)]  # the reference masks pelvis and thorax
    np.testing.assert_array_equal(info['keypoints'][0, there], own['keypoints'][0, order])
    np.testing.assert_array_equal(info['keypoints_visible'][0, there], own['keypoints_visible'][0, order])
    assert not info['keypoints_visible'][0, [6, 7]].any() and info['flip_indices'][:2] == [5, 4]
    with pytest.raises(ValueError, match='share no joint'):
        lsp(metainfo=dict(from_file=metainfo_path('hand21')), **kwargs)


def test_right_is_on_the_left_of_people_seen_from_the_front(shared_data):
    """Upright people facing the camera are the majority of those whose head is above and whose hips are apart."""
    dataset = lsp(data_root=str(shared_data / 'lspet_subset'), ann_file='annotations/lspet_train.json')
    points = np.concatenate([dataset.get_data_info(i)['keypoints'] for i in range(len(dataset))])
    index = {n: i for i, n in dataset.metainfo['keypoint_id2name'].items()}
    upright = (points[:, index['neck'], 1] < points[:, index['right_hip'], 1] - 40) & (
        points[:, index['right_hip'], 1] < points[:, index['right_ankle'], 1]
    )
    assert upright.sum() > 500
    right_is_left = points[upright, index['right_shoulder'], 0] < points[upright, index['left_shoulder'], 0]
    assert right_is_left.mean() > 0.6


def test_subset_parts_split_whole_blocks(shared_data):
    ids = {}
    for part in ('all', 'train', 'val'):
        dataset = lsp(data_root=str(shared_data / 'lspet_subset'), ann_file='annotations/lspet_train.json', part=part)
        ids[part] = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]
    assert ids['train'] + ids['val'] == ids['all'] and len(ids['all']) == 2000 and len(ids['val']) == 294
    blocks = {p: {(i - 1) // 100 for i in ids[p]} for p in ids}
    assert not blocks['train'] & blocks['val']


def test_box_can_be_the_picture_or_the_annotation(shared_data):
    root = shared_data / 'lspet_subset'
    raw = json.loads((root / 'annotations' / 'lspet_test.json').read_text())
    image, ann = raw['images'][0], raw['annotations'][0]
    kwargs = dict(data_root=str(root), ann_file='annotations/lspet_test.json')
    assert lsp(**kwargs).get_data_info(0)['bbox'].tolist() == [[0, 0, image['width'], image['height']]]
    x, y, w, h = ann['bbox']
    np.testing.assert_allclose(lsp(bbox='ann', **kwargs).get_data_info(0)['bbox'], [[x, y, x + w, y + h]], rtol=1e-5)


def test_missing_annotation_says_where_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere/joints\.mat.*Get LSP.*data_root'):
        lsp(data_root=str(tmp_path / 'nowhere'), ann_file='joints.mat')


def test_missing_picture_is_named(tmp_path):
    savemat(tmp_path / 'joints.mat', dict(joints=np.ones((3, 14, 4))))
    with pytest.raises(FileNotFoundError, match=r'im0001\.jpg does not exist.*Get LSP'):
        lsp(data_root=str(tmp_path), ann_file='joints.mat')


def test_wrong_joint_count_is_an_error_at_build(tmp_path, write_people):
    folder = write_people(tmp_path)
    raw = json.loads((folder / 'ann.json').read_text())
    raw['annotations'][2]['keypoints'] += [1.0, 1.0, 2.0]
    (folder / 'ann.json').write_text(json.dumps(raw))
    with pytest.raises(ValueError, match='annotation 3 of .*ann.json has 15 joints, but LSP has 14'):
        lsp(data_root=str(folder), ann_file='ann.json')


def test_wrong_arguments(tmp_path, lsp_root, write_people):
    folder = write_people(tmp_path)
    with pytest.raises(ValueError, match="part='valid'.*reference"):
        lsp(data_root=str(folder), ann_file='ann.json', part='valid')
    with pytest.raises(ValueError, match="part='test' is for LSP's own"):
        lsp(data_root=str(folder), ann_file='ann.json', part='test')
    with pytest.raises(ValueError, match="part='val' does not exist"):
        lsp(data_root=lsp_root, ann_file='joints.mat', part='val')
    with pytest.raises(ValueError, match="bbox='person'"):
        lsp(data_root=str(folder), ann_file='ann.json', bbox='person')
    savemat(tmp_path / 'joints.mat', dict(joints=np.ones((3, 16, 4))))
    with pytest.raises(ValueError, match=r'shape \(3, 16, 4\), expected \(3, 14, N\)'):
        lsp(data_root=str(tmp_path), ann_file='joints.mat')
    with pytest.raises(ValueError, match="no person.*part='val'"):
        lsp(data_root=str(folder), ann_file='ann.json', part='val')


@pytest.mark.parametrize('content', [b'', b'no picture at all', None])
def test_unreadable_picture_is_named(domain_pair, content):
    path = domain_pair['root'] / 'source' / 'images' / 'im00003.jpg'
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    dataset = DATASETS.build(domain_pair['source'])
    with pytest.raises(SampleError, match=r'LSPDataset sample 2 .*im00003\.jpg'):
        dataset[2]
    assert dataset[1] is not None


def test_keypoints_stay_on_their_pixels_through_the_pipeline(domain_pair):
    """A square painted at a joint is found where the packed sample says the joint is."""
    folder = domain_pair['root'] / 'source'
    raw = json.loads((folder / 'ann.json').read_text())
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[19:22, 29:32] = 255
    for image in raw['images']:
        cv2.imwrite(str(folder / 'images' / image['file_name']), picture)
    raw['annotations'][0]['keypoints'][:3] = [30, 20, 2]
    (folder / 'ann.json').write_text(json.dumps(raw))
    cfg = domain_pair['source']
    cfg['pipeline'][-1]['pack_transformed'] = True
    packed = DATASETS.build(cfg)[0]
    image = packed['inputs'].float().mean(0).numpy()
    ys, xs = np.nonzero(image > 128)
    joint = packed['data_samples'].gt_instances.transformed_keypoints[0, 0]
    np.testing.assert_allclose([xs.mean(), ys.mean()], joint, atol=0.5)
