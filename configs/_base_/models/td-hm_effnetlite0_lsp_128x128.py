# A small top-down heatmap estimator for two CPU cores; LSP's 14 joints.
codec = dict(type='MSRAHeatmap', input_size=(128, 128), heatmap_size=(32, 32), sigma=1.5, unbiased=True)

estimator = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
    backbone=dict(type='EfficientNetLite', out_indices=(2, 3, 4), frozen_stages=1, pretrained=True),
    neck=dict(type='SkipNeck', in_channels=[40, 112, 320], out_channels=96),
    head=dict(
        type='HeatmapHead',
        in_channels=96,
        out_channels=14,
        deconv_out_channels=(64,),
        deconv_kernel_sizes=(4,),
        loss=dict(type='KeypointMSELoss', use_target_weight=True, loss_weight=0.5),
        decoder=codec,
    ),
)
