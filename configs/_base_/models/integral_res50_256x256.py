# The paper's estimator: ResNet-50 or HRNet, a feature of 256 numbers, three deconvolutions, volumes of 64 bins a side.
# A task adds joint set and root. ImageNet weights: https://download.pytorch.org/models/resnet50-0676ba61.pth (the name
# ends in the start of its SHA-256).
codec = dict(type='VolumePose3D', input_size=(256, 256), volume_size=(64, 64, 64))

estimator = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        type='ResNet', depth=50, init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet50-0676ba61.pth')
    ),
    neck=dict(type='FeatureNeck', in_channels=2048),
    head=dict(type='VolumetricIntegralHead'),
)
