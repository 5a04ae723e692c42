# Body-17 3D: Human3.6M. `right_foot` is the ankle, `thorax` sits between the shoulders, `head` is the top of the head.
_base_ = ['mmpose::_base_/datasets/h36m.py']

dataset_info = dict(
    parents=dict(
        right_hip='root',
        right_knee='right_hip',
        right_foot='right_knee',
        left_hip='root',
        left_knee='left_hip',
        left_foot='left_knee',
        spine='root',
        thorax='spine',
        neck_base='thorax',
        head='neck_base',
        left_shoulder='thorax',
        left_elbow='left_shoulder',
        left_wrist='left_elbow',
        right_shoulder='thorax',
        right_elbow='right_shoulder',
        right_wrist='right_elbow',
    ),
    groups=dict(
        head=['head'],
        shoulder=['right_shoulder', 'left_shoulder'],
        elbow=['right_elbow', 'left_elbow'],
        wrist=['right_wrist', 'left_wrist'],
        hip=['right_hip', 'left_hip'],
        knee=['right_knee', 'left_knee'],
        ankle=['right_foot', 'left_foot'],
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
            'right_foot',
            'left_foot',
        ],
    ),
    parts=dict(  # of PoseAug's discriminator: a joint stands for the bone that ends in it
        torso=['right_hip', 'left_hip', 'spine', 'thorax', 'neck_base', 'head', 'left_shoulder', 'right_shoulder'],
        right_leg=['right_hip', 'right_knee', 'right_foot', 'left_hip', 'spine'],
        left_leg=['right_hip', 'left_hip', 'left_knee', 'left_foot', 'spine'],
        left_arm=['thorax', 'left_shoulder', 'left_elbow', 'left_wrist'],
        right_arm=['thorax', 'right_shoulder', 'right_elbow', 'right_wrist'],
    ),
    aliases=dict(
        root='pelvis', right_foot='right_ankle', left_foot='left_ankle', head='head_top', thorax='thorax_h36m'
    ),
    maps=dict(
        mpii=dict(upper_neck='thorax', thorax=['left_shoulder', 'right_shoulder']),
        lsp=dict(neck='thorax'),
    ),
)
