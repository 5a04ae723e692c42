# A small estimator of 3D poses in the crop's volume for two CPU cores; LSP's 14 joints. The paper's feature of
# 8 x 8 x 4 numbers, from stride 16 in place of 32; two deconvolutions of the paper's three.
root = ('left_hip', 'right_hip')
codec = dict(type='VolumePose3D', input_size=(128, 128), volume_size=(32, 32, 16), depth_range=1000)

estimator = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
    backbone=dict(type='EfficientNetLite', out_indices=(3,), frozen_stages=2, pretrained=True),
    neck=dict(type='FeatureNeck', in_channels=112, dim=256),
    head=dict(
        type='VolumetricIntegralHead',
        skeleton='lsp',
        root=root,
        decoder=codec,
        dim=256,
        deconv_channels=(128, 64),
    ),
)
