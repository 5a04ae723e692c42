# Rendered people to sport photos. There are no two photos of one scene: a photo is bent here and there to make its own
# driving picture. It is not turned or shifted as a whole, because the background of a field rests.
_base_ = [
    '../../_base_/tasks/synthbody2lsp_128x128.py',
    '../../_base_/schedules/synthbody_cpu.py',
    '../../_base_/methods/geometric_reconstruction.py',
]

# model; LSP's joints have neither pelvis nor thorax
HIPS = ('left_hip', 'right_hip')
model = dict(
    **_base_.geometric_reconstruction,
    estimator=_base_.estimator,
    depth=dict(skeleton='lsp', root=HIPS, reference=(HIPS, ('left_shoulder', 'right_shoulder'))),
    deformation=dict(rotation=0, scale=(1, 1), translation=0, local=0.03),
    predict_with='student',
)

# loaders
source, target = _base_.train_dataloader.dataset.datasets
source.update(type='RenderedDataset', pipeline=[*source.pipeline[:-1], dict(type='ScreenPose'), source.pipeline[-1]])
still = dict(type='SelfPairDataset', dataset=dict(**_base_.lsp_trainval, pipeline=_base_.test_pipeline))
train_dataloader = dict(batch_size=64, sampler=dict(quotas=[32, 32, 0]), dataset=dict(datasets=[source, target, still]))

# stages
frontal_stage, pretrain_stage = _base_.frontal_stage, _base_.pretrain_stage
for stage in (frontal_stage, pretrain_stage):
    stage.model = dict(phase='pose', s2t=0.0)
    stage.train_dataloader.sampler.quotas = [32, 0, 0]
adapt_stage = dict(
    _base_.last_stage,
    name='adapt',
    load_from='{generator}',
    model=dict(_base_.fine_tuning, predict_with='teacher'),
    train_dataloader=dict(batch_size=72, sampler=dict(quotas=[32, 32, 8])),
    custom_hooks=[*_base_.custom_hooks, *_base_.reconstruction_hooks],
)
adapt_stage['optim_wrapper']['paramwise_cfg'] = _base_.slow_generator
stages = [frontal_stage, pretrain_stage, _base_.generator_stage, adapt_stage]
