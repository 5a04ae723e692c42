"""Random poses of a hand: gestures with noise, or joint angles within limits, without fingers in each other."""

from __future__ import annotations

import numpy as np

from .body import forward_kinematics
from .hand_angles import ANGLE, ANGLES, DIP_RATIO, HIGH, LONG, LOW, HandFrame, constrain, wrist_rotation
from .hand_rig import BONE, FINGERS, PARENTS
from .rotations import apply, axis_angle


def _gesture(thumb, fingers, spread=(), cup=(0, 0), touch=None, weight=1.0):
    """Angles (27,) of a gesture in degrees.

    Args:
        thumb (tuple): radial, palmar, pronation, MCP, IP.
        fingers (tuple): For forefinger to little finger MCP and PIP.
        spread (tuple): Of the same fingers; none: 0.
        cup (tuple): Ring and little finger's palm.
        touch (str): Finger whose tip the thumb's tip meets.
        weight (float): How often it is drawn.
    """
    angles = np.zeros(len(ANGLES))
    angles[[ANGLE[f'thumb_{name}'] for name in ('radial', 'palmar', 'pronation', 'mcp', 'ip')]] = thumb
    angles[[ANGLE['ring_cup'], ANGLE['pinky_cup']]] = cup
    for finger, (mcp, pip), aside in zip(LONG, fingers, spread or (0, 0, 0, 0)):
        angles[[ANGLE[f'{finger}_{name}'] for name in ('spread', 'mcp', 'pip', 'dip')]] = (
            aside,
            mcp,
            pip,
            DIP_RATIO * pip,
        )
    return angles, touch, weight


_FIST = ((82, 95), (85, 98), (86, 98), (86, 94))
_OVER = (28, 21, 40, 25, 69)  # the thumb lies on the bent forefinger
#: What hands do: gestures that people show, grips, and hands at rest (our choice).
GESTURES = {
    'relaxed': _gesture((35, 28, 5, 12, 18), ((18, 30), (26, 35), (31, 40), (35, 42)), (-3, 0, 2, 6), weight=3),
    'open': _gesture((40, 12, 0, 3, 3), ((2, 4), (2, 5), (2, 5), (2, 4)), (-5, 0, 3, 8), weight=2),
    'flat': _gesture((12, 5, 0, 0, 0), ((0, 2), (0, 2), (0, 2), (0, 2))),
    'spread': _gesture((55, 15, 0, 0, 0), ((0, 2), (0, 2), (0, 2), (0, 2)), (-15, -2, 10, 26), weight=1.5),
    'fist': _gesture(_OVER, _FIST, cup=(6, 10), weight=1.5),
    'thumb_up': _gesture((55, 8, -5, 0, -5), _FIST, cup=(6, 10)),
    'point': _gesture((14, 26, 40, 21, 73), ((2, 6), *_FIST[1:]), cup=(6, 10), weight=1.5),
    'gun': _gesture((52, 8, 0, 0, -3), ((0, 4), *_FIST[1:]), cup=(6, 10)),
    'victory': _gesture((2, 28, 40, 26, 72), ((0, 3), (0, 3), (84, 93), (84, 90)), (-13, 7, 0, 0), cup=(6, 10)),
    'horns': _gesture((13, 28, 40, 15, 71), ((0, 3), (82, 95), (82, 95), (0, 3)), (-4, 0, 0, 14)),
    'call': _gesture((56, 10, 0, -5, -8), (*_FIST[:3], (0, 5)), (0, 0, 0, 18)),
    'three': _gesture((-10, 11, 40, 40, 54), ((0, 3), (0, 3), (0, 4), (84, 90)), (-12, 0, 9, 0)),
    'four': _gesture((-1, 2, 40, 39, 75), ((0, 3), (0, 3), (0, 3), (0, 4)), (-10, -2, 5, 14)),
    'pinch': _gesture(
        (12, 39, 6, 8, 4), ((46, 51), (28, 30), (24, 26), (18, 22)), (-3, 0, 2, 6), (0, 0), 'forefinger', 1.5
    ),
    'ok': _gesture((10, 38, 7, 9, 4), ((44, 51), (14, 14), (6, 10), (0, 6)), (2, 2, 7, 15), (0, 0), 'forefinger'),
    'pinch_middle': _gesture(
        (3, 45, 4, 12, 4), ((24, 20), (55, 50), (24, 26), (18, 22)), (0, 2, 0, 6), (0, 0), 'middle_finger'
    ),
    'pinch_ring': _gesture(
        (-4, 51, 4, 18, 12), ((12, 12), (20, 20), (51, 49), (25, 28)), (0, 0, 5, 0), (8, 8), 'ring_finger'
    ),
    'pinch_pinky': _gesture(
        (-9, 56, 7, 32, 21), ((5, 8), (8, 10), (20, 20), (47, 46)), (0, 0, 0, 6), (10, 18), 'pinky_finger'
    ),
    'write': _gesture(
        (8, 48, 0, 15, 9), ((50, 46), (62, 46), (72, 78), (78, 80)), (0, 2, 0, 0), (5, 8), 'middle_finger'
    ),
    'key': _gesture((25, 21, 40, 9, 56), ((66, 76), (72, 82), (76, 84), (78, 82)), cup=(4, 6)),
    'bottle': _gesture((12, 52, -5, 12, 22), ((40, 55), (45, 56), (48, 56), (50, 54)), (-3, 0, 2, 5), (5, 8), weight=2),
    'ball': _gesture(
        (32, 52, -5, 8, 18), ((30, 36), (32, 36), (33, 36), (34, 36)), (-11, -3, 7, 18), (5, 10), weight=2
    ),
    'hook': _gesture((28, 14, 0, 8, 12), ((6, 82), (6, 88), (6, 88), (6, 82))),
    'claw': _gesture((45, 35, 0, 10, 30), ((8, 55), (8, 56), (8, 56), (8, 52)), (-12, -2, 8, 20)),
    'table_top': _gesture((12, 35, 0, 5, 10), ((72, 6), (74, 6), (75, 6), (75, 6))),
}

