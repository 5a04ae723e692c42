# Both parts of the method, the paper's rule for the masks.
_base_ = [
    '../../_base_/tasks/rendered_bodies_96x96.py',
    '../../_base_/methods/geometric_reconstruction.py',
    '../../_base_/schedules/reconstruction_cpu.py',
]

# LSP's joints have neither pelvis nor thorax
HIPS = ('left_hip', 'right_hip')
model = dict(
    **_base_.geometric_reconstruction,
    estimator=_base_.estimator,
    depth=dict(skeleton='lsp', root=HIPS, reference=(HIPS, ('left_shoulder', 'right_shoulder'))),
)
adapt_stage = dict(
    _base_.adapt_stage,
    model=_base_.fine_tuning,
    load_from='{generator}',
    custom_hooks=[*_base_.custom_hooks, *_base_.reconstruction_hooks],
)
adapt_stage['optim_wrapper']['paramwise_cfg'] = _base_.slow_generator
stages = [_base_.pretrain_stage, _base_.generator_stage, adapt_stage]
