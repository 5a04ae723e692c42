import json
import random
import shutil

import numpy as np
import pytest
from miniatures import write_h3d, write_rhd

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.hand_3d_studio import Hand3DStudioDataset
from mmposeda.datasets.images import SampleError
from mmposeda.registry import DATA_SAMPLERS, DATASETS
from mmposeda.structures.skeleton import Skeleton, metainfo_path


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_h3d(tmp_path_factory.mktemp('H3D_crop'))


@pytest.fixture
def raw(root):
    return json.loads((root / 'annotation.json').read_text())


def names(root, **kwargs):
    dataset = Hand3DStudioDataset(data_root=str(root), **kwargs)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return ['/'.join(info['img_path'].split('/')[-2:]) for info in infos]


def test_joints_and_box_are_those_of_the_file(root, raw):
    dataset = Hand3DStudioDataset(data_root=str(root), split='all', objects='all')
    assert Skeleton.from_metainfo(dataset.metainfo).same_joints(Skeleton.from_metainfo('hand21'))
    info = dataset.get_data_info(7)
    assert info['img_path'].endswith('part3/7.jpg') and info['bbox'].tolist() == [[0, 0, 50, 50]] and info['id'] == 7
    np.testing.assert_allclose(info['keypoints'][0], raw[7]['keypoint2d'], rtol=1e-6)
    assert info['keypoints_visible'].tolist() == [[1] * 21]


def test_reference_split_is_the_published_one(root, raw):
    bare = [entry['name'] for entry in raw if entry['without_object']]
    random.seed(42)
    random.shuffle(bare)
    assert names(root) == bare[8:]
    assert names(root, split='reference_test') == bare[:8]  # 20 % of 40


def test_objects_choose_hands(root, raw):
    chosen = {kind: names(root, split='all', objects=kind) for kind in ('without', 'with', 'all')}
    assert chosen['all'] == [entry['name'] for entry in raw]
    assert chosen['without'] == [entry['name'] for entry in raw if entry['without_object']]
    assert sorted(chosen['without'] + chosen['with']) == sorted(chosen['all'])


def test_own_split_keeps_folders_together(root):
    train, test = (names(root, split=split, test_parts=['part2', 'part4/']) for split in ('train', 'test'))
    assert {name[:5] for name in test} == {'part2', 'part4'}
    assert {name[:5] for name in train} == {'part1', 'part3', 'part5'}
    assert sorted(train + test) == sorted(names(root, split='all'))
    assert {name[:5] for name in names(root, split='test')} == {'part5'}
    with pytest.raises(ValueError, match=r"is in the test part part6/; folders are \['part1', 'part2'"):
        names(root, split='test', test_parts=['part6'])


def test_ids_are_places_in_the_file_whatever_the_split(root):
    for kwargs in (dict(), dict(split='test'), dict(objects='with', split='all')):
        dataset = Hand3DStudioDataset(data_root=str(root), **kwargs)
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        assert all(info['img_path'].endswith(f'/{info["id"]}.jpg') for info in infos)


def test_runs_beside_rhd(root, tmp_path, top_down_pipeline):
    codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
    source = dict(type='RHDHandsDataset', data_root=str(write_rhd(tmp_path)), pipeline=top_down_pipeline(codec=codec))
    target = dict(type='Hand3DStudioDataset', data_root=str(root), pipeline=top_down_pipeline())
    parts = [source, dict(type='UnlabeledDataset', dataset=target)]
    dataset = DATASETS.build(dict(type='CombinedDataset', datasets=parts))
    sampler = iter(DATA_SAMPLERS.build(dict(type='DomainSampler', dataset=dataset, quotas=[1, 1], seed=0)))
    first, second = dataset[next(sampler)], dataset[next(sampler)]
    assert first['data_samples'].gt_fields.heatmaps.shape == (21, 16, 16)
    assert 'keypoints' not in second['data_samples'].gt_instances