_SPREADS = dict(spread=2.5, mcp=7, pip=8, dip=4, cup=3, radial=5, palmar=5, pronation=5, ip=8)
#: Standard deviation in degrees of the noise on a gesture.
_NOISE = np.array([_SPREADS.get(name.split('_')[-1], 0) for name in ANGLES])
_ARM = [ANGLE[name] for name in ('wrist_flexion', 'wrist_deviation', 'forearm_roll', 'elbow_bend')]
_AWAY = _gesture((50, 25, 0, 0, 0), ((0, 0),) * 4)[0]  # a thumb that is in no finger's way
_ARM_MEAN, _ARM_SPREAD = np.array([-6.0, 4, 0, 5]), np.array([22.0, 9, 30, 25])


def sample_limits(rng, num):
    """Angles (num, 27) anywhere within limits: each finger bends as a whole, somewhat like the others."""
    out = rng.uniform(LOW, HIGH, (num, len(ANGLES)))
    together = rng.beta(0.8, 1.0, (num, 1))
    bend = np.clip(together + rng.normal(0, 0.28, (num, len(LONG))), 0, 1)
    share = np.clip(bend + rng.normal(0, 0.15, bend.shape), 0, 1)
    for n, finger in enumerate(LONG):
        out[:, ANGLE[f'{finger}_mcp']] = -12 + 100 * bend[:, n]
        out[:, ANGLE[f'{finger}_pip']] = 100 * share[:, n]
        out[:, ANGLE[f'{finger}_dip']] = DIP_RATIO * 100 * share[:, n] + rng.normal(0, 6, num)
    return out


#: Pairs of bones that must not sink into each other; the palm is one of the metacarpals.
_APART = [
    (f'{a}{i}', f'{b}{j}')
    for n, a in enumerate(FINGERS)
    for b in FINGERS[n + 1 :]
    for i in (1, 2, 3)
    for j in (1, 2, 3)
    if not (a == 'thumb' and (i == 1 or (i == 2 and j == 1)))
]
_APART += [(f'{f}{k}', palm) for f in LONG for k in (2, 3) for palm in ('palm', 'ring_palm', 'pinky_palm')]
_APART += [('thumb3', palm) for palm in ('palm', 'ring_palm', 'pinky_palm')] + [(f'{f}3', 'thumb1') for f in LONG]
_FIRST, _SECOND = np.array([[BONE[a], BONE[b]] for a, b in _APART]).T
_SOFT = 0.75  # skin gives way
_MOST = 0.004  # metres of overlap that are left as they are
_NEAR = 0.007  # metres within which two pads touch


