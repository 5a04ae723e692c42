"""Joint angles of the hand, within what anatomy allows, and the rotations of its bones that they mean."""

from __future__ import annotations

import numpy as np

from .hand_rig import BONE, BONES, FINGERS, PARENTS
from .rotations import arc, axis_angle, unit

LONG = FINGERS[1:]
#: Angle -> (low, high) in degrees. All are 0 for a flat hand with closed fingers, only the thumb's directions are
#: absolute.
#:
#: ``wrist_flexion`` to the palm, ``wrist_deviation`` to the little finger's side, ``forearm_roll`` about the forearm's
#: axis, ``elbow_bend`` against anny's rest pose. ``ring_cup`` and ``pinky_cup`` hollow the palm. ``thumb_radial`` and
#: ``thumb_palmar`` give the direction of the thumb's metacarpal: away from the forefinger within the palm's plane, and
#: out of that plane; ``thumb_pronation`` turns it about itself, the nail to the palm's side. ``spread`` to the little
#: finger's side; ``mcp``, ``pip``, ``dip`` (at the thumb ``mcp``, ``ip``) flexion.
#:
#: Wrist, forearm, finger and thumb joints: ranges in use among hand surgeons (Eaton, Electronic Textbook of Hand
#: Surgery: wrist 70/75 and 20/35, forearm 70/85, MCP 0 (passive up to 45)/90, PIP 0/100, DIP 0/80, thumb MCP 10/55, IP
#: 15/80, radial abduction 60); palmar abduction of the thumb up to 61 (Barakat, Field and Taylor, The range of movement
#: of the thumb, Hand 8, 2013). Palm: flexion and extension of the fourth and fifth carpometacarpal joints of 20 and 27
#: degrees together (El-Shennawy et al., J. Hand Surg. 26A, 2001), of which flexion takes three quarters (our choice).
#: Between spread fingers 17, 14 and 32 degrees (Chatzioglou, Pinar and Govsa, Anat. Cell Biol. 57, 2024). The thumb's
#: adduction and pronation, the elbow, and stretched knuckles: our choice, by eye.
LIMITS = {
    'wrist_flexion': (-70, 75),
    'wrist_deviation': (-20, 35),
    'forearm_roll': (-70, 70),
    'elbow_bend': (-30, 60),
    'ring_cup': (0, 15),
    'pinky_cup': (0, 20),
    'thumb_radial': (-10, 60),
    'thumb_palmar': (0, 61),
    'thumb_pronation': (-10, 40),
    'thumb_mcp': (-10, 55),
    'thumb_ip': (-15, 80),
    **{
        f'{finger}_{name}': limits
        for finger, spread in zip(LONG, ((-17, 5), (-8, 8), (-5, 14), (-5, 40)))
        for name, limits in (('spread', spread), ('mcp', (-20, 90)), ('pip', (0, 100)), ('dip', (-5, 80)))
    },
}
ANGLES = tuple(LIMITS)
ANGLE = {name: k for k, name in enumerate(ANGLES)}
LOW, HIGH = np.array(list(LIMITS.values()), np.float64).T
#: The two end joints of a finger bend together, DIP = 2/3 PIP (Rijpkema and Girard, SIGGRAPH 1991; Lin, Wu and Huang,
#: Modeling the constraints of human hand motion, 2000), here to within this many degrees (our choice).
DIP_RATIO, DIP_SLACK = 2 / 3, 15
#: The ring finger's knuckle cannot be stretched alone, for its tendon is tied to its neighbours' (von Schroeder and
#: Botte, J. Hand Surg. 18A, 1993); 35 degrees less flexion than theirs is our choice.
RING_SLACK = 35


def _columns(name, fingers=LONG):
    return [ANGLE[f'{finger}_{name}'] for finger in fingers]


_SPREAD, _MCP, _PIP, _DIP = (_columns(name) for name in ('spread', 'mcp', 'pip', 'dip'))


def constrain(angles):
    """The nearest angles within limits.

    Ranges first (``LIMITS``), then couplings: the end joints of a finger bend together; bent knuckles spread less, not
    at all at 90 degrees, as their side ligaments are tight then; the ring finger follows its neighbours.

    Args:
        angles (np.ndarray): (N, 27) degrees, in the order of ``ANGLES``.

    Returns:
        np.ndarray: (N, 27) degrees.
    """
    a = np.clip(angles, LOW, HIGH)
    middle, ring, pinky = (ANGLE[f'{finger}_mcp'] for finger in LONG[1:])
    a[:, ring] = np.maximum(a[:, ring], np.minimum(a[:, middle], a[:, pinky]) - RING_SLACK)
    free = 1 - np.clip(a[:, _MCP] / 90, 0, 1)
    a[:, _SPREAD] = np.clip(a[:, _SPREAD], LOW[_SPREAD] * free, HIGH[_SPREAD] * free)
    follow = DIP_RATIO * a[:, _PIP]
    a[:, _DIP] = np.clip(a[:, _DIP], follow - DIP_SLACK, follow + DIP_SLACK)
    return np.clip(a, LOW, HIGH)


