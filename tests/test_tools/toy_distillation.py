"""All five stages of the relation distillation on the toy task of ``toy_relations``, a few iterations each."""

from toy_relations import FRAMES, SIZE, write_relations

STAGES = ('pose_embedding', 'motion_embedding', 'source', 'relations', 'adapt')
ITERATIONS, INTERRUPTED = 8, 5
CONFIG = """
_base_ = ['{base}']
train_cfg = dict(type='IterBasedTrainLoop', max_iters={iterations}, val_interval={iterations})
param_scheduler = [dict(type='CosineAnnealingLR', T_max={iterations}, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval={interrupted}, max_keep_ckpts=-1), logger=dict(interval=1))
adam = dict(optimizer=dict(type='Adam', lr=1e-3))
val_cfg = test_cfg = dict()
val_dataloader = dict(_base_.test_dataloader, num_workers=0)
test_dataloader = val_dataloader
val_evaluator = dict(type='LiftingMetric', modes=['mpjpe', 'pa-mpjpe'])
test_evaluator = val_evaluator

motion = dict(type='MotionAutoEncoder', latent=8, dim=6, hidden=5)
relations = ('flip_inplane(50)', 'flip_inplane_backward(50)', 'slow_backward')
trained_pose = dict(_base_.pose, init_cfg=dict(type='Pretrained', checkpoint='{pose_embedding}', prefix='pose.'))
trained_motion = dict(motion, init_cfg=dict(type='Pretrained', checkpoint='{motion_embedding}', prefix='motion.'))
trained_relations = dict(
    relations=relations,
    hidden=(16,),
    init_cfg=dict(type='Pretrained', checkpoint='{relations}', prefix='relations.'),
)
estimator = dict(_base_.estimator, head=dict(_base_.estimator['head'], pose=trained_pose))
model = dict(estimator=estimator)

views, change = {views}, {change}
labelled = dict(_base_.test_dataloader['dataset'], test_mode=False)
margin = [*_base_.crop, *labelled['pipeline'][-2:]]
clips = dict(_base_.clips, stride=1)
lengths = dict(pose_contrast=1, slow_backward=2 * {frames})
tasks = ('pose_contrast', 'motion_contrast', *relations)
mocap = dict(
    batch_size=4,
    num_workers={workers},
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(_base_.mocap_dataset, frames=2 * {frames}),
    collate_fn=dict(type='take_batch'),
)
motion_alone = dict(
    train_dataloader=mocap,
    **dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator')),
)
of_motion = dict(frames={frames}, views=views)
stages = [
    dict(
        motion_alone,
        name='pose_embedding',
        model=dict(_delete_=True, type='PoseEmbeddingTraining', pose=_base_.pose, views=views, check_every=2,
                   reconstruction_below=1e9, accuracies=dict(fake=0.0, real=0.0, fooled=0.0)),
        optim_wrapper=dict(constructor='PartOptimWrapperConstructor', pose=adam, discriminator=adam),
        model_wrapper_cfg=dict(type='PartParallel'),
    ),
    dict(
        motion_alone,
        name='motion_embedding',
        model=dict(_delete_=True, type='MotionEmbeddingTraining', pose=trained_pose, motion=motion, **of_motion),
        optim_wrapper=adam,
    ),
    dict(
        name='source',
        train_dataloader=dict(
            batch_size=2,
            num_workers={workers},
            sampler=dict(type='DomainSampler', quotas=[2]),
            dataset=dict(type='CombinedDataset', metainfo=clips['metainfo'], datasets=[labelled]),
        ),
        optim_wrapper=adam,
    ),
    dict(
        motion_alone,
        name='relations',
        model=dict(_delete_=True, type='RelationTraining', pose=trained_pose, motion=trained_motion,
                   relations=dict(relations=relations, hidden=(16,)), **of_motion),
        optim_wrapper=adam,
    ),
    dict(
        name='adapt',
        load_from='{source}',
        model=dict(type='RelationDistillation', motion=trained_motion, relations=trained_relations, frames={frames},
                   size={size}, projection=dict(hidden=(12,), dim=7), change=change),
        train_dataloader=dict(
            batch_size=2,
            num_workers={workers},
            sampler=dict(type='TurnSampler', batch_size=2),
            dataset=dict(
                type='CombinedDataset',
                metainfo=clips['metainfo'],
                datasets=[
                    *(dict(clips, task=task, frames=lengths.get(task, {frames})) for task in tasks),
                    dict(labelled, pipeline=margin),
                ],
            ),
        ),
        optim_wrapper=dict(constructor='LossOptimWrapperConstructor', default=adam),
        model_wrapper_cfg=dict(type='PartParallel'),
    ),
]
"""


def write_distillation(folder, runtime, more='', workers=0, still=False):
    """Write the toy task and the config of all stages; return its path.

    Args:
        more (str): Text at its end.
        still (bool): Without random views and colours.
    """
    text = CONFIG + more
    values = dict(
        base=write_relations(folder, runtime),
        views=dict(azimuth=0.0, tilt=0.0, flip=0.0) if still else None,
        change=0.0 if still else 0.5,
        iterations=ITERATIONS,
        interrupted=INTERRUPTED,
        frames=FRAMES,
        size=SIZE,
        workers=workers,
    )
    for key, value in values.items():
        text = text.replace(f'{{{key}}}', str(value))
    path = folder / 'distillation.py'
    path.write_text(text)
    return path
