"""Random poses: motion capture with noise on the joints, or joint angles drawn within anatomical limits."""

from __future__ import annotations

import numpy as np

from ..mocap import load_mocap
from .body import forward_kinematics
from .retarget import retarget, to_body_axes, to_local, to_world
from .rig import BONE, BONES
from .rotations import apply, arc, axis_angle, log, unit

#: Degrees: bone -> (axis, low, neutral, high), applied in this order about body axes carried with the parent. Signs are
#: for the left side and the trunk; the right side mirrors y and z. Around x a positive angle swings a hanging limb back
#: (extension) and bends the trunk forward. Ranges after usual goniometry tables (Norkin and White), widened for
#: athletes.
_TRUNK = {
    'LowerBack': (('x', -15, 3, 25), ('y', -12, 0, 12), ('z', -12, 0, 12)),
    'Spine': (('x', -20, 3, 28), ('y', -14, 0, 14), ('z', -16, 0, 16)),
    'Spine1': (('x', -15, 2, 20), ('y', -12, 0, 12), ('z', -18, 0, 18)),
    'Neck': (('x', -20, 0, 22), ('y', -12, 0, 12), ('z', -20, 0, 20)),
    'Neck1': (('x', -12, 0, 15), ('y', -10, 0, 10), ('z', -20, 0, 20)),
    'Head': (('x', -20, 0, 20), ('y', -12, 0, 12), ('z', -25, 0, 25)),
}
_LEG = {
    'UpLeg': (('z', -40, 0, 40), ('x', -125, -8, 30), ('y', -65, 4, 22)),
    'Leg': (('x', -8, 6, 140),),
    'Foot': (('x', -20, 8, 55), ('y', -12, 0, 12)),
    'ToeBase': (('x', -25, 0, 25),),
}
_FINE = {'Hand': 0.45, 'FingerBase': 0.25, 'Shoulder': 0.08}
_NOISE = {
    'Head': 0.8,
    'Neck': 0.5,
    'Neck1': 0.5,
    'Hips': 0.3,
    'LHipJoint': 0,
    'RHipJoint': 0,
    'LeftShoulder': 0.3,
    'RightShoulder': 0.3,
}
_AXES = {'x': np.array([1.0, 0, 0]), 'y': np.array([0, 1.0, 0]), 'z': np.array([0, 0, 1.0])}


def _angle(rng, low, neutral, high, activity, size):
    """Angles in radians, near neutral for a calm pose, over the whole range for an active one."""
    drawn = rng.uniform(low, high, size)
    share = activity * rng.beta(1.6, 0.9, size)
    return np.radians(neutral + share * (drawn - neutral))


def sample_limits(rng, heads, num=1):
    """Poses within joint limits.

    Args:
        rng (np.random.Generator): Source of chance.
        heads (np.ndarray): (31, 3) rest bone heads, metres.
        num (int): How many.

    Returns:
        np.ndarray: (num, 31, 3, 3) world rotations; the hips unturned.
    """
    local = np.tile(np.eye(3), (num, len(BONES), 1, 1))
    activity = rng.uniform(0.25, 1, num)

    def draw(limits):
        return [_angle(rng, low, neutral, high, activity, num) for _, low, neutral, high in limits]

    def turn(limits, angles, mirror=False):
        out = np.eye(3)
        for (axis, *_), angle in zip(limits, angles):
            out = out @ axis_angle(_AXES[axis] * (-1 if mirror and axis != 'x' else 1) * angle[:, None])
        return out

    for bone, limits in _TRUNK.items():
        local[:, BONE[bone]] = turn(limits, draw(limits))
    legs = _legs(rng, {bone: (draw(limits), draw(limits)) for bone, limits in _LEG.items()}, num)
    for bone, (left, right) in legs.items():
        local[:, BONE[f'Left{bone}']] = turn(_LEG[bone], left)
        local[:, BONE[f'Right{bone}']] = turn(_LEG[bone], right, mirror=True)
    _arms(rng, local, heads, activity)
    return to_world(local)


def _legs(rng, angles, num):
    """Legs that do something together: alike (jumps, squats), tucked, one kicked up or in a split, straight."""
    style, alike = rng.random(num), rng.random(num) < 0.25
    tuck, split, straight = style < 0.15, (style > 0.15) & (style < 0.3), (style > 0.3) & (style < 0.5)
    (left, right), (left_knee, right_knee) = angles['UpLeg'], angles['Leg']
    for side, angle, knee in ((0, left, left_knee), (1, right, right_knee)):
        angle[1] = np.where(tuck, -np.radians(rng.uniform(70, 125, num)), angle[1])
        knee[0] = np.where(tuck, np.radians(rng.uniform(60, 140, num)), knee[0])
        up, back = rng.uniform(50, 115, num), rng.uniform(-5, 35, num)
        angle[1] = np.where(split, np.radians(-up if side else back), angle[1])
        knee[0] = np.where(split | straight, np.radians(np.abs(rng.normal(4, 12, num))), knee[0])
    swap = split & (rng.random(num) < 0.5)
    alike &= ~split
    for first, second in angles.values():
        for k, (a, b) in enumerate(zip(first, second)):
            a, b = np.where(swap, b, a), np.where(swap, a, b)
            first[k], second[k] = a, np.where(alike, a + rng.normal(0, 0.08, num), b)
    return angles


