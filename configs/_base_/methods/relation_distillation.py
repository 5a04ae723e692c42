# Non-local relation distillation: the paper's five stages (its algorithm 1). Schedules and tasks inherit this file and
# add lengths, skeleton and data to each stage; a config lists those that it wants. Relations are those of the
# supplementary's last experiments.
model = dict(type='SourceOnly')
relations = ('flip_inplane(50)', 'flip_inplane_backward(50)', 'slow_backward')
losses = ('pose_contrast', 'motion_contrast', *relations)

pose = dict(type='PoseAAE')
motion = dict(type='MotionAutoEncoder')
trained_pose = dict(**pose, init_cfg=dict(type='Pretrained', checkpoint='{pose_embedding}', prefix='pose.'))
trained_motion = dict(**motion, init_cfg=dict(type='Pretrained', checkpoint='{motion_embedding}', prefix='motion.'))
trained_relations = dict(
    relations=relations, init_cfg=dict(type='Pretrained', checkpoint='{relations}', prefix='relations.')
)

# What learns from motion capture predicts nothing of pictures.
no_validation = dict.fromkeys(
    ('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator')
)
mocap_loader = dict(
    _delete_=True,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='take_batch'),
)
# The parts are updated one after another, which MMEngine's own wrapper of several processes cannot do.
in_parts = dict(model_wrapper_cfg=dict(type='PartParallel'))

pose_embedding_stage = dict(
    **no_validation,
    **in_parts,
    name='pose_embedding',
    model=dict(_delete_=True, type='PoseEmbeddingTraining', pose=pose),
    optim_wrapper=dict(constructor='PartOptimWrapperConstructor'),
)
motion_embedding_stage = dict(
    **no_validation,
    name='motion_embedding',
    model=dict(_delete_=True, type='MotionEmbeddingTraining', pose=trained_pose, motion=motion),
)
source_stage = dict(name='source')
relations_stage = dict(
    **no_validation,
    name='relations',
    model=dict(_delete_=True, type='RelationTraining', pose=trained_pose, motion=trained_motion, relations=relations),
)
adapt_stage = dict(
    **in_parts,
    name='adapt',
    load_from='{source}',
    model=dict(type='RelationDistillation', motion=trained_motion, relations=trained_relations),
    optim_wrapper=dict(constructor='LossOptimWrapperConstructor'),
)
