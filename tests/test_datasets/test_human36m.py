import random

import numpy as np
import pytest
from miniatures import write_h36m

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.human36m import SHAPES, Human36m2DDataset
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

# MPII's joints in Human3.6M's 17, as the published code indexes them; there, 7 is then the middle of 12 and 13
PUBLISHED = [3, 2, 1, 4, 5, 6, 0, 11, 8, 10, 16, 15, 14, 11, 12, 13]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_h36m(tmp_path_factory.mktemp('h36m'), pictures=2)


def test_joints_are_mpiis_in_the_published_order(root):
    dataset = Human36m2DDataset(data_root=str(root))
    with np.load(root / 'annotation_body3d' / 'fps10' / 'h36m_train.npz') as raw:
        part = raw['part'][..., :2]
    assert len(dataset) == 40
    assert Skeleton.from_metainfo(dataset.metainfo).same_joints(Skeleton.from_metainfo('mpii'))
    for row in (0, 17, 39):
        info = dataset.get_data_info(row)
        wanted = part[row][PUBLISHED]
        wanted[7] = (wanted[12] + wanted[13]) / 2
        np.testing.assert_allclose(info['keypoints'][0], wanted, rtol=1e-6)
        assert info['keypoints_visible'].tolist() == [[1] * 16] and info['id'] == row


def test_boxes_are_squares_of_one_and_a_half_people_inside_the_picture(root):
    dataset = Human36m2DDataset(data_root=str(root), split='test')
    with np.load(root / 'annotation_body3d' / 'fps10' / 'h36m_test.npz') as raw:
        joints = raw['part'][..., :2]
    for row in range(40):
        box = dataset.get_data_info(row)['bbox'][0]
        low, high = joints[row].min(0), joints[row].max(0)
        side = min(round(1.5 * (high - low).max()), 1000)
        corner = [min(max(round(c - side / 2), 0), 1000 - side) for c in (low + high) / 2]
        assert box.tolist() == [*corner, corner[0] + side, corner[1] + side]


def test_subjects_are_split_and_the_reference_test_has_no_frame_twice(tmp_path):
    root = write_h36m(tmp_path, count=3300, pictures=1)
    with np.load(root / 'annotation_body3d' / 'fps10' / 'h36m_test.npz') as raw:
        for name in raw['imgname'][:9]:  # the first one drawn is among them
            (root / 'images' / str(name)).touch()
    infos = {}
    for split in ('train', 'test', 'reference_test'):
        infos[split] = Human36m2DDataset(data_root=str(root), split=split).load_data_list()
    for split, subjects in (('train', {'S1', 'S5'}), ('test', {'S9', 'S11'})):
        assert len(infos[split]) == 3300
        assert {info['img_path'].split('/images/')[1].split('/')[0] for info in infos[split]} == subjects
    drawn = sorted(random.Random(42).sample(range(3300), 3200))
    assert [info['id'] for info in infos['reference_test']] == drawn and len(set(drawn)) == 3200
    assert [info['img_path'] for info in infos['reference_test']] == [infos['test'][n]['img_path'] for n in drawn]


def test_runs_through_a_pipeline_as_unlabelled_target(root, top_down_pipeline):
    part = dict(type='Human36m2DDataset', data_root=str(root), pipeline=top_down_pipeline())
    dataset = DATASETS.build(dict(type='UnlabeledDataset', dataset=part))
    sample = dataset[1]
    assert sample['inputs'].shape == (3, 64, 64) and 'keypoints' not in sample['data_samples'].gt_instances


def test_labels_do_not_reach_an_unlabelled_target(root, tmp_path, top_down_pipeline):
    (tmp_path / 'annotation_body3d' / 'fps10').mkdir(parents=True)
    (tmp_path / 'images').symlink_to(root / 'images')
    with np.load(root / 'annotation_body3d' / 'fps10' / 'h36m_train.npz') as raw:
        poisoned = {**raw, 'part': np.full_like(raw['part'], np.nan)}
    np.savez(tmp_path / 'annotation_body3d' / 'fps10' / 'h36m_train.npz', **poisoned)
    samples = []
    for folder in (root, tmp_path):
        part = dict(type='Human36m2DDataset', data_root=str(folder), pipeline=top_down_pipeline())
        samples.append(DATASETS.build(dict(type='UnlabeledDataset', dataset=part))[0])
    assert (samples[0]['inputs'] == samples[1]['inputs']).all()
    with pytest.raises(AnnotationError, match='frame 0 of .*h36m_train.npz, S1/.* has NaN'):
        Human36m2DDataset(data_root=str(tmp_path))


def test_another_joint_set_is_mapped_by_name(root):
    info = Human36m2DDataset(data_root=str(root), metainfo=dict(from_file=metainfo_path('lsp'))).get_data_info(0)
    mpii = Human36m2DDataset(data_root=str(root)).get_data_info(0)
    np.testing.assert_allclose(
        info['keypoints'][0], mpii['keypoints'][0, [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9]]
    )


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(part=np.ones((4, 16, 3))), r'part of float64, \(4, 16, 3\), but numbers of shape \(4, 17, 3\)'),
        (dict(scale=np.ones(3)), 'scale of'),
        (dict(scale=np.zeros(4)), 'frame 0 .*NaN'),
        (dict(center=np.full((4, 2), np.inf)), 'frame 0 .*NaN'),
        (dict(imgname=np.arange(4)), 'imgname of int64.*text'),
        (dict(imgname=np.array(['../../a.jpg'] * 4)), 'outside the data folder'),
        (dict(part=None), 'no .*part'),
        (dict(imgname=np.array([{}] * 4)), 'h36m_train.npz'),
        (
            {key: np.empty((0, *shape), 'U1' if key == 'imgname' else float) for key, shape in SHAPES.items()},
            'no frame',
        ),
    ],
    ids=['joints', 'count', 'scale', 'inf', 'names', 'outside', 'key', 'objects', 'empty'],
)
def test_bad_files_are_named(tmp_path, change, message):
    good = dict(
        imgname=np.array([f'S1/{n}.jpg' for n in range(4)]),
        center=np.full((4, 2), 500.0),
        scale=np.ones(4),
        part=np.ones((4, 17, 3)),
    )
    (tmp_path / 'annotation_body3d' / 'fps10').mkdir(parents=True)
    arrays = {key: value for key, value in {**good, **change}.items() if value is not None}
    np.savez(tmp_path / 'annotation_body3d' / 'fps10' / 'h36m_train.npz', **arrays)
    with pytest.raises(AnnotationError, match=message):
        Human36m2DDataset(data_root=str(tmp_path))


def test_missing_files_say_how_they_are_made(root, tmp_path):
    with pytest.raises(FileNotFoundError, match='h36m_train.npz does not exist.*preprocess_h36m.py'):
        Human36m2DDataset(data_root=str(tmp_path))
    with pytest.raises(ValueError, match="split='val', expected one of train, test, reference_test"):
        Human36m2DDataset(data_root=str(root), split='val')
    (tmp_path / 'annotation_body3d').symlink_to(root / 'annotation_body3d')
    with pytest.raises(FileNotFoundError, match='picture .*000001.jpg does not exist'):
        Human36m2DDataset(data_root=str(tmp_path))
