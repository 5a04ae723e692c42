import copy
import json
import random

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.images import SampleError, image_size
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import metainfo_path

META = dict(from_file=metainfo_path('lsp'))
CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)


def flat(value, prefix=''):
    """Leaves of a packed sample as (path, bytes or repr)."""
    if hasattr(value, 'all_items'):
        value = dict(value.all_items())
    if isinstance(value, dict):
        return [leaf for k in sorted(value) for leaf in flat(value[k], f'{prefix}/{k}')]
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return [(prefix, value.shape, str(value.dtype), value.tobytes())]
    return [(prefix, repr(value))]


def draw(cfg, seed=0):
    """All samples under a fixed seed."""
    dataset = DATASETS.build(copy.deepcopy(cfg))
    np.random.seed(seed)  # noqa: NPY002  (MMPose's transforms draw from the global generator)
    random.seed(seed)
    return [flat(dataset[i]) for i in range(len(dataset))]


def poison(path, how):
    raw = json.loads(path.read_text())
    rng = np.random.default_rng(3)
    for ann in raw['annotations']:
        keypoints = np.array(ann['keypoints']).reshape(-1, 3)
        if how == 'nan':
            keypoints[:] = np.nan
            ann.update(head_size=float('nan'), area=float('nan'), num_keypoints=0)
        elif how == 'shuffled':
            keypoints = rng.permutation(keypoints)
            keypoints[:, 2] = rng.integers(0, 3, 14)
        else:
            keypoints[:] = 0
            ann['num_keypoints'] = 0
        ann['keypoints'] = keypoints.ravel().tolist()
    path.write_text(json.dumps(raw))


@pytest.mark.parametrize('how', ['nan', 'shuffled', 'none'])
def test_poisoned_labels_change_nothing(tmp_path, write_people, top_down_pipeline, how):
    folder = write_people(tmp_path)
    pipeline = top_down_pipeline(random=True, codec=CODEC)
    inner = dict(
        type='LSPDataset',
        data_root=str(folder),
        ann_file='ann.json',
        data_prefix=dict(img='images/'),
        pipeline=pipeline,
    )
    cfg = dict(type='UnlabeledDataset', dataset=inner)
    clean, labelled = draw(cfg), draw(inner)
    poison(folder / 'ann.json', how)
    assert draw(cfg) == clean
    if how == 'nan':
        with pytest.raises(AnnotationError, match=r'annotation 1 of .*ann\.json has joint 0 at \[nan'):
            DATASETS.build(inner)
    else:
        assert draw(inner) != labelled


def test_only_picture_and_box_are_left(domain_pair):
    inner = {**domain_pair['target'], 'pipeline': domain_pair['source']['pipeline']}
    dataset = DATASETS.build(dict(type='UnlabeledDataset', dataset=inner))
    labelled = DATASETS.build(inner)
    assert len(dataset) == len(labelled) and dataset.metainfo['dataset_name'] == 'lsp'
    packed, reference = dataset[3], labelled[3]
    torch.testing.assert_close(packed['inputs'], reference['inputs'], rtol=0, atol=0)
    sample = packed['data_samples']
    assert sample.domain == 'target' and 'domain' not in reference['data_samples']
    assert sample.img_path == reference['data_samples'].img_path and sample.img_id == 4
    assert set(sample.gt_instances.keys()) == {'bboxes', 'bbox_scores', 'bbox_scales'}
    assert not sample.gt_instance_labels.keys() and 'gt_fields' not in sample
    assert not {'raw_ann_info', 'category_id', 'id'} & set(sample.metainfo)
    for key in ('input_size', 'input_center', 'input_scale'):
        np.testing.assert_array_equal(sample.metainfo[key], reference['data_samples'].metainfo[key])
    info = dataset.get_data_info(0)
    assert not info['keypoints'].any() and not info['keypoints_visible'].any() and 'raw_ann_info' not in info


def test_converters_and_other_encoders_run_without_labels(domain_pair, top_down_pipeline):
    load, box, *affine, _ = top_down_pipeline()
    pipeline = [
        load,
        box,
        dict(type='RandomHalfBody', prob=1.0),
        *affine,
        dict(type='KeypointConverter', num_keypoints=16, mapping=[(i, i) for i in range(14)]),
        dict(type='GenerateTarget', encoder=dict(type='SimCCLabel', input_size=(64, 64), smoothing_type='gaussian')),
        dict(type='PackPoseInputs'),
    ]
    dataset = DATASETS.build(dict(type='UnlabeledDataset', dataset={**domain_pair['target'], 'pipeline': pipeline}))
    assert not dataset[0]['data_samples'].gt_instance_labels.keys()


