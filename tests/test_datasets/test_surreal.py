import json
import random

import cv2
import numpy as np
import pytest

from mmposeda.datasets.images import SampleError
from mmposeda.datasets.surreal import SURREALDataset
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

# MPII's joints in SMPL-24 as the published code indexes SURREAL
COLLARS = [7, 4, 1, 2, 5, 8, 0, 9, 12, 15, 20, 18, 13, 14, 19, 21]
SHOULDERS = [7, 4, 1, 2, 5, 8, 0, 9, 12, 15, 20, 18, 16, 17, 19, 21]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Ten people a run; joint k of person n at (k, n) in a picture of 40 x 30."""
    root = tmp_path_factory.mktemp('surreal_processed')
    for split in ('train', 'val', 'test'):
        for run in range(3):
            (root / split / f'run{run}').mkdir(parents=True)
            entries = []
            for n in range(10):
                name = f'{run}_{n}.jpg'
                cv2.imwrite(str(root / split / f'run{run}' / name), np.full((30, 40, 3), 8 * n, np.uint8))
                points, camera = [[k, n] for k in range(24)], [[600, 0, 160], [0, 601, 120], [0, 0, 1]]
                space = [[k / 10, n / 10, 2.0] for k in range(24)]
                entries.append(dict(name=name, keypoint2d=points, keypoint3d=space, intrinsic_matrix=camera))
            (root / split / f'run{run}.json').write_text(json.dumps(entries))
    return root


@pytest.mark.parametrize('shoulder, joints', [('collar', COLLARS), ('shoulder', SHOULDERS)])
def test_joints_are_mpiis_in_both_conventions(root, shoulder, joints):
    dataset = SURREALDataset(data_root=str(root), split='val', shoulder=shoulder)
    info = dataset.get_data_info(13)
    assert info['img_path'].endswith('val/run1/1_3.jpg') and info['bbox'].tolist() == [[0, 0, 40, 30]]
    assert info['keypoints'][0].tolist() == [[k, 3] for k in joints]
    assert info['keypoints_visible'].tolist() == [[1] * 16]
    np.testing.assert_allclose(info['keypoints_3d_cam'][0, :, 0], np.array(joints) * 100.0)
    assert {key: value.tolist() for key, value in info['camera'].items()} == dict(f=[600, 601], c=[160, 120])
    assert Skeleton.from_metainfo(dataset.metainfo).same_joints(Skeleton.from_metainfo('mpii'))


def test_other_joint_sets_are_mapped_by_name(root):
    dataset = SURREALDataset(data_root=str(root), split='val', metainfo=dict(from_file=metainfo_path('lsp')))
    assert dataset.get_data_info(0)['keypoints'][0, :, 0].tolist() == [7, 4, 1, 2, 5, 8, 20, 18, 13, 14, 19, 21, 12, 15]


def test_reference_split_is_the_published_one(root):
    names = [f'run{run}/{run}_{n}.jpg' for run in range(3) for n in range(10)]
    random.seed(42)
    random.shuffle(names)

    def listed(split):
        dataset = SURREALDataset(data_root=str(root), split=split)
        return [dataset.get_data_info(i)['img_path'].split('/', len(root.parts))[-1] for i in range(len(dataset))]

    assert listed('reference') == [f'train/{name}' for name in names[6:]]
    assert listed('reference_test') == [f'test/{name}' for name in names[:6]]
    assert len(listed('train')) == 30


def test_runs_through_a_pipeline_with_unlabelled_target(root, domain_pair, top_down_pipeline):
    codec = domain_pair['codec']
    pipeline = top_down_pipeline(codec=codec, random=True)
    source = dict(type='SURREALDataset', data_root=str(root), pipeline=pipeline)
    target = dict(domain_pair['target'], metainfo=dict(from_file=metainfo_path('mpii')))
    parts = [source, dict(type='UnlabeledDataset', dataset=target)]
    dataset = DATASETS.build(dict(type='CombinedDataset', datasets=parts))
    assert dataset[0]['data_samples'].gt_fields.heatmaps.shape == (16, 16, 16)
    assert 'keypoints' not in dataset[24]['data_samples'].gt_instances


def test_bad_input_is_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'run0.json does not exist.*registration.*tllib'):
        SURREALDataset(data_root=str(tmp_path))
    with pytest.raises(ValueError, match="split='all', expected one of train"):
        SURREALDataset(data_root=str(root), split='all')
    with pytest.raises(ValueError, match="shoulder='smpl'"):
        SURREALDataset(data_root=str(root), shoulder='smpl')

    entry = json.loads((root / 'val' / 'run0.json').read_text())[0]
    (tmp_path / 'val' / 'run0').mkdir(parents=True)
    for run in range(3):
        (tmp_path / 'val' / f'run{run}.json').write_text(json.dumps([entry] if run == 0 else []))
    with pytest.raises(FileNotFoundError, match='picture .*0_0.jpg does not exist'):
        SURREALDataset(data_root=str(tmp_path), split='val')
    (tmp_path / 'val' / 'run0' / '0_0.jpg').write_text('no picture')
    with pytest.raises(SampleError, match='0_0.jpg'):
        SURREALDataset(data_root=str(tmp_path), split='val', pipeline=[dict(type='LoadImage')])[0]
    entry['keypoint2d'] = entry['keypoint2d'][:16]
    (tmp_path / 'val' / 'run0.json').write_text(json.dumps([entry]))
    with pytest.raises(ValueError, match=r'keypoint2d of shape \(16, 2\), but SURREAL has 24'):
        SURREALDataset(data_root=str(tmp_path), split='val')
