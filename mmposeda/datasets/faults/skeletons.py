"""Left and right that contradict each other, and fingers that run from tip to palm.

The signs are chosen such that poses of any kind keep them in most samples, whatever the view; the shares and
:data:`LEAST` are our choice.
"""

from __future__ import annotations

import numpy as np

from mmposeda.structures.skeleton import Skeleton

from .findings import Finding, error
from .records import Labels

#: Fewer samples that tell do not count.
LEAST = 12
#: Left and right of the trunk, and of limbs, are swapped if more than this share of the samples that tell says so. Of
#: LSP-extended's photos 0.07 do for the shoulders against the hips, and 0.13 for the ankles; of people who walk, seen
#: from all round, 0.44 for the ankles.
SWAPPED, LIMB_SWAPPED = 0.7, 0.8
#: A finger is turned round if more than this share of the samples says so; of rendered hands in 2D up to 0.15 do.
TURNED = 0.6
#: Two joints tell their direction if they are so many torso lengths (face: eye distances) apart.
APART = 0.1
#: A knee tells where it bends to if it is so many leg lengths off the line from hip to ankle.
BENT = 0.04
TRUNK = ('left_shoulder', 'right_shoulder', 'left_hip', 'right_hip')
LIMBS = ('elbow', 'knee', 'ankle', 'wrist')


def left_and_right(labels: Labels) -> list[Finding]:
    """Pairs of joints whose left and right contradict those of the trunk, and bodies that are mirrored as a whole.

    Shoulders and hips of a person lie side by side alike, and so, less strictly, do elbows, knees, ankles and wrists.
    A body that is mirrored as a whole is told in 3D by knees and feet, which then bend and point backwards, and in 2D
    by a face, whose nose is then above the eyes.
    """
    if labels.points is None or not labels.has(*TRUNK):
        return _mirrored_face(labels)
    in_space = labels.space is not None and labels.known.any()
    points, good = (labels.space, labels.known) if in_space else (labels.points, labels.good)
    torso, shoulders, hips = _trunk(labels, points)
    findings = []
    share, count, row = _disagree(shoulders, hips, torso, _all(labels, good, *TRUNK))
    if count >= LEAST and share > SWAPPED:
        findings.append(_swapped('shoulders', 'hips', share, count, labels.names[row]))
    else:
        for limb in LIMBS:
            pair = f'left_{limb}', f'right_{limb}'
            if labels.has(*pair):
                own = points[:, labels.skeleton.index(pair[1])] - points[:, labels.skeleton.index(pair[0])]
                share, count, row = _disagree(own, shoulders + hips, torso, _all(labels, good, *TRUNK, *pair))
                if count >= LEAST and share > LIMB_SWAPPED:
                    findings.append(_swapped(f'{limb}s', 'shoulders and hips', share, count, labels.names[row]))
        findings += _mirrored_body(labels) if in_space else _mirrored_face(labels)
    return findings


def turned_fingers(labels: Labels) -> list[Finding]:
    """Fingers whose first joint is further from the wrist than their last, and whose last bone is the longest.

    Of a fist the tips are near the wrist, too, but its bones still get shorter towards them; in 2D that holds unless
    most of the set are fists that point at the camera.
    """
    fingers = finger_chains(labels.skeleton)
    if labels.points is None or not fingers:
        return []
    in_space = labels.space is not None and labels.known.any()
    points, good = (labels.space, labels.known) if in_space else (labels.points, labels.good)
    turned, most, first = [], 0.0, ''
    for chain in fingers:
        there = good[:, chain].all(1)
        wrist, first, second, before, tip = (points[there, joint] for joint in (*chain[:3], *chain[-2:]))
        said = (_length(tip - wrist) < _length(first - wrist)) & (_length(second - first) < _length(tip - before))
        if there.sum() >= LEAST and said.mean() > TURNED:
            first = labels.names[np.flatnonzero(there)[np.argmax(said)]] if not turned else first
            turned.append(chain)
            most = max(most, said.mean())
    if not turned:
        return []
    names = labels.skeleton.joint_names
    chains = '; '.join(f'{names[chain[1]]} to {names[chain[-1]]}' for chain in turned)
    return [
        error(
            f'fingers run from the tip to the palm: {chains}, in {most:.0%} of the samples that tell, '
            f'the first is {first}. Is the order of the joints that of {labels.skeleton.name!r}? Name the right joint '
            'set, or map the joints'
        )
    ]


