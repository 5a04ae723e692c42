"""Faults by name: how each is planted in a run without one, and what the command must say of it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from fault_runs import QUICK, config, each, edit, faces, hands, pipeline, swap

SOURCE, TRAIN, TEST = 'source/annotations/people.json', 'target/annotations/train.json', 'target/annotations/test.json'
FACES, HANDS = 'faces/annotations/people.json', 'hands/annotations/hands.json'


class Fault(NamedTuple):
    """A planted fault.

    Attributes:
        plant (Callable): Changes the files below ``data``, and the config.
        says (tuple[str, ...]): What its finding holds.
        level (str): Of the finding.
        block (str): Where it stands.
        config (Callable): The run.
    """

    plant: Callable[[dict], None]
    says: tuple
    level: str = 'error'
    block: str = 'train 0'
    config: Callable[[], dict] = config


def picture(number: int, folder: str = 'source') -> Path:
    return Path('data') / folder / 'images' / f'{number:06d}.jpg'


def parts(cfg: dict) -> list:
    return cfg['train_dataloader']['dataset']['datasets']


def head(cfg: dict) -> dict:
    return cfg['model']['estimator']['head']


def set_joint(annotation: dict, joint: int, x: float, y: float, visible: int = 2) -> None:
    annotation['keypoints'][3 * joint : 3 * joint + 3] = [x, y, visible]


def no_root(cfg):
    shutil.rmtree('data/source')


def no_file(cfg):
    Path('data', TRAIN).unlink()


def cut_file(cfg):
    path = Path('data', SOURCE)
    path.write_text(path.read_text()[:-500])


def foreign_file(cfg):
    Path('data', TRAIN).write_text(json.dumps(dict(pictures=[])))


def empty_file(cfg):
    edit(TRAIN, lambda content: content.update(annotations=[]))


def no_pictures(cfg):
    for number in (1, 5, 9):
        picture(number).unlink()


def other_ending(cfg):
    for path in Path('data/source/images').iterdir():
        path.rename(path.with_suffix('.JPG'))


def folder_level(cfg):
    inside = Path('data/target/images/all')
    inside.mkdir()
    for path in Path('data/target/images').glob('*.jpg'):
        path.rename(inside / path.name)


def cut_picture(cfg):
    content = picture(7).read_bytes()
    picture(7).write_bytes(content[: len(content) // 2])


def empty_picture(cfg):
    picture(103, 'target').write_bytes(b'')


def one_colour(cfg):
    cv2.imwrite(str(picture(4)), np.zeros((120, 160, 3), np.uint8))


def half_size(cfg):
    for number in range(1, 25):
        cv2.imwrite(str(picture(number)), cv2.resize(cv2.imread(str(picture(number))), (80, 60)))


def labels_of_larger(cfg):
    def larger(annotation):
        annotation['keypoints'] = [2 * v if n % 3 < 2 else v for n, v in enumerate(annotation['keypoints'])]

    each(TEST, larger)


def more_joints(cfg):
    each(FACES, lambda annotation: annotation['keypoints'].extend([10, 10, 2]), slice(3, 5))


def nan_joint(cfg):
    each(FACES, lambda annotation: set_joint(annotation, 3, math.nan, 10), slice(5, 6))


def nan_space(cfg):
    each(HANDS, lambda annotation: annotation['joints_3d'][4].__setitem__(0, math.inf), slice(5, 6))


def nobody(cfg):
    each(TEST, lambda annotation: annotation.update(keypoints=[0] * 42), slice(2, 4))


def never(cfg):
    each(FACES, lambda annotation: set_joint(annotation, 9, 0, 0, 0))


def thin_box(cfg):
    each(SOURCE, lambda annotation: annotation.update(bbox=[10, 10, 0, 30]), slice(6, 7))


def far_box(cfg):
    each(SOURCE, lambda annotation: annotation.update(bbox=[500, 10, 40, 30]), slice(6, 8))


def swapped_shoulders(cfg):
    swap(TEST, ('left_shoulder', 'right_shoulder'))


def swapped_ankles(cfg):
    swap(SOURCE, ('left_ankle', 'right_ankle'))


def swapped_bodies(cfg):
    names = ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
    swap(SOURCE, *((f'left_{name}', f'right_{name}') for name in names))


def swapped_faces(cfg):
    names = ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
    swap(FACES, *((f'left_{name}', f'right_{name}') for name in names), keys=('keypoints',))


def turned_fingers(cfg):
    for finger in ('forefinger', 'middle_finger', 'ring_finger', 'pinky_finger'):
        swap(HANDS, (f'{finger}1', f'{finger}4'), (f'{finger}2', f'{finger}3'))


def metres(path):
    def plant(cfg):
        each(path, lambda a: a.update(joints_3d=[[v / 1000 for v in joint] for joint in a['joints_3d']]))

    return plant


def other_camera(cfg):
    each(HANDS, lambda annotation: annotation.update(camera=dict(f=[250, 250], c=[120, 60])), slice(0, 8))


def behind(cfg):
    each(HANDS, lambda a: a.update(joints_3d=[[-x, -y, -z] for x, y, z in a['joints_3d']]), slice(0, 6))


def test_in_training(cfg):
    parts(cfg)[1]['dataset']['ann_file'] = 'annotations/test.json'


def labelled_test(cfg):
    parts(cfg)[1] = dict(cfg['val_dataloader']['dataset'], pipeline=pipeline())


def twice(cfg):
    def more(content):
        content['annotations'] += [dict(entry, id=900 + entry['id']) for entry in content['annotations'][:2]]

    edit(TEST, more)


def no_wrapper(cfg):
    parts(cfg)[1] = dict(parts(cfg)[1]['dataset'], pipeline=pipeline())


def hands_as_target(cfg):
    parts(cfg)[1]['dataset'] = dict(
        type='RenderedDataset',
        data_root='data/hands/',
        ann_file='annotations/hands.json',
        joints='hand21',
        pipeline=pipeline(False),
        **QUICK,
    )


def other_order(cfg):
    parts(cfg)[1]['dataset']['metainfo'] = dict(from_file='mpii.py')
    from mmposeda.structures.skeleton import metainfo_path

    parts(cfg)[1]['dataset']['metainfo'] = dict(from_file=metainfo_path('mpii'))


def other_head(cfg):
    head(cfg)['out_channels'] = 17


def other_codec(cfg):
    head(cfg)['decoder'] = dict(head(cfg)['decoder'], input_size=(96, 96))


def other_cut(cfg):
    parts(cfg)[0]['pipeline'][2]['input_size'] = (96, 96)


def no_weights(cfg):
    cfg['load_from'] = 'data/none.pth'


def cut_weights(cfg):
    torch.save(dict(state_dict=dict(w=torch.zeros(1000))), 'data/cut.pth')
    Path('data/cut.pth').write_bytes(Path('data/cut.pth').read_bytes()[:1000])
    cfg['model']['estimator']['backbone']['init_cfg'] = dict(type='Pretrained', checkpoint='data/cut.pth')


def other_weights(cfg):
    torch.save(dict(w=torch.zeros(3)), 'data/resnet18-00000000.pth')
    cfg['model']['style'] = dict(type='AdaINStyleNet', encoder_weights='data/resnet18-00000000.pth')


def three_quotas(cfg):
    cfg['train_dataloader']['sampler']['quotas'] = [4, 4, 4]


def other_batch(cfg):
    cfg['train_dataloader']['batch_size'] = 16


def large_quota(cfg):
    cfg['train_dataloader'].update(batch_size=44, sampler=dict(type='DomainSampler', quotas=[4, 40]))


def large_batch(cfg):
    cfg['train_dataloader'].update(batch_size=32, drop_last=True)


def bad_step(cfg):
    cfg['val_dataloader']['dataset']['pipeline'].insert(1, dict(type='GenerateTarget', encoder=dict(type='Nothing')))


FAULTS = dict(
    missing_root=Fault(no_root, ('data/source/annotations/people.json does not exist', 'tools/render_people.py')),
    missing_file=Fault(no_file, ('data/target/annotations/train.json does not exist', 'lsp.html'), block='train 1'),
    truncated_file=Fault(cut_file, ('data/source/annotations/people.json is no JSON file',)),
    foreign_file=Fault(foreign_file, ("expected lists 'images' and 'annotations'",), block='train 1'),
    no_samples=Fault(empty_file, ('no person in data/target/annotations/train.json',), block='train 1'),
    missing_pictures=Fault(no_pictures, ('3 of 24 pictures are missing', 'images/000001.jpg, ', '000009.jpg')),
    other_ending=Fault(other_ending, ('24 of 24 pictures are missing', 'There is data/source/images/000001.JPG')),
    folder_level=Fault(folder_level, ('24 of 24', 'images/all/000101.jpg', 'a folder deeper'), block='train 1'),
    truncated_picture=Fault(cut_picture, ('1 of 24', 'damaged or cut short', 'data/source/images/000007.jpg')),
    empty_picture=Fault(empty_picture, ('damaged or cut short', '000103.jpg'), block='train 1'),
    blank_picture=Fault(one_colour, ('1 of 24', 'all of one colour', '000004.jpg'), 'warning'),
    other_size=Fault(half_size, ('24 of 24 pictures are of another size', '80 x 60', '160 x 120', '000001.jpg')),
    labels_outside=Fault(
        labels_of_larger, ('many joints outside of their picture', 'annotation 201', '000201.jpg'), block='val 0'
    ),
    joint_count=Fault(more_joints, ('2 of 24 samples have 18 joints', "'coco' has 17", '000304.jpg'), config=faces),
    nan_joint=Fault(nan_joint, ('annotation 306', 'finite numbers'), config=faces),
    infinite_space=Fault(nan_space, ('joints_3d of annotation 6', 'infinite'), config=hands),
    nobody=Fault(nobody, ('2 of 24 samples have no visible joint', '000203.jpg'), 'warning', 'val 0'),
    never_visible=Fault(never, ('shows left_wrist',), 'warning', config=faces),
    thin_box=Fault(thin_box, ('1 of 24 boxes have a side below 2', '000007.jpg')),
    far_box=Fault(far_box, ('2 of 24 boxes have no pixel inside', '000007.jpg', '(500, 10, 540, 40)')),
    swapped_shoulders=Fault(swapped_shoulders, ('left and right of the shoulders contradict the hips',), block='val 0'),
    swapped_ankles=Fault(swapped_ankles, ('left and right of the ankles contradict the shoulders and hips',)),
    swapped_bodies=Fault(swapped_bodies, ('whole bodies', 'knees and feet bend and point backwards')),
    swapped_faces=Fault(swapped_faces, ('left and right of faces are swapped', '100% of 24'), config=faces),
    turned_fingers=Fault(turned_fingers, ('from the tip to the palm', 'forefinger1 to forefinger4'), config=hands),
    bodies_in_metres=Fault(metres(SOURCE), ('another unit', 'torso is 0.4', 'as long as in metres'), 'warning'),
    hands_in_metres=Fault(metres(HANDS), ('another unit', 'middle_finger1', 'metres'), 'warning', config=hands),
    other_camera=Fault(
        other_camera, ('8 of 24 samples do not project', '000001.jpg', '40 pixels'), 'warning', config=hands
    ),
    behind_camera=Fault(behind, ('6 of 24 samples have 3D joints behind', 'wrist of'), 'warning', config=hands),
    shared_pictures=Fault(test_in_training, ('train 1 shares 24 of its 24', 'transductive'), 'warning', 'config'),
    labelled_test=Fault(labelled_test, ('train 1 shares 24 of its 24', 'trained on with labels'), block='config'),
    duplicates=Fault(twice, ('2 samples are there more than once', 'annotation 1101'), 'warning', 'val 0'),
    labelled_target=Fault(no_wrapper, ('train 1 is of the domain of val 0', 'UnlabeledDataset'), 'warning', 'config'),
    no_common_joint=Fault(hands_as_target, ('train 1', 'share no joint'), block='config'),
    other_order=Fault(other_order, ('train 1', 'promises 14', 'KeypointConverter'), block='config'),
    head=Fault(other_head, ('model.estimator.head.out_channels of HeatmapHead is 17', '14 joints'), block='config'),
    codec=Fault(other_codec, ('model.estimator.head.decoder', '(96, 96)', '(64, 64)'), block='config'),
    pipeline=Fault(other_cut, ('the encoder of GenerateTarget', 'pipeline of train 0', '(96, 96)'), block='config'),
    missing_weights=Fault(no_weights, ('load_from: checkpoint data/none.pth does not exist',), block='config'),
    truncated_weights=Fault(
        cut_weights, ('model.estimator.backbone.init_cfg.checkpoint: data/cut.pth cannot be read',), block='config'
    ),
    other_weights=Fault(
        other_weights, ('model.style.encoder_weights', 'not the file of that name', 'SHA-256'), block='config'
    ),
    quotas=Fault(three_quotas, ('3 quotas [4, 4, 4] for 2 data sets',), block='config'),
    batch_size=Fault(other_batch, ('batch_size is 16', 'add up to 8'), block='config'),
    large_quota=Fault(large_quota, ('quota 40 of train 1 is larger than its 24 samples',), 'warning', 'config'),
    large_batch=Fault(large_batch, ('a batch of 32 is larger than the 24 samples',), block='config', config=hands),
    transform=Fault(bad_step, ('Nothing',), block='val 0'),
)