def overlap(heads, tails, radii):
    """How far the bones' flesh sinks into each other's, metres.

    Args:
        heads, tails (np.ndarray): (N, 21, 3) posed bone ends, metres.
        radii (np.ndarray): (21,) mean thickness about a bone, metres.

    Returns:
        np.ndarray: (N,) metres, summed over pairs of bones.
    """
    gap = segment_distance(heads[:, _FIRST], tails[:, _FIRST], heads[:, _SECOND], tails[:, _SECOND])
    return np.maximum(_SOFT * (radii[_FIRST] + radii[_SECOND]) - gap, 0).sum(-1)


def segment_distance(a, b, c, d):
    """Distances (...) between segments a-b and c-d, (..., 3) each (Ericson, Real-time collision detection, 5.1.9)."""
    u, v, w = b - a, d - c, a - c
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    uw, vw = (u * w).sum(-1), (v * w).sum(-1)
    s = np.clip((uv * vw - uw * vv) / np.maximum(uu * vv - uv * uv, 1e-12), 0, 1)
    t = (uv * s + vw) / vv
    s = np.where((t < 0) | (t > 1), np.clip((np.clip(t, 0, 1) * uv - uw) / uu, 0, 1), s)
    t = np.clip(t, 0, 1)
    return np.linalg.norm(w + s[..., None] * u - t[..., None] * v, axis=-1)


class HandPoseSource:
    """Draws poses for given hands.

    Args:
        gesture_share (float): Share of poses that are gestures with noise; the rest is drawn within joint limits.
        gestures (sequence[str]): Which of ``GESTURES``; all by default.
        noise (tuple): Range of a factor on the noise of gestures, drawn once a pose.
        candidates (int): Poses drawn; the one whose fingers overlap least is taken.

    Raises:
        ValueError: an unknown gesture, a share outside [0, 1], no candidates.
    """

    def __init__(self, gesture_share=0.75, gestures=None, noise=(0.3, 1.4), candidates=12):
        self.gestures = tuple(GESTURES if gestures is None else gestures)
        unknown = [name for name in self.gestures if name not in GESTURES]
        if unknown or not self.gestures:
            raise ValueError(f'unknown gestures {unknown}; choose from {sorted(GESTURES)}')
        if not 0 <= gesture_share <= 1:
            raise ValueError(f'gesture_share must lie in [0, 1], got {gesture_share}')
        if candidates < 1:
            raise ValueError(f'candidates must be at least 1, got {candidates}')
        self.gesture_share, self.noise, self.candidates = gesture_share, noise, candidates

    def sample(self, rng, heads, tails, nails, radii, frames=0):
        """One pose or one motion for one hand.

        Args:
            rng (np.random.Generator): Source of chance.
            heads, tails (np.ndarray): (21, 3) rest bone ends of the hand, hand axes, metres.
            nails (np.ndarray): (5, 3), of the hand model.
            radii (np.ndarray): (21,) thickness of this hand about its bones, metres, see ``HandModel.thickness``.
            frames (int): Length of a motion; 0 for a single pose.

        Returns:
            tuple: rotations (T, 21, 3, 3), at whose first frame the palm is unturned; movement of the arm (T, 3) in
            metres; angles (T, 27) in degrees; and what the (first) pose is.
        """
        hand = _PosedHand(heads, tails, nails, radii)
        if not frames:
            angles, source = self._pose(rng, hand)
            return hand.frame.rotations(angles[None]), np.zeros((1, 3)), angles[None], source
        return self._motion(rng, hand, frames)

    def _pose(self, rng, hand):
        """Angles (27,) of one pose, and its name."""
        weights = np.array([GESTURES[name][2] for name in self.gestures])
        name = self.gestures[rng.choice(len(weights), p=weights / weights.sum())]
        gesture, noise = rng.random() < self.gesture_share, rng.uniform(*self.noise)
        arm = rng.normal(_ARM_MEAN, _ARM_SPREAD)
        centre, touch, _ = GESTURES[name]
        if not gesture:
            name, touch = 'limits', None
        best, cost = None, np.inf
        moving = [name.startswith(('thumb', touch)) if touch else True for name in ANGLES]
        for step in (1, 0.6, 0.35, 0.2):
            spread = rng.normal(size=(self.candidates, len(ANGLES))) * _NOISE
            if best is not None:
                drawn = best + spread * step * moving
            else:
                drawn = centre + spread * noise if gesture else sample_limits(rng, self.candidates)
            drawn[:, _ARM] = arm
            drawn = constrain(drawn)
            overlaps, misses = hand.cost(drawn, touch)
            costs = overlaps + misses
            if costs.min() < cost:
                best, cost, left = drawn[costs.argmin()], costs.min(), overlaps[costs.argmin()]
            if cost <= (_NEAR if touch else _MOST):
                break
        return best if left <= _MOST else self._apart(hand, best), name

    @staticmethod
    def _apart(hand, angles):
        """The thumb out of the other fingers, or all out of each other, by as little as helps."""
        relaxed = GESTURES['relaxed'][0]
        thumb = np.array([name.startswith('thumb') for name in ANGLES])
        share = np.linspace(0, 1, 7)[:, None]
        away = np.where(thumb, angles + share * (_AWAY - angles), angles)
        both = angles + share * (relaxed - angles)
        both[:, _ARM] = angles[_ARM]
        ways = constrain(np.concatenate([away, both]))
        good = hand.cost(ways)[0] <= _MOST
        return ways[np.argmax(good)] if good.any() else ways[-1]

    def _motion(self, rng, hand, frames):
        """A smooth way between poses, about 12 frames each, while the arm moves a little."""
        pieces = max(1, round((frames - 1) / 12))
        first, source = self._pose(rng, hand)
        keys = [first]
        place = np.linspace(0, pieces, frames)
        for _ in range(pieces):
            ways = np.stack([self._pose(rng, hand)[0] for _ in range(3)])
            ways[:, _ARM] = keys[-1][_ARM] + (ways[:, _ARM] - keys[-1][_ARM]) * 0.4  # a wrist is calmer than fingers
            share = np.linspace(0, 1, 6)[:, None]
            costs = [hand.cost(keys[-1] + share * (way - keys[-1]))[0].max() for way in ways]
            keys.append(ways[int(np.argmin(costs))])
        at = np.minimum(place.astype(int), pieces - 1)
        share = place - at
        share = (share * share * (3 - 2 * share))[:, None]
        keys = np.stack(keys)
        angles = keys[at] + share * (keys[at + 1] - keys[at])
        moves = np.cumsum(np.concatenate([np.zeros((1, 6)), rng.normal(size=(pieces, 6))]), 0)
        moves = moves[at] + share * (moves[at + 1] - moves[at])
        bent = wrist_rotation(angles)
        arm = axis_angle(moves[:, :3] * np.radians(5)) @ bent[:1].swapaxes(-1, -2) @ bent  # the forearm stays
        return arm[:, None] @ hand.frame.rotations(angles), moves[:, 3:] * 0.012, angles, source