def _arms(rng, local, heads, activity):
    """Fill the arms of local rotations (N, 31, 3, 3): direction of the upper arm, twist, bend, hand."""
    num = len(local)
    same, raised = rng.random(num) < 0.3, rng.random(num) < 0.15
    left = None
    for side, s in (('Left', 1.0), ('Right', -1.0)):
        rest_upper = heads[BONE[f'{side}ForeArm']] - heads[BONE[f'{side}Arm']]
        rest_lower = heads[BONE[f'{side}Hand']] - heads[BONE[f'{side}ForeArm']]
        # direction of the upper arm in the chest's axes: height angle (-90 hanging, 90 overhead), turned from
        # straight ahead (0) to the side (90), a little behind (130) and across the chest (-35)
        height = np.radians(rng.uniform(-88, 88, num) * activity - 70 * (1 - activity))
        height = np.where(raised, np.radians(rng.uniform(40, 88, num)), height)
        turned = np.radians(np.clip(rng.normal(60, 45, num), -35, 125))
        bend = np.radians(140 * rng.beta(0.8, 1.6, num))
        twist = rng.normal(0, 0.6, num)  # of the upper arm, outwards
        drawn = (height, turned, bend, twist)
        if left is not None:
            drawn = [np.where(same, a + rng.normal(0, 0.1, num), b) for a, b in zip(left, drawn)]
        left = height, turned, bend, twist = drawn
        to = np.stack([s * np.sin(turned) * np.cos(height), -np.cos(turned) * np.cos(height), np.sin(height)], -1)
        swing = axis_angle(to * (twist * s)[:, None]) @ arc(np.broadcast_to(rest_upper, to.shape), to)
        collar = axis_angle(np.stack([np.zeros(num), -s * np.clip(height + 0.5, 0, 2) * 0.25, np.zeros(num)], -1))
        local[:, BONE[f'{side}Shoulder']] = collar
        local[:, BONE[f'{side}Arm']] = collar.swapaxes(-1, -2) @ swing
        hinge = unit(np.cross(rest_upper, rest_lower))
        bent = np.arccos(unit(rest_upper) @ unit(rest_lower))
        roll = unit(rest_lower) * rng.uniform(-1.2, 1.2, num)[:, None]
        local[:, BONE[f'{side}ForeArm']] = axis_angle(hinge * (bend - bent)[:, None]) @ axis_angle(roll)
        for bone in ('Hand', 'FingerBase', 'HandFinger1'):
            local[:, BONE[f'{side}{bone}']] = axis_angle(rng.normal(0, 0.25, (num, 3)))


def add_noise(rng, g, sigma):
    """Turn every joint a little at random.

    Args:
        rng (np.random.Generator): Source of chance.
        g (np.ndarray): (B, 31, 3, 3) world rotations.
        sigma (np.ndarray): (B,) standard deviation in radians for a limb, or (1,) for one noise in all poses; trunk and
            collar get a share of it.

    Returns:
        np.ndarray: (B, 31, 3, 3).
    """
    scale = np.array([_NOISE.get(name, 1.0) * (0.4 if name.startswith(('Low', 'Spine')) else 1.0) for name in BONES])
    vector = rng.normal(size=(len(sigma), len(BONES), 3)) * sigma[:, None, None] * scale[:, None]
    for side in ('Left', 'Right'):
        vector[:, BONE[f'{side}Leg'], 1:] *= 0.2  # a knee is a hinge
    return to_world(to_local(g) @ axis_angle(vector))


def add_extremities(rng, g, same=False):
    """Head, hands and feet, of which 17 joints say little: a turned head, wrists, ankles; ``same`` in all poses."""
    local = to_local(g)
    n = 1 if same else len(g)
    for name, spread in (('Neck1', (0.08, 0.05, 0.25)), ('Head', (0.15, 0.08, 0.35))):
        local[:, BONE[name]] = local[:, BONE[name]] @ axis_angle(rng.normal(size=(n, 3)) * spread)
    for side in ('Left', 'Right'):
        for name, spread in (('Hand', 0.3), ('FingerBase', 0.2), ('HandFinger1', 0.2)):
            local[:, BONE[side + name]] = local[:, BONE[side + name]] @ axis_angle(rng.normal(size=(n, 3)) * spread)
        point = np.zeros((n, 3))
        point[:, 0] = np.clip(rng.normal(0.1, 0.3, n), -0.4, 0.95)
        local[:, BONE[f'{side}Foot']] = local[:, BONE[f'{side}Foot']] @ axis_angle(point)
    return to_world(local)


