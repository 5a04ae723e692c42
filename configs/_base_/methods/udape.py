# UDAPE without weights to download: colour and texture statistics in place of VGG-19.
udape = dict(
    type='UDAPE',
    style=dict(type='StatisticsStyleTransfer'),
    view=dict(rotation=30, shear=10, scale=(0.75, 1.25), crop_area=(0.8, 1.0)),
    # Short runs want a teacher that moves.
    keep_rate=0.99,
)
udape_hooks = [dict(type='MeanTeacherHook'), dict(type='AdaptationVisualizationHook', interval=200)]
