_base_ = ['source-only_effnetlite0_1xb24_rendered-looks-128x128.py']

stages = _base_.stages
stages[-1].model = dict(type='DANN', **_base_.alignment)
# The discriminator learns first: its reversed gradient comes in with the run's progress.
stages[-1].custom_hooks = [
    *_base_.custom_hooks,
    dict(
        type='ScheduleHook',
        schedules=[dict(attribute='reverse.coefficient', start=0.0, end=1.0, curve='sigmoid', alpha=10.0)],
    ),
]
