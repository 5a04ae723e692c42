# Non-local relation distillation at the paper's size: 17 joints with toes, motions of 30 frames at 30 a second. A task
# adds the labelled source, the videos (docs/datasets.md says how they and their boxes are prepared), and the test.
_base_ = [
    '../default_runtime.py',
    '../models/latent_res50_224x224.py',
    '../schedules/relation_paper.py',
    '../datasets/surreal_3d.py',
    '../datasets/h36m_3d.py',
    '../datasets/three_dpw_3d.py',
    '../datasets/mpi_inf_3dhp_3d.py',
]
skeleton, size = 'nlrd17', (224, 224)

# pipelines
still = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=size),
]
label = dict(type='RootRelativePose', skeleton=skeleton)
pack = dict(type='PackPoseInputs')
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomFlip', direction='horizontal', prob=0.4),
    dict(type='GetBBoxCenterScale', padding=1.0),
    # up to 10 degrees for one picture in five
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='TopdownRandomAffine', input_size=size, rotation=10)],
            [dict(type='TopdownAffine', input_size=size)],
        ],
        prob=[0.2, 0.8],
    ),
    dict(type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    label,
    pack,
]

# data
mocap_dataset = dict(
    type='MocapMotionDataset', data_root='data/cmu_mocap/', files=['subjects'], skeleton=skeleton, stride=5
)
joints = dict(joints=skeleton)
surreal = dict(_base_.surreal_3d_train, **joints, pipeline=source_pipeline)
h36m = dict(_base_.h36m_3d_train, **joints, pipeline=source_pipeline)
test_pipeline = [*still, label, pack]
h36m_test, mpi_inf_3dhp_test, three_dpw_test = (
    dict(part, **joints, pipeline=test_pipeline)
    for part in (_base_.h36m_3d_test, _base_.mpi_inf_3dhp_3d_test, _base_.three_dpw_3d_test)
)
videos = dict(
    type='UnlabeledVideoDataset',
    metainfo=skeleton,
    boxes='boxes.json',
    index_file='index.json',
    stride=10,
    pipeline=[*still, pack],
)

# loaders
workers = dict(num_workers=8, persistent_workers=True)
train_dataloader = dict(
    **workers,
    batch_size=128,
    sampler=dict(type='DomainSampler', quotas=[128]),
    dataset=dict(type='CombinedDataset'),
)
clip_loader = dict(
    batch_size=8,
    sampler=dict(_delete_=True, type='TurnSampler', batch_size=8),
    dataset=dict(type='CombinedDataset'),
)
val_dataloader = dict(
    **workers, batch_size=64, sampler=dict(type='DefaultSampler', shuffle=False, round_up=False), dataset=dict()
)
test_dataloader = val_dataloader
# The paper gives each prediction the true lengths of bones; a new picture does not tell them.
val_evaluator = [
    dict(type='LiftingMetric'),
    dict(type='LiftingMetric', bone_lengths='gt', modes=('mpjpe', 'pa-mpjpe')),
]
test_evaluator = val_evaluator

# stages: windows of two motions of 30 frames
poses = dict(_base_.mocap_loader, batch_size=256, dataset=mocap_dataset)
motions = dict(_base_.mocap_loader, batch_size=64, dataset=dict(mocap_dataset, frames=60))
pose_embedding_stage = dict(train_dataloader=poses)
motion_embedding_stage = dict(train_dataloader=motions)
relations_stage = dict(train_dataloader=motions)
lengths = dict(pose_contrast=1, slow_backward=60)
estimator = dict(head=dict(pose=_base_.trained_pose))
