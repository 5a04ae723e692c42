# As many more iterations of the source.
_base_ = ['baseline_effnetlite0_1xb24-2k_rendered-bodies-96x96.py']

stages = _base_.stages
stages[-1].update(model=dict(phase='pose', predict_with='student', s2t=0.0), custom_hooks=_base_.custom_hooks)
stages[-1].train_dataloader = dict(batch_size=24, sampler=dict(quotas=(24, 0, 0)))
