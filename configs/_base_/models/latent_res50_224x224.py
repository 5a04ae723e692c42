# The paper's image-to-latent network: ResNet-50 through its third stage (the paper's Res-4F). ImageNet weights:
# https://download.pytorch.org/models/resnet50-0676ba61.pth (the name ends in the start of its SHA-256).
estimator = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        init_cfg=dict(type='Pretrained', checkpoint='data/weights/resnet50-0676ba61.pth'),
    ),
    head=dict(type='LatentPoseHead', in_channels=1024, pose=dict(type='PoseAAE')),
)