def test_labels_do_not_decide_what_an_unlabelled_target_holds(root, raw, tmp_path, top_down_pipeline):
    shutil.copytree(root, tmp_path / 'poisoned')
    for entry in raw:
        entry['keypoint2d'] = None
    (tmp_path / 'poisoned' / 'annotation.json').write_text(json.dumps(raw))
    sets = []
    for folder in (root, tmp_path / 'poisoned'):
        part = dict(type='Hand3DStudioDataset', data_root=str(folder), pipeline=top_down_pipeline())
        sets.append(DATASETS.build(dict(type='UnlabeledDataset', dataset=part)))
    assert len(sets[0]) == len(sets[1])
    assert (sets[0][3]['inputs'] == sets[1][3]['inputs']).all()
    with pytest.raises(AnnotationError, match='keypoint2d of part'):
        Hand3DStudioDataset(data_root=str(tmp_path / 'poisoned'))


def test_another_joint_set_is_mapped_by_name(root):
    own = Hand3DStudioDataset(data_root=str(root)).get_data_info(0)
    rhd = Hand3DStudioDataset(data_root=str(root), metainfo=dict(from_file=metainfo_path('rhd2d'))).get_data_info(0)
    order = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]
    np.testing.assert_array_equal(rhd['keypoints'], own['keypoints'][:, order])
    with pytest.raises(ValueError, match='share no joint'):
        Hand3DStudioDataset(data_root=str(root), metainfo=dict(from_file=metainfo_path('lsp')))


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda e: e.update(keypoint2d=e['keypoint2d'][:14]), r'keypoint2d of part1/0.jpg .*\(14, 2\), expected'),
        (lambda e: e.update(keypoint2d=[[float('nan'), 1]] * 21), 'keypoint2d of part1/0.jpg .*NaN'),
        (lambda e: e.update(keypoint2d='left'), 'keypoint2d of part1/0.jpg .*no numbers'),
        (lambda e: e.update(without_object='yes'), 'no file of Hand-3D-Studio'),
        (lambda e: e.pop('name'), 'no file of Hand-3D-Studio'),
        (lambda e: e.update(name='../secret.jpg'), 'outside the data folder'),
    ],
    ids=['count', 'nan', 'text', 'object', 'name', 'outside'],
)
def test_bad_entries_are_named(root, raw, tmp_path, change, message):
    change(raw[0])
    (tmp_path / 'annotation.json').write_text(json.dumps(raw))
    for part in range(1, 6):
        (tmp_path / f'part{part}').symlink_to(root / f'part{part}')
    with pytest.raises(AnnotationError, match=message):
        Hand3DStudioDataset(data_root=str(tmp_path), split='all', objects='all')


def test_missing_files_and_wrong_arguments(root, tmp_path):
    with pytest.raises(FileNotFoundError, match='annotation.json does not exist.*H3D_crop.tar'):
        Hand3DStudioDataset(data_root=str(tmp_path))
    with pytest.raises(ValueError, match="split='val', expected one of train"):
        Hand3DStudioDataset(data_root=str(root), split='val')
    with pytest.raises(ValueError, match="objects='none'"):
        Hand3DStudioDataset(data_root=str(root), objects='none')
    (tmp_path / 'annotation.json').write_text('[]')
    with pytest.raises(ValueError, match='no hand in'):
        Hand3DStudioDataset(data_root=str(tmp_path))
    (tmp_path / 'annotation.json').write_text('{"images": []}')
    with pytest.raises(AnnotationError, match='no file of Hand-3D-Studio'):
        Hand3DStudioDataset(data_root=str(tmp_path))
    entry = dict(name='part1/0.jpg', keypoint2d=[[1, 1]] * 21, without_object=1)
    (tmp_path / 'annotation.json').write_text(json.dumps([entry]))
    with pytest.raises(FileNotFoundError, match='picture .*part1/0.jpg does not exist'):
        Hand3DStudioDataset(data_root=str(tmp_path), split='all')
    (tmp_path / 'part1').mkdir()
    (tmp_path / 'part1' / '0.jpg').write_text('no picture')
    with pytest.raises(SampleError, match='0.jpg'):
        Hand3DStudioDataset(data_root=str(tmp_path), split='all', pipeline=[dict(type='LoadImage')])[0]
