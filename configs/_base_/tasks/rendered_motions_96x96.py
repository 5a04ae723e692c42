# People of one look who move as in CMU's motion capture, labelled, to videos of another look. Render them first,
# 5 minutes:
#   PEOPLE="python tools/render_people.py --size 112 --joints h36m --workers 2 --poses data/cmu_mocap/*.npz
#     --mocap-share 1 --pose-noise 0 0.1 --frontal-share 1 --frontal-spread 40 --turned-share 0
#     --out data/rendered_motions"
#   $PEOPLE/source --look clean --num 8000 --seed 1
#   $PEOPLE/target_train --look dusk --num 7680 --sequence 80 --seed 2
#   $PEOPLE/target_test --look dusk --num 600 --seed 2 --first 100000
_base_ = ['../default_runtime.py', '../models/latent_effnetlite0_96x96.py', '../schedules/relation_cpu.py']
skeleton, frames = 'nlrd15', 16
custom_hooks = [*_base_.custom_hooks, dict(type='ChannelsLastHook')]

# pipelines
crop = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=1.0)]
still = [*crop, dict(type='TopdownAffine', input_size=(96, 96))]
label = dict(type='RootRelativePose', skeleton=skeleton)
pack = dict(type='PackPoseInputs')
source_pipeline = [
    dict(type='LoadImage'),
    dict(type='RandomFlip', direction='horizontal', prob=0.4),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownRandomAffine', input_size=(96, 96), rotation=15, scale=(0.9, 1.1)),
    dict(type='ColorJitter', brightness=0.3, contrast=0.3, saturation=0.3),
    label,
    pack,
]

# data
mocap_dataset = dict(
    type='MocapMotionDataset', data_root='data/cmu_mocap/', files=['cmu_h36m17_30fps.npz'], skeleton=skeleton
)
source = dict(
    type='RenderedDataset', data_root='data/rendered_motions/source', joints=skeleton, pipeline=source_pipeline
)
# Whole frames, in which people are small: one camera sees all of a motion. With boxes='../annotations/people.json' and
# padding=1.2 they are as large as in single pictures, but adaptation gains nothing, as the method's page says.
videos = dict(
    type='UnlabeledVideoDataset',
    data_root='data/rendered_motions/target_train/images',
    metainfo=skeleton,
    index_file='index.json',
    stride=4,
    pipeline=[*still, pack],
)

# loaders
workers = dict(num_workers=1, persistent_workers=True)
train_dataloader = dict(
    **workers,
    batch_size=32,
    sampler=dict(type='DomainSampler', quotas=[32]),
    dataset=dict(type='CombinedDataset', datasets=[source]),
)
val_dataloader = dict(
    **workers,
    batch_size=100,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='RenderedDataset',
        data_root='data/rendered_motions/target_test',
        joints=skeleton,
        pipeline=[*still, label, pack],
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [dict(type='LiftingMetric', modes=('mpjpe', 'pa-mpjpe', 'pck'))]
test_evaluator = val_evaluator

# stages: windows of two motions, for replays at half the speed and for motions at twice the speed
poses = dict(_base_.mocap_loader, batch_size=256, dataset=mocap_dataset)
motions = dict(_base_.mocap_loader, batch_size=32, dataset=dict(mocap_dataset, frames=2 * frames, stride=4))
embedded = dict(skeleton=skeleton)
learned = dict(frames=frames, views=dict(elevation=20.0))
estimator = dict(head=dict(pose=dict(_base_.trained_pose, skeleton=skeleton)))
pose_embedding_stage = dict(train_dataloader=poses, model=dict(pose=embedded, views=learned['views']))
motion_embedding_stage = dict(train_dataloader=motions, model=dict(pose=embedded, **learned))
# the default ones and those of the benchmark's sweep, which all rows so have in common
swept = ('flip', *(f'inplane({angle})' for angle in (10, 25, 50, 75, 100, 125)), 'flip_inplane(50)')
swept = (*swept, *(name.replace('(', '_backward(') if '(' in name else f'{name}_backward' for name in swept))
relations_stage = dict(
    train_dataloader=motions, model=dict(pose=embedded, relations=(*swept, 'slow_backward'), **learned)
)
# of the videos: single frames, motions, or windows of two
lengths = dict(pose_contrast=1, slow_backward=2 * frames)
adapt_stage = dict(
    model=dict(frames=frames),
    train_dataloader=dict(
        batch_size=4,
        sampler=dict(_delete_=True, type='TurnSampler', batch_size=4),
        dataset=dict(datasets=[dict(videos, task=x, frames=lengths.get(x, frames)) for x in _base_.losses]),
    ),
)