def test_wrapping_what_cannot_be_wrapped_is_refused(domain_pair):
    with pytest.raises(TypeError, match='wrap each of its data sets'):
        DATASETS.build(dict(type='UnlabeledDataset', dataset=domain_pair['joined']))
    source = DATASETS.build(domain_pair['source'])
    with pytest.raises(TypeError, match='ConcatDataset'):
        DATASETS.build(dict(type='UnlabeledDataset', dataset=ConcatDataset([source, source])))
    with pytest.raises(TypeError, match='empty pipeline'):
        DATASETS.build(dict(type='UnlabeledDataset', dataset={**domain_pair['target'], 'pipeline': []}))
    unpacked = DATASETS.build(
        dict(type='UnlabeledDataset', dataset={**domain_pair['target'], 'pipeline': [dict(type='LoadImage')]})
    )
    with pytest.raises(TypeError, match='must end in PackPoseInputs'):
        unpacked[0]


def test_unreadable_target_picture_is_named(domain_pair):
    (domain_pair['root'] / 'target' / 'images' / 'im00002.jpg').write_bytes(b'junk')
    dataset = DATASETS.build(dict(type='UnlabeledDataset', dataset=domain_pair['target']))
    with pytest.raises(SampleError, match=r'im00002\.jpg'):
        dataset[1]


@pytest.fixture
def folder_dataset(top_down_pipeline):
    def build(root, **kwargs):
        cfg = dict(type='UnlabeledImageDataset', metainfo=META, data_prefix=dict(img=str(root)))
        return DATASETS.build({**cfg, 'pipeline': top_down_pipeline(), **kwargs})

    return build


@pytest.fixture
def pictures(tmp_path):
    for i, name in enumerate(('b.jpg', 'a.png', 'deep/er/c.JPG')):
        path = tmp_path / 'pictures' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((20 + i, 30, 3), 50 * i, np.uint8))
    (tmp_path / 'pictures' / 'notes.txt').write_text('no picture')
    return tmp_path / 'pictures'


def test_folder_of_pictures(pictures, folder_dataset):
    dataset = folder_dataset(pictures)
    assert len(dataset) == 3
    packed = dataset[2]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (3, 64, 64) and sample.domain == 'target'
    assert sample.img_path.endswith('deep/er/c.JPG') and sample.gt_instances.bboxes.tolist() == [[0, 0, 30, 22]]
    assert sample.flip_indices[:2] == [5, 4] and 'keypoints' not in sample.gt_instances
    wrapped = DATASETS.build(dict(type='UnlabeledDataset', dataset=dataset))
    assert flat(wrapped[2]) == flat(packed)


def test_folder_with_boxes_or_a_list(pictures, folder_dataset, tmp_path):
    (tmp_path / 'boxes.json').write_text(json.dumps({'a.png': [[1, 2, 10, 12, 0.5], [0, 0, 5, 5]]}))
    dataset = folder_dataset(pictures, ann_file=str(tmp_path / 'boxes.json'))
    assert len(dataset) == 2
    instances = dataset[0]['data_samples'].gt_instances
    assert instances.bboxes.tolist() == [[1, 2, 11, 14]] and instances.bbox_scores.tolist() == [0.5]
    (tmp_path / 'list.txt').write_text('b.jpg\n\ndeep/er/c.JPG 1 2 3 4\n')
    dataset = folder_dataset(pictures, ann_file=str(tmp_path / 'list.txt'))
    boxes = [dataset[i]['data_samples'].gt_instances.bboxes.tolist() for i in range(2)]
    assert boxes == [[[0, 0, 30, 20]], [[1, 2, 4, 6]]]
    coco = dict(images=[dict(id=7, file_name='b.jpg')], annotations=[dict(image_id=7, bbox=[0, 1, 2, 3])])
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    dataset = folder_dataset(pictures, ann_file=str(tmp_path / 'coco.json'))
    assert dataset[0]['data_samples'].gt_instances.bboxes.tolist() == [[0, 1, 2, 4]]


def test_folder_errors(pictures, folder_dataset, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=r'no picture in .*empty.*\.jpg'):
        folder_dataset(tmp_path / 'empty')
    with pytest.raises(FileNotFoundError, match='nowhere does not exist.*data_root'):
        folder_dataset(tmp_path / 'nowhere')
    (tmp_path / 'list.txt').write_text('gone.jpg')
    with pytest.raises(FileNotFoundError, match=r'gone\.jpg, named in .*list\.txt'):
        folder_dataset(pictures, ann_file=str(tmp_path / 'list.txt'))
    with pytest.raises(FileNotFoundError, match='list of pictures'):
        folder_dataset(pictures, ann_file=str(tmp_path / 'no.txt'))
    (tmp_path / 'boxes.json').write_text(json.dumps({'a.png': [[1, 2, 0, 12]]}))
    with pytest.raises(ValueError, match=r'box .* of a\.png'):
        folder_dataset(pictures, ann_file=str(tmp_path / 'boxes.json'))
    (pictures / 'a.png').write_bytes(b'junk')
    with pytest.raises(SampleError, match=r'a\.png cannot be read'):
        folder_dataset(pictures)[0]
    with pytest.raises(ValueError, match='joint set'):
        folder_dataset(pictures, metainfo={})


def test_image_size_is_that_of_the_decoded_picture(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (40, 20)).save(tmp_path / 'turned.jpg', exif=exif)
    height, width = cv2.imread(str(tmp_path / 'turned.jpg')).shape[:2]
    assert image_size(tmp_path / 'turned.jpg') == (width, height) == (20, 40)
