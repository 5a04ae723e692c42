# 3DHP-17.
_base_ = ['mmpose::_base_/datasets/mpi_inf_3dhp.py']

dataset_info = dict(
    parents=dict(
        head_top='head',
        neck='spine',
        right_shoulder='neck',
        right_elbow='right_shoulder',
        right_wrist='right_elbow',
        left_shoulder='neck',
        left_elbow='left_shoulder',
        left_wrist='left_elbow',
        right_hip='root',
        right_knee='right_hip',
        right_ankle='right_knee',
        left_hip='root',
        left_knee='left_hip',
        left_ankle='left_knee',
        spine='root',
        head='neck',
    ),
    groups=dict(
        head=['head_top'],
        shoulder=['right_shoulder', 'left_shoulder'],
        elbow=['right_elbow', 'left_elbow'],
        wrist=['right_wrist', 'left_wrist'],
        hip=['right_hip', 'left_hip'],
        knee=['right_knee', 'left_knee'],
        ankle=['right_ankle', 'left_ankle'],
        all=[
            'right_shoulder',
            'left_shoulder',
            'right_elbow',
            'left_elbow',
            'right_wrist',
            'left_wrist',
            'right_hip',
            'left_hip',
            'right_knee',
            'left_knee',
            'right_ankle',
            'left_ankle',
        ],
    ),
    aliases=dict(
        root='pelvis',
        neck='upper_neck',
        head='head_center',
    ),
    maps=dict(
        h36m=dict(
            thorax='neck',
            neck_base='head',
            head='head_top',
        ),
        body16_3d=dict(
            thorax='neck',
            head='head_top',
        ),
    ),
)
