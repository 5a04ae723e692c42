# The estimator of RegDA and UDAPE: ResNet-101 and three deconvolutions; 16 joints in MPII order. ImageNet weights:
# https://download.pytorch.org/models/resnet101-63fe2227.pth (the name ends in the start of its SHA-256).
codec = dict(type='MSRAHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=2)

estimator = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        type='ResNet', depth=101, init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet101-63fe2227.pth')
    ),
    head=dict(
        type='HeatmapHead',
        in_channels=2048,
        out_channels=16,
        loss=dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5),
        decoder=codec,
    ),
)
