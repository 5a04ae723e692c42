# Feature alignment beside supervised training on the source, with the published weights.
ddc = dict(type='DDC', alignment_weight=0.25)
dan = dict(type='DAN', alignment_weight=1.0)
dann = dict(type='DANN', alignment_weight=1.0)
# The weights stand beside a heatmap divergence of about 1. A squared error ends near 0.0015, and its gradient in the
# shared layers was measured a thousand times below DAN's and DANN's: 0.5 becomes 500. AdamW minds no common factor.
squared_error = dict(head=dict(loss=dict(loss_weight=500.0)))
# The discriminator learns first: its reversed gradient comes in with the run's progress.
dann_hooks = [
    dict(
        type='ScheduleHook',
        schedules=[dict(attribute='reverse.coefficient', start=0.0, end=1.0, curve='sigmoid', alpha=10.0)],
    )
]
regda = dict(type='RegDA', margin=4.0)
# at most 0.1: more puts the joints onto each other
regda_hooks = [
    dict(
        type='ScheduleHook',
        schedules=[dict(attribute='scale.coefficient', start=0.0, end=0.1, curve='sigmoid', alpha=15.0)],
    )
]
