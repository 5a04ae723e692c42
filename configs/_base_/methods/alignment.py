# Feature alignment beside supervised training on the source.
ddc = dict(type='DDC', alignment_weight=0.25)
dan = dict(type='DAN', alignment_weight=1.0)
dann = dict(type='DANN', alignment_weight=1.0)
# The discriminator learns first: its reversed gradient comes in with the run's progress.
dann_hooks = [
    dict(
        type='ScheduleHook',
        schedules=[dict(attribute='reverse.coefficient', start=0.0, end=1.0, curve='sigmoid', alpha=10.0)],
    )
]