#: Pieces of the body that must not sink into each other: (bone, bone, metres)
_APART = (
    [(f'{s}{b}', t, r) for s in ('Left', 'Right') for b, r0 in (('ForeArm', 0.0), ('Hand', 0.02)) for t, r in
     (('Spine1', 0.15 + r0), ('Spine', 0.13 + r0), ('LowerBack', 0.13 + r0), ('Hips', 0.14 + r0), ('Head', 0.1))]
    + [(f'{s}Leg', t, 0.15) for s in ('Left', 'Right') for t in ('Spine', 'Spine1')]
    + [('LeftLeg', 'RightLeg', 0.1), ('LeftFoot', 'RightFoot', 0.09), ('LeftFoot', 'RightLeg', 0.09),
       ('LeftLeg', 'RightFoot', 0.09), ('LeftHand', 'RightHand', 0.05)]
    + [(f'{s}Hand', f'{t}UpLeg', 0.1) for s in ('Left', 'Right') for t in ('Left', 'Right')]
)  # fmt: skip
_FIRST = np.array([BONE[a] for a, _, _ in _APART])
_SECOND = np.array([BONE[b] for _, b, _ in _APART])
_GAP = np.array([d for _, _, d in _APART])


def overlap(posed_heads):
    """How much the pieces of bodies sink into each other, metres summed, from posed bone heads (B, 31, 3)."""
    distance = np.linalg.norm(posed_heads[:, _FIRST] - posed_heads[:, _SECOND], axis=-1)
    return np.maximum(_GAP - distance, 0).sum(-1)


class PoseSource:
    """Draws poses for given bodies.

    Args:
        files (sequence): Motion files (npz packs, BVH, or (asf, amc) pairs); none: joint limits alone.
        mocap_share (float): Share of poses from motion capture where there are files.
        noise (tuple): Range in radians of the noise on motion-capture joints, drawn once a pose.
        candidates (int): Poses drawn; the one whose limbs overlap least is taken.
    """

    def __init__(self, files=(), mocap_share=0.5, noise=(0.05, 0.35), candidates=3):
        self.clips = load_mocap(files) if files else None
        self.mocap_share = mocap_share if files else 0.0
        self.noise = noise
        self.candidates = candidates

    def sample(self, rng, heads, tails, frames=0):
        """One pose or one motion for one body.

        Args:
            rng (np.random.Generator): Source of chance.
            heads, tails (np.ndarray): (31, 3) rest bone ends of the body, metres.
            frames (int): Length of a motion; 0 for a single pose.

        Returns:
            tuple: world rotations (T, 31, 3, 3), movement of the hips (T, 3) in metres, and where the pose is from.
        """
        from_mocap = self.clips is not None and rng.random() < self.mocap_share
        if frames:
            return self._motion(rng, heads, tails, frames, from_mocap)
        n = self.candidates
        if from_mocap:
            g = retarget(to_body_axes(self.clips.poses[self.clips.draw(rng, n)]), heads, tails)
            g = add_noise(rng, add_extremities(rng, g), rng.uniform(*self.noise, n))
        else:
            g = sample_limits(rng, heads, n)
        posed, _ = forward_kinematics(g, np.repeat(heads[None], n, 0), np.repeat(tails[None], n, 0))
        best = g[overlap(posed).argmin()][None]
        return best, np.zeros((1, 3)), 'mocap' if from_mocap else 'limits'

    def _motion(self, rng, heads, tails, frames, from_mocap):
        """A piece of a clip with one offset of every joint, or a smooth way between poses within limits."""
        if from_mocap:
            chosen = self.clips.draw_clip(rng, frames)
            g = retarget(to_body_axes(self.clips.poses[chosen]), heads, tails)
            state = rng.integers(2**63)
            g = add_extremities(np.random.default_rng(state), g, same=True)
            g = add_noise(np.random.default_rng(state + 1), g, rng.uniform(*self.noise, 1) * 0.7)
            path = to_body_axes(self.clips.root[chosen]) / 1000
            return g, path - path[:1], 'mocap'
        every = 12
        keys = to_local(sample_limits(rng, heads, frames // every + 2))
        step = log(keys[:-1].swapaxes(-1, -2) @ keys[1:])
        at, share = np.divmod(np.arange(frames), every)
        share = share / every
        share = (share * share * (3 - 2 * share))[:, None, None]
        return to_world(keys[at] @ axis_angle(step[at] * share)), np.zeros((frames, 3)), 'limits'


def facing(g):
    """Direction (3,) in which hips and chest of one pose (31, 3, 3) look, unit length."""
    ahead = apply(g[[BONE['Hips'], BONE['Spine1']]], np.array([0, -1.0, 0])[None]).sum(0)
    return ahead / max(np.linalg.norm(ahead), 1e-9)