class HandFrame:
    """Axes and rest angles of one shaped hand: what turns angles into rotations.

    Args:
        heads, tails (np.ndarray): (21, 3) bone ends at rest, hand axes, metres.
        nails (np.ndarray): (5, 3) directions into which the nails look at rest.
    """

    def __init__(self, heads, tails, nails):
        way = unit(np.asarray(tails - heads, np.float64))
        self.forearm, self.thumb = way[BONE['forearm_end']], way[BONE['thumb1']]
        upper = way[BONE['upper_arm']]
        self.elbow = unit(np.cross(upper, way[BONE['forearm']]))
        first = np.array([BONE[f'{finger}1'] for finger in LONG])
        along = unit(np.asarray(heads[first], np.float64))  # of the metacarpal, from the wrist
        self.back = unit(np.array([0.0, 0, 1]) - along * along[:, 2:])
        self.knuckle = np.cross(self.back, along)  # flexion turns about it
        aside = (way[first] * self.knuckle).sum(-1)
        level = unit(way[first] - aside[:, None] * self.knuckle)
        self.straight = axis_angle(-self.knuckle * _about(along, level, self.knuckle)[:, None])
        self.rest_spread = -np.arcsin(aside)
        # closed fingers are parallel to the middle finger, not to their metacarpals
        middle = way[BONE['middle_finger1']]
        self.parallel = np.arctan2(middle[0], middle[1]) - np.arctan2(along[:, 0], along[:, 1])
        self.hinge, self.rest_hinge = np.zeros((2, 5, 3)), np.zeros((2, 5))  # second and third bones of all fingers
        for k in (2, 3):
            bones = np.array([BONE[f'{finger}{k}'] for finger in FINGERS])
            self.hinge[k - 2] = unit(np.cross(nails, way[bones]))
            self.rest_hinge[k - 2] = _about(way[bones - 1], way[bones], self.hinge[k - 2])

    def rotations(self, angles):
        """Rotations of the bones against a palm that does not move.

        Args:
            angles (np.ndarray): (N, 27) degrees, in the order of ``ANGLES``.

        Returns:
            np.ndarray: (N, 21, 3, 3) from rest to posed, hand axes.
        """
        r = np.radians(np.asarray(angles, np.float64))
        g = np.tile(np.eye(3), (len(r), len(BONES), 1, 1))

        def of(*names):
            return r[:, [ANGLE[name] for name in names]]

        radial, palmar = of('thumb_radial', 'thumb_palmar').T
        to = np.stack([-np.sin(radial) * np.cos(palmar), np.cos(radial) * np.cos(palmar), -np.sin(palmar)], -1)
        mcp = r[:, _MCP]
        aside = r[:, _SPREAD] + self.parallel * (1 - np.clip(mcp / (np.pi / 2), 0, 1)) - self.rest_spread
        bends = [r[:, columns] for columns in ([ANGLE['thumb_mcp'], *_PIP], [ANGLE['thumb_ip'], *_DIP])]
        turns = (
            (self.forearm[None], of('forearm_roll') / 2),
            (self.forearm[None], of('forearm_roll')),
            (-self.elbow[None], of('elbow_bend')),
            (-np.eye(3)[[0, 0]], of('ring_cup', 'pinky_cup')),
            (-to[:, None], of('thumb_pronation')),
            (self.knuckle, mcp),
            (-self.back, aside),
            *((self.hinge[k], bends[k] - self.rest_hinge[k]) for k in (0, 1)),
        )
        all_turns = axis_angle(np.concatenate([axes * angle[..., None] for axes, angle in turns], axis=1))
        cuts = np.cumsum([angle.shape[1] for _, angle in turns])[:-1]
        half_roll, roll, elbow, cups, pronation, flexion, level, *hinges = np.split(all_turns, cuts, axis=1)
        arm = wrist_rotation(angles).swapaxes(-1, -2)
        g[:, BONE['forearm_end']] = arm @ half_roll[:, 0]
        g[:, BONE['forearm']] = arm @ roll[:, 0]
        g[:, BONE['upper_arm']] = g[:, BONE['forearm']] @ elbow[:, 0]
        g[:, [BONE['ring_palm'], BONE['pinky_palm']]] = cups
        g[:, BONE['thumb1']] = pronation[:, 0] @ arc(np.broadcast_to(self.thumb, to.shape), to)
        first = np.array([BONE[f'{finger}1'] for finger in LONG])
        g[:, first] = g[:, np.array(PARENTS)[first]] @ flexion @ level @ self.straight
        for k, hinge in enumerate(hinges):
            bones = np.array([BONE[f'{finger}{k + 2}'] for finger in FINGERS])
            g[:, bones] = g[:, bones - 1] @ hinge
        return g


def wrist_rotation(angles):
    """Rotation (N, 3, 3) of the hand against the forearm by angles (N, 27) in degrees."""
    flexion, deviation = np.radians(np.asarray(angles, np.float64))[
        :, [ANGLE['wrist_flexion'], ANGLE['wrist_deviation']]
    ].T
    x, _, z = np.eye(3)
    return axis_angle(-x * flexion[:, None]) @ axis_angle(-z * deviation[:, None])


def _about(a, b, axis):
    """Angles in radians from a to b (..., 3) about an axis, right-handed."""
    return np.arctan2((np.cross(a, b) * axis).sum(-1), (a * b).sum(-1))
