"""From 17 joint positions of motion capture to the rotations of the rig's bones.

A bone's rotation G (3, 3) takes its rest direction to its posed direction, in world axes. The pose parameter that Anny
wants is ``G_parent^T G``.
"""

from __future__ import annotations

import numpy as np

from .rig import BONE, BONES, JOINT_SETS, PARENTS
from .rotations import apply, arc, axis_angle, frame, partial, unit

_J = {name: k for k, (name, _) in enumerate(JOINT_SETS['h36m'])}


def to_body_axes(positions):
    """Motion packs' axes (y up, looking along +z) to the body's (z up, looking along -y)."""
    x, y, z = np.moveaxis(np.asarray(positions), -1, 0)
    return np.stack([x, -z, y], axis=-1)


def _hinge(turn, rest_upper, rest_axis, upper, lower, hint):
    """Rotation of an upper limb: along ``upper``, its hinge as the bend of ``lower`` shows where that is clear.

    Args:
        turn: (B, 3, 3) rotation of the bone above, carried along first.
        rest_upper, rest_axis: (3,) direction and hinge axis (upper x lower) at rest.
        upper, lower: (B, 3) posed directions.
        hint: bend in radians from which the hinge is taken at face value.
    """
    swing = arc(apply(turn, rest_upper[None]), upper) @ turn
    seen = np.cross(upper, lower)
    bend = np.arcsin(
        np.clip(np.linalg.norm(seen, axis=-1) / np.linalg.norm(upper, axis=-1) / np.linalg.norm(lower, axis=-1), 0, 1)
    )
    now = apply(swing, rest_axis[None])
    along = unit(upper)
    seen = unit(seen - (seen * along).sum(-1, keepdims=True) * along)
    now = unit(now - (now * along).sum(-1, keepdims=True) * along)
    twist = np.arctan2((np.cross(now, seen) * along).sum(-1), (now * seen).sum(-1))
    twist = np.clip(twist, -1.9, 1.9) * np.clip((bend - 0.08) / hint, 0, 1)
    return axis_angle(along * twist[:, None]) @ swing


def retarget(positions, heads, tails):
    """Rotations of all bones that put a body into the given poses.

    Args:
        positions (np.ndarray): (B, 17, 3) joints in Human3.6M's order, body axes, any unit.
        heads, tails (np.ndarray): (31, 3) bone ends of the rest pose, metres.

    Returns:
        np.ndarray: (B, 31, 3, 3) float64 rotations from rest to posed, world axes.
    """
    p = np.asarray(positions, np.float64)
    at = {name: p[:, k] for name, k in _J.items()}
    rest = {name: heads[k].astype(np.float64) for name, k in BONE.items()}
    top = tails[BONE['Head']].astype(np.float64)
    g = np.tile(np.eye(3), (len(p), len(BONES), 1, 1))

    def put(names, value):
        for name in names.split():
            g[:, BONE[name]] = value

    hips = frame(at['left_hip'] - at['right_hip'], at['spine'] - at['root'])
    hips = (
        hips
        @ frame(rest['LeftUpLeg'] - rest['RightUpLeg'], rest['Spine'] - (rest['LeftUpLeg'] + rest['RightUpLeg']) / 2).T
    )
    chest = frame(at['left_shoulder'] - at['right_shoulder'], at['thorax'] - at['spine'])
    chest = chest @ frame(rest['LeftArm'] - rest['RightArm'], rest['Neck'] - rest['Spine']).T
    put('Hips LHipJoint RHipJoint', hips)
    between = chest @ hips.swapaxes(-1, -2)
    put('LowerBack', partial(between, 0.33) @ hips)
    put('Spine', partial(between, 0.67) @ hips)
    put('Spine1', chest)
    neck = arc(apply(chest, (rest['Head'] - rest['Neck'])[None]), at['neck_base'] - at['thorax'])
    head = arc(apply(chest, (top - rest['Head'])[None]), at['head'] - at['neck_base'])
    put('Neck Neck1', partial(neck, 0.6) @ chest)
    put('Head', head @ chest)
    for side, s in (('Left', 'left'), ('Right', 'right')):
        upper, lower = at[f'{s}_elbow'] - at[f'{s}_shoulder'], at[f'{s}_wrist'] - at[f'{s}_elbow']
        rest_upper, rest_lower = (
            rest[f'{side}ForeArm'] - rest[f'{side}Arm'],
            rest[f'{side}Hand'] - rest[f'{side}ForeArm'],
        )
        arm = _hinge(chest, rest_upper, np.cross(rest_upper, rest_lower), upper, lower, 0.4)
        collar = partial(arc(apply(chest, rest_upper[None]), upper), 0.22)
        put(f'{side}Shoulder', collar @ chest)
        put(f'{side}Arm', arm)
        fore = arc(apply(arm, rest_lower[None]), lower) @ arm
        put(f'{side}ForeArm {side}Hand {side}FingerBase {side}HandFinger1 {side[0]}Thumb', fore)
        upper, lower = at[f'{s}_knee'] - at[f'{s}_hip'], at[f'{s}_foot'] - at[f'{s}_knee']
        rest_upper, rest_lower = rest[f'{side}Leg'] - rest[f'{side}UpLeg'], rest[f'{side}Foot'] - rest[f'{side}Leg']
        thigh = _hinge(hips, rest_upper, np.array([1.0, 0, 0]), upper, lower, 0.35)
        shin = arc(apply(thigh, rest_lower[None]), lower) @ thigh
        put(f'{side}UpLeg', thigh)
        put(f'{side}Leg {side}Foot {side}ToeBase', shin)
    return g


def to_local(g):
    """World rotations (B, 31, 3, 3) to ``G_parent^T G`` (the root keeps its own)."""
    local = g.copy()
    local[:, 1:] = g[:, PARENTS[1:]].swapaxes(-1, -2) @ g[:, 1:]
    return local


def to_world(local):
    """Inverse of :func:`to_local`; one product a bone for the whole batch."""
    g = local.copy()
    for bone in range(1, len(BONES)):
        g[:, bone] = g[:, PARENTS[bone]] @ local[:, bone]
    return g