def finger_chains(skeleton: Skeleton) -> list[list[int]]:
    """Joints from the wrist to each tip, five at least; empty for what is no hand (no joint with five children)."""
    parents = skeleton.parents
    chains = []
    for tip in set(range(len(parents))) - set(parents):
        chain = [tip]
        while parents[chain[-1]] != -1 and parents.count(chain[-1]) < 5:
            chain.append(parents[chain[-1]])
        if parents.count(chain[-1]) >= 5 and len(chain) >= 5:
            chains.append(chain[::-1])
    return sorted(chains, key=lambda chain: chain[1])


def _trunk(labels: Labels, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Torso length (n,), and vectors (n, D) from the left to the right shoulder and hip."""
    ls, rs, lh, rh = (points[:, labels.skeleton.index(name)] for name in TRUNK)
    return _length((ls + rs - lh - rh) / 2), rs - ls, rh - lh


def _disagree(one: np.ndarray, other: np.ndarray, unit: np.ndarray, there: np.ndarray) -> tuple[float, int, int]:
    """Share of the samples in which two vectors (n, D) point apart, how many there are that tell, and the first."""
    with np.errstate(invalid='ignore'):
        tell = there & (_length(one) > APART * unit) & (_length(other) > APART * unit)
    apart = (one[tell] * other[tell]).sum(-1) < 0
    first = int(np.flatnonzero(tell)[np.argmax(apart)]) if len(apart) else 0
    return (float(apart.mean()) if len(apart) else 0.0), len(apart), first


def _swapped(what: str, against: str, share: float, count: int, first: str) -> Finding:
    return error(
        f'left and right of the {what} contradict the {against} in {share:.0%} of {count} samples that tell, '
        f'the first is {first}. Look at the picture, and swap them in the map of the joints'
    )


def _mirrored_body(labels: Labels) -> list[Finding]:
    """By knees, feet and face in 3D: the body's front is up x right, whatever the axes' directions."""
    points, index = labels.space, labels.skeleton.index
    torso, shoulders, hips = _trunk(labels, points)
    up = sum(points[:, index(n)] for n in TRUNK[:2]) - sum(points[:, index(n)] for n in TRUNK[2:])
    front = np.cross(up, hips + shoulders)
    front /= np.maximum(_length(front), 1e-9)[:, None]
    votes, rows = [], []
    for side in ('left', 'right'):
        leg = tuple(f'{side}_{joint}' for joint in ('hip', 'knee', 'ankle'))
        if labels.has(*leg):
            hip, knee, ankle = (points[:, index(joint)] for joint in leg)
            ahead = ((knee - (hip + ankle) / 2) * front).sum(-1) / np.maximum(_length(hip - ankle), 1e-9)
            there = _all(labels, labels.known, *TRUNK, *leg) & (np.abs(ahead) > BENT)
            votes.append(ahead[there] < 0)
            rows.append(np.flatnonzero(there))
        foot = f'{side}_ankle', f'{side}_foot'
        if labels.has(*foot):
            ahead = ((points[:, index(foot[1])] - points[:, index(foot[0])]) * front).sum(-1) / torso
            there = _all(labels, labels.known, *TRUNK, *foot) & (np.abs(ahead) > APART)
            votes.append(ahead[there] < 0)
            rows.append(np.flatnonzero(there))
    votes = np.concatenate(votes) if votes else np.zeros(0, bool)
    if len(votes) < LEAST or votes.mean() <= SWAPPED:
        return []
    first = labels.names[np.concatenate(rows)[votes].min()]
    return [
        error(
            f'left and right of whole bodies are swapped, or an axis is mirrored: in 3D, {votes.mean():.0%} of '
            f'{len(votes)} knees and feet bend and point backwards, first in {first}. Swap left and right in the map '
            'of the joints, or turn the axis (x right, y down, z away from the camera)'
        )
    ]


def _mirrored_face(labels: Labels) -> list[Finding]:
    face = 'left_eye', 'right_eye', 'nose'
    if labels.points is None or not labels.has(*face):
        return []
    left, right, nose = (labels.points[:, labels.skeleton.index(joint)] for joint in face)
    eyes, down = left - right, nose - (left + right) / 2
    with np.errstate(invalid='ignore'):
        there = _all(labels, labels.good, *face) & (_length(down) > APART * _length(eyes)) & (_length(eyes) > 0)
    turn = eyes[there, 0] * down[there, 1] - eyes[there, 1] * down[there, 0]
    if len(turn) < LEAST or (turn < 0).mean() <= SWAPPED:
        return []
    return [
        error(
            f'left and right of faces are swapped: in {(turn < 0).mean():.0%} of {len(turn)} faces the nose is above '
            'the eyes, seen with the left eye on the right. Swap left and right in the map of the joints'
        )
    ]


def _all(labels: Labels, good: np.ndarray, *joints: str) -> np.ndarray:
    return good[:, list(labels.skeleton.index_all(joints))].all(1)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)
