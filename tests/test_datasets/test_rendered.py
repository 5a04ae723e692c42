import json

import numpy as np
import pytest

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.rendered import RenderedDataset
from mmposeda.datasets.unlabeled import UnlabeledDataset
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton


@pytest.fixture
def rendered(tmp_path):
    """Return a function that writes a set of so many pictures, its entries changed by another function."""

    def write(num=3, joints='lsp', change=lambda content: None, sequence=0):
        rng = np.random.default_rng(0)
        names = Skeleton.from_metainfo(joints).joint_names
        (tmp_path / 'images').mkdir(exist_ok=True)
        (tmp_path / 'annotations').mkdir(exist_ok=True)
        entries = []
        for i in range(num):
            (tmp_path / 'images' / f'{i}.jpg').write_bytes(b'')
            space = rng.uniform(-400, 400, (len(names), 3)) + [0, 0, 3000]
            points = np.concatenate([space[:, :2] / space[:, 2:] * 200 + 64, np.full((len(names), 1), 2.0)], 1)
            points[0] = 0
            entry = dict(id=i + 1, image_id=i, keypoints=points.ravel().tolist(), joints_3d=space.tolist())
            entry.update(bbox=[10.0, 20.0, 30.0, 40.0], camera=dict(f=[200.0, 200.0], c=[64.0, 64.0]))
            if sequence:
                entry.update(sequence_id=i // sequence, frame=i % sequence)
            entries.append(entry)
        content = dict(
            info=dict(settings=dict(joints=joints)),
            images=[dict(id=i, file_name=f'{i}.jpg', width=128, height=128) for i in range(num)],
            annotations=entries,
            categories=[dict(id=1, keypoints=list(names))],
        )
        change(content)
        (tmp_path / 'annotations' / 'people.json').write_text(json.dumps(content))
        return str(tmp_path)

    return write


def build(root, **kwargs):
    return DATASETS.build(dict(type='RenderedDataset', data_root=root, bbox='ann', **kwargs))


def test_gives_labels_in_both_spaces_that_agree(rendered):
    root = rendered()
    info = build(root).get_data_info(1)
    assert info['keypoints'].shape == (1, 14, 2) and info['keypoints_3d_cam'].shape == (1, 14, 3)
    space, camera = info['keypoints_3d_cam'][0], info['camera']
    seen = space[:, :2] / space[:, 2:] * camera['f'] + camera['c']
    np.testing.assert_allclose(info['keypoints'][0, 1:], seen[1:], rtol=1e-4)
    assert info['keypoints_visible'][0].tolist() == [0] + [1] * 13
    assert info['bbox'].tolist() == [[10, 20, 40, 60]]


def test_maps_joints_by_name_in_both_spaces(rendered):
    root = rendered(joints='mpii')
    native, lsp = (Skeleton.from_metainfo(name).joint_names for name in ('mpii', 'lsp'))
    whole, part = build(root, joints='mpii').get_data_info(0), build(root, joints='lsp').get_data_info(0)
    order = [native.index(name) for name in lsp[:12]]
    for key in ('keypoints', 'keypoints_3d_cam'):
        np.testing.assert_array_equal(part[key][0, :12], whole[key][0, order])


def test_tells_sequences_and_gives_pairs(rendered):
    root = rendered(6, sequence=3)
    steps = [dict(type='LoadImage'), dict(type='PackPoseInputs')]
    pairs = DATASETS.build(
        dict(
            type='PairSequenceDataset',
            dataset=dict(type='RenderedDataset', data_root=root, pipeline=steps),
            sequence='fields',
            gap=(1, 2),
        )
    )
    assert [pairs.partners(i) for i in range(6)] == [[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]]
    assert 'sequence_id' not in build(rendered(2)).get_data_info(0)


def test_as_target_no_label_is_looked_at(rendered):
    def spoil(content):
        for entry in content['annotations']:
            entry.update(keypoints=[float('nan')] * 42, joints_3d=None)

    with pytest.raises(AnnotationError, match='keypoints of annotation 1'):
        build(rendered(change=spoil))
    steps = [dict(type='LoadImage'), dict(type='PackPoseInputs')]
    root = rendered(change=spoil)
    target = UnlabeledDataset(dict(type='RenderedDataset', data_root=root, bbox='ann', pipeline=steps))
    assert len(target) == 3 and 'keypoints_3d_cam' not in target.get_data_info(0)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda c: c.pop('info'), "no file of rendered figures \\(KeyError\\('info'\\)\\): write it with tools/render"),
        (lambda c: c['annotations'][1].update(image_id=9), 'no file of rendered figures'),
        (
            lambda c: c['categories'][0].update(keypoints=['nose']),
            'names 1 others: render it again',
        ),
        (lambda c: c['annotations'][2].update(joints_3d=[[0, 0, 0]]), r'joints_3d of annotation 3 .* shape \(1, 3\)'),
        (lambda c: c['annotations'][0].pop('camera'), 'camera of annotation 1 .* is missing'),
        (lambda c: c['annotations'][0]['camera'].update(f=[1.0]), 'f of camera of annotation 1'),
        (lambda c: c['images'][0].update(file_name='../../secret.jpg'), 'secret'),
    ],
)
def test_unusable_files_are_named(rendered, change, message):
    with pytest.raises(AnnotationError, match=message):
        build(rendered(change=change))


def test_missing_file_and_empty_set(rendered, tmp_path):
    with pytest.raises(FileNotFoundError, match='Render it first: python tools/render_people.py'):
        build(str(tmp_path / 'nowhere'))
    with pytest.raises(ValueError, match='names no picture'):
        build(rendered(0))
    with pytest.raises(ValueError, match="bbox='hull'"):
        RenderedDataset(bbox='hull')
