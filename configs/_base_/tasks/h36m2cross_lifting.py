# Lifting: trained on Human3.6M's subjects 1, 5, 6, 7 and 8, tested on its subjects 9 and 11, on MPI-INF-3DHP and on
# 3DPW. A test set that is not there is left out by test_dataloader.dataset.datasets.NAME=None.
_base_ = [
    '../default_runtime.py',
    '../datasets/h36m_lifting.py',
    '../datasets/mpi_inf_3dhp_lifting.py',
    '../datasets/three_dpw_lifting.py',
    '../models/lifters_body16.py',
    '../methods/poseaug.py',
    '../schedules/poseaug_50e.py',
]

# loaders
train_dataloader = dict(
    batch_size=3 * 1024,
    num_workers=0,
    collate_fn=dict(type='take_batch'),
    sampler=dict(type='DomainSampler', quotas=[1024, 1024, 1024]),
    dataset=dict(type='PoseStreams', dataset=_base_.h36m_lifting_train),
)
val_dataloader = dict(
    batch_size=8192,
    num_workers=0,
    collate_fn=dict(type='take_batch'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='LiftingSets',
        datasets=dict(
            h36m=_base_.h36m_lifting_test, mpi_inf_3dhp=_base_.mpi_inf_3dhp_test, three_dpw=_base_.three_dpw_test
        ),
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='LiftingMetric')
test_evaluator = val_evaluator

# stages
model = dict(type='SupervisedLifter')
adapt_stage = dict(
    **_base_.poseaug_stage, model=_base_.poseaug, custom_hooks=[*_base_.custom_hooks, _base_.poseaug_hook]
)
stages = [
    _base_.pretrain_stage,
    dict(**adapt_stage, optim_wrapper=dict(**_base_.learned_parts, student=dict(optimizer=dict(lr=1e-4)))),
]
