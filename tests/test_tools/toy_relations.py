"""A tiny distillation of relations: noise pictures as videos and as test set, motion that wobbles, small networks."""

import json

import cv2
import numpy as np
from toy_lifting import write_motion

from mmposeda.structures.skeleton import Skeleton, metainfo_path

SIZE, FRAMES = 32, 4
CONFIG = """
_base_ = ['{runtime}']
pose = dict(type='PoseAAE', skeleton='nlrd15', latent=8)
estimator = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True),
    backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8, num_stages=3, strides=(1, 2, 2),
                  dilations=(1, 1, 1), out_indices=(2,)),
    head=dict(type='LatentPoseHead', in_channels=32, grid=(2, 2), conv_channels=(6,), fc_channels=(16,), pose=pose),
)
relations = dict(relations=('flip_inplane(50)', 'flip_backward', 'slow_backward'), hidden=(16,))
mocap_dataset = dict(type='MocapMotionDataset', data_root='{folder}', files='motion.npz', skeleton='nlrd15')
crop = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=({side}, {side})),
]
clips = dict(
    type='UnlabeledVideoDataset',
    data_root='{folder}/videos',
    metainfo=dict(from_file='{metainfo}'),
    scene_cuts=False,
    pipeline=[*crop, dict(type='PackPoseInputs')],
)
still = [*crop[:2], dict(type='TopdownAffine', input_size=({size}, {size}))]
test_dataloader = dict(
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='RenderedDataset',
        data_root='{folder}/tests',
        joints='nlrd15',
        pipeline=[*still, dict(type='RootRelativePose', skeleton='nlrd15'), dict(type='PackPoseInputs')],
        test_mode=True,
    ),
)
model = dict(type='SourceOnly', estimator=estimator)
stages = [
    dict(name='source'),
    dict(
        name='adapt',
        load_from='{source}',
        model=dict(
            type='RelationDistillation',
            motion=dict(type='MotionAutoEncoder', latent=8, dim=6, hidden=5),
            relations=relations,
            frames={frames},
            size={size},
            projection=dict(hidden=(12,), dim=7),
        ),
        train_dataloader=dict(
            batch_size=2,
            sampler=dict(type='TurnSampler', batch_size=2),
            dataset=dict(type='CombinedDataset', datasets=[
                dict(clips, task='pose_contrast', frames=1),
                dict(clips, task='flip_inplane(50)', frames={frames}),
                dict(clips, task='slow_backward', frames=2 * {frames}),
            ]),
        ),
    ),
]
"""


def picture(path, rng, place):
    """Noise with a bright blob somewhere."""
    image = rng.integers(0, 90, (40, 40, 3), dtype=np.uint8)
    cv2.circle(image, tuple(int(x) for x in place), 7, (60, 160, 250), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def write_relations(folder, runtime):
    """Write videos, test pictures with 3D labels, motion and the config; return its path."""
    rng = np.random.default_rng(0)
    for video in range(3):
        for frame in range(12):
            picture(folder / f'videos/{video}/{frame:03d}.png', rng, (8 + 2 * frame, 10 + 8 * video))
    write_motion(folder / 'motion.npz')
    joints = Skeleton.from_metainfo('nlrd15').joint_names
    images, annotations = [], []
    for n in range(4):
        picture(folder / f'tests/images/{n}.png', rng, (20, 20))
        body = rng.normal(0, 300, (len(joints), 3)) + (0, 0, 4000)
        points = 20 + 100 * body[:, :2] / body[:, 2:]
        flat = np.concatenate([points, np.full((len(joints), 1), 2)], 1)
        images.append(dict(id=n, file_name=f'{n}.png', width=40, height=40))
        annotations.append(
            dict(
                id=n,
                image_id=n,
                category_id=1,
                bbox=[0, 0, 40, 40],
                keypoints=flat.ravel().tolist(),
                joints_3d=body.tolist(),
                camera=dict(f=[100.0, 100.0], c=[20.0, 20.0]),
            )
        )
    content = dict(
        info=dict(settings=dict(joints='nlrd15')),
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person', keypoints=joints)],
    )
    (folder / 'tests' / 'annotations').mkdir()
    (folder / 'tests' / 'annotations' / 'people.json').write_text(json.dumps(content))
    path, text = folder / 'relations.py', CONFIG
    values = dict(
        runtime=runtime, folder=folder, metainfo=metainfo_path('nlrd15'), size=SIZE, side=SIZE + 8, frames=FRAMES
    )
    for key, value in values.items():
        text = text.replace(f'{{{key}}}', str(value))
    path.write_text(text)
    return path