class _PosedHand:
    """One shaped hand to try poses on."""

    def __init__(self, heads, tails, nails, radii):
        self.heads, self.tails = heads[None].astype(np.float64), tails[None].astype(np.float64)
        self.radii, self.nails, self.frame = radii, dict(zip(FINGERS, nails)), HandFrame(heads, tails, nails)

    def cost(self, angles, touch=None):
        """Overlap (N,) of poses (N, 27), and by how much the thumb's pad misses another finger's, metres."""
        rotations = self.frame.rotations(angles)
        repeat = len(angles), 1, 1
        heads, tails = forward_kinematics(rotations, np.tile(self.heads, repeat), np.tile(self.tails, repeat), PARENTS)
        overlaps = overlap(heads, tails, self.radii)
        if touch is None:
            return overlaps, np.zeros(len(overlaps))
        (one, facing), (other, faced) = (self._pad(f, rotations, heads, tails) for f in ('thumb', touch))
        miss = np.linalg.norm(one - other, axis=-1)
        return overlaps, miss + 0.0015 * (1 + (facing * faced).sum(-1))  # 1.5 mm, so that pads meet with their faces

    def _pad(self, finger, rotations, heads, tails):
        """Place (N, 3) of a finger's pad and where it looks."""
        bone = BONE[f'{finger}3']
        out = apply(rotations[:, bone], -self.nails[finger])
        return heads[:, bone] + 0.65 * (tails[:, bone] - heads[:, bone]) + 0.9 * self.radii[bone] * out, out
