"""Bones of the body rig and where the joints of a joint set sit on it, as data.

World axes of a body at rest: metres, z up, the body looks along -y, its left is +x, arms in an A-pose.
"""

from __future__ import annotations

import numpy as np

# fmt: off
BONES = (
    'Hips', 'LHipJoint', 'LeftUpLeg', 'LeftLeg', 'LeftFoot', 'LeftToeBase', 'LowerBack', 'Spine', 'Spine1',
    'LeftShoulder', 'LeftArm', 'LeftForeArm', 'LeftHand', 'LThumb', 'LeftFingerBase', 'LeftHandFinger1', 'Neck',
    'Neck1', 'Head',
    'RightShoulder', 'RightArm', 'RightForeArm', 'RightHand', 'RThumb', 'RightFingerBase', 'RightHandFinger1',
    'RHipJoint', 'RightUpLeg', 'RightLeg', 'RightFoot', 'RightToeBase',
)
# fmt: on
PARENTS = (
    -1,
    0,
    1,
    2,
    3,
    4,
    0,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    12,
    14,
    8,
    16,
    17,
    8,
    19,
    20,
    21,
    22,
    22,
    24,
    0,
    26,
    27,
    28,
    29,
)  # fmt: skip
BONE = {name: index for index, name in enumerate(BONES)}

#: Body parts of the part map; 0 is the background. A bone's triangles belong to the part that lists it.
PARTS = {
    'head': ('Neck1', 'Head'),
    'torso': ('LowerBack', 'Spine', 'Spine1', 'LeftShoulder', 'RightShoulder', 'Neck'),
    'hips': ('Hips', 'LHipJoint', 'RHipJoint'),
    'left_upper_arm': ('LeftArm',),
    'left_forearm': ('LeftForeArm',),
    'left_hand': ('LeftHand', 'LThumb', 'LeftFingerBase', 'LeftHandFinger1'),
    'right_upper_arm': ('RightArm',),
    'right_forearm': ('RightForeArm',),
    'right_hand': ('RightHand', 'RThumb', 'RightFingerBase', 'RightHandFinger1'),
    'left_thigh': ('LeftUpLeg',),
    'left_shin': ('LeftLeg',),
    'left_foot': ('LeftFoot', 'LeftToeBase'),
    'right_thigh': ('RightUpLeg',),
    'right_shin': ('RightLeg',),
    'right_foot': ('RightFoot', 'RightToeBase'),
}
PART_NAMES = tuple(PARTS)
#: bone index -> part number (1-based)
PART_OF_BONE = np.array([next(i for i, p in enumerate(PARTS.values(), 1) if b in p) for b in BONES])


def _both(name, terms, parts):
    """Left and right of a joint defined on the left side."""
    out = {}
    for side, other in (('left', 'Left'), ('right', 'Right')):
        bones = {t.replace('Left', other): w for t, w in terms.items()}
        out[f'{side}_{name}'] = (bones, tuple(p.replace('left', side) for p in parts))
    return out


#: joint name -> (weights of bone ends that sum to 1, parts that may cover the joint without hiding it). ``Bone`` is the
#: head of a bone, ``Bone.tail`` its end. What each means on the body:
#: shoulder: centre of the humeral head; elbow: middle of the epicondyles; wrist: middle of the wrist; hip: centre of
#: the femoral head, behind the crease where the thigh bends; knee, ankle: joint centres; neck: base of the neck,
#: between the inner ends of the collar bones and the middle of the neck; head_top: the vertex of the head.
JOINTS = {
    **_both('shoulder', {'LeftArm': 1.0}, ('left_upper_arm', 'torso')),
    **_both('elbow', {'LeftForeArm': 1.0}, ('left_upper_arm', 'left_forearm')),
    **_both('wrist', {'LeftHand': 1.0}, ('left_forearm', 'left_hand')),
    **_both('hip', {'LeftUpLeg': 1.0}, ('left_thigh', 'hips')),
    **_both('knee', {'LeftLeg': 1.0}, ('left_thigh', 'left_shin')),
    **_both('ankle', {'LeftFoot': 1.0}, ('left_shin', 'left_foot')),
    'neck': ({'Neck': 0.6, 'Neck1': 0.4}, ('torso', 'head')),
    'head_top': ({'Head.tail': 1.0}, ('head',)),
    # Human3.6M's 17 joints as the motion packs define them
    'root': ({'LeftUpLeg': 0.5, 'RightUpLeg': 0.5}, ('hips', 'torso')),
    'spine': ({'Spine': 1.0}, ('torso', 'hips')),
    'thorax': ({'Neck': 1.0}, ('torso',)),
    'neck_base': ({'Head': 1.0}, ('head',)),
}


def _set(text):
    return [(name, joint or name) for name, _, joint in (word.partition('=') for word in text.split())]


#: A joint set is a list of (name in the set, joint above).
JOINT_SETS = {
    'lsp': _set(
        'right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow right_shoulder '
        'left_shoulder left_elbow left_wrist neck head_top'
    ),
    'mpii': _set(
        'right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis=root thorax=neck upper_neck=neck_base '
        'head_top right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist'
    ),
    'h36m': _set(
        'root right_hip right_knee right_foot=right_ankle left_hip left_knee left_foot=left_ankle spine thorax '
        'neck_base head=head_top left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist'
    ),
}


def joint_table(joints):
    """Weights of a joint set on bone ends, and the parts that do not hide each joint.

    Args:
        joints (str): A name in ``JOINT_SETS``.

    Returns:
        tuple: ``names`` (K strings), ``weights`` (K, 2 * bones) on [heads, tails], ``own_parts`` (K, parts + 1) bool.

    Raises:
        ValueError: ``joints`` is not a known joint set.
    """
    if joints not in JOINT_SETS:
        raise ValueError(f'unknown joint set {joints!r}; choose one of {sorted(JOINT_SETS)}')
    names = [name for name, _ in JOINT_SETS[joints]]
    weights = np.zeros((len(names), 2 * len(BONES)), np.float32)
    own = np.zeros((len(names), len(PART_NAMES) + 1), bool)
    for k, (_, joint) in enumerate(JOINT_SETS[joints]):
        terms, parts = JOINTS[joint]
        for end, weight in terms.items():
            bone, _, tail = end.partition('.')
            weights[k, BONE[bone] + (len(BONES) if tail else 0)] += weight
        own[k, [PART_NAMES.index(part) + 1 for part in parts]] = True
    return names, weights, own
