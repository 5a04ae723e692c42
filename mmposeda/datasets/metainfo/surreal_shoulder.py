# SURREAL with the shoulder joints (SMPL 16, 17) as shoulders: the better label, not the published one.
_base_ = ['./surreal.py']

dataset_info = dict(
    dataset_name='surreal_shoulder',
    groups=dict(
        head=['head'],
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
        _delete_=True,
        spine3='thorax',
        neck='upper_neck',
        head='head_top',
        left_foot='left_toe',
        right_foot='right_toe',
    ),
)
