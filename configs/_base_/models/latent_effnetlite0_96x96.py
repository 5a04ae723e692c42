# A small estimator of pose latents for two CPU cores: maps of stride 16 as the paper's, and narrow layers behind them.
estimator = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
    backbone=dict(type='EfficientNetLite', out_indices=(3,), frozen_stages=1, pretrained=True),
    head=dict(
        type='LatentPoseHead',
        in_channels=112,
        grid=(6, 6),
        conv_channels=(128, 128, 64),
        fc_channels=(256, 128),
        latent_weight=0.5,
        pose=dict(type='PoseAAE'),
    ),
)
