# Lifting, sized for two CPU cores: trained on people who walk before four low cameras (data/cmu_mocap), tested on
# people who run, dance, play and tumble before other cameras, and on others who walk before the same ones.
_base_ = [
    '../default_runtime.py',
    '../datasets/cmu_mocap.py',
    '../models/lifters_body16.py',
    '../methods/poseaug.py',
    '../schedules/lifting_cpu.py',
]
default_hooks = dict(checkpoint=dict(interval=300))

# narrower networks
vpose = dict(backbone=dict(num_blocks=2, channels=512))
mlp = dict(backbone=dict(channels=512))
gcn = dict(backbone=dict(channels=64))
stgcn = dict(backbone=dict(channels=(32, 32, 64), part_channels=128, dropout=0.0))

# loaders
train_dataloader = dict(
    batch_size=3 * 128,
    num_workers=0,
    collate_fn=dict(type='take_batch'),
    sampler=dict(type='DomainSampler', quotas=[128, 128, 128]),
    dataset=dict(type='PoseStreams', dataset=_base_.cmu_train),
)
val_dataloader = dict(
    batch_size=2048,
    num_workers=0,
    collate_fn=dict(type='take_batch'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='LiftingSets',
        datasets=dict(
            walk=_base_.cmu_val,
            run=_base_.cmu_test_run,
            dance=_base_.cmu_test_dance,
            sport=_base_.cmu_test_sport,
            acrobatics=_base_.cmu_test_acrobatics,
        ),
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='LiftingMetric', modes=['mpjpe', 'pa-mpjpe'])
test_evaluator = val_evaluator

# stages by the way to augment
model = dict(type='SupervisedLifter')
learned_hooks = [*_base_.custom_hooks, _base_.learned_hook]
stages_of = dict(
    supervised=[_base_.pretrain_stage, _base_.last_stage],
    random=[_base_.pretrain_stage, dict(**_base_.last_stage, model=_base_.random_augmentation)],
    no_feedback=[
        _base_.pretrain_stage,
        dict(**_base_.learned_stage, model=_base_.without_feedback, custom_hooks=learned_hooks),
    ],
    poseaug=[_base_.pretrain_stage, dict(**_base_.learned_stage, model=_base_.poseaug, custom_hooks=learned_hooks)],
)
