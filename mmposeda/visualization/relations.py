"""Figures of latent spaces of poses and motions, of what relations do in them, and of the poses that are predicted.

Legend: n samples, T frames that are shown, k steps of a walk, J joints. Poses are (J, 3) in the camera's axes (x right,
y down, z forward), of any unit that makes a person larger than 0.1; NaN where there is no joint. Pictures are RGB
(h, w, 3), uint8. Arrays or CPU tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmposeda.structures.relations import Relation
from mmposeda.structures.skeleton import Skeleton

from .pose_sheet import ASIDE, Block, Picture, Row, Sticks, pose_sheet
from .sticks3d import parsed_metainfo
from .style import COLORS, new_figure, tidy


class RelationPairs(NamedTuple):
    """A relation on pictures and in the latent space; of several pictures, or of the frames of a clip.

    Attributes:
        pictures (Any): (n, h, w, 3), as they are: x.
        related (Any): (n, h, w, 3), after the relation: A(x).
        poses (Any): (n, J, 3), of their latents: D(G(x)).
        by_network (Any): (n, J, 3), of these after the relation network: D(T(G(x))).
        by_pixels (Any): (n, J, 3), of the latents of the related pictures: D(G(A(x))).
    """

    pictures: Any
    related: Any
    poses: Any
    by_network: Any
    by_pixels: Any


def relation_sheet(
    pairs: Mapping[str, RelationPairs],
    metainfo: str | Mapping,
    heads: Mapping[str, Sequence[str]] | None = None,
    title: str = '',
) -> Figure:
    """What relations do to pictures, and to their poses by the relation network and by way of the pictures.

    As figure 3 of Kundu et al., NeurIPS 2021: a block a relation, a column a picture, or a frame of a clip. Rows are
    the picture, its pose, the pose after the relation network, that of the related picture, and the related picture.
    The two poses between should agree: below the first is by how much their bones differ, on average; below the second
    how far it is from the pose before the relation.

    Args:
        pairs (Mapping): Name of the relation -> what it does.
        metainfo (str | Mapping): Of the joint set: its name, or a data set's ``metainfo``.
        heads (Mapping, optional): Name of the relation -> n names of its columns.
        title (str): Above the figure.

    Raises:
        ValueError: No relation, or shapes that do not fit.
    """
    skeleton, blocks = Skeleton.from_metainfo(parsed_metainfo(metainfo)), []
    for name, given in pairs.items():
        pair = RelationPairs(*(np.asarray(part) for part in given))
        if len({len(part) for part in pair}) != 1:
            raise ValueError(f'{name}: pictures and poses are not as many, but {[len(part) for part in pair]}')
        off = [f'{turn:.0f}° off' for turn in _turns(skeleton, pair.by_pixels, pair.by_network)]
        moved = [f'{turn:.0f}° from G(x)' for turn in _turns(skeleton, pair.by_pixels, pair.poses)]
        rows = [
            Row('picture\nx', [Picture(picture) for picture in pair.pictures]),
            Row('its pose\nG(x)', [Sticks(pose) for pose in pair.poses]),
            Row('by the network\nT(G(x))', [Sticks(pose) for pose in pair.by_network], off),
            Row('by the picture\nG(A(x))', [Sticks(pose) for pose in pair.by_pixels], moved),
            Row('related picture\nA(x)', [Picture(picture) for picture in pair.related]),
        ]
        blocks.append(Block(name, (heads or {}).get(name, ()), rows))
    return pose_sheet(blocks, metainfo, title)


def walk_sheet(
    walks: Mapping[str, Mapping[str, Any]],
    metainfo: str | Mapping,
    heads: Mapping[str, Sequence[str]] | None = None,
    title: str = '',
) -> Figure:
    """Poses along lines through a latent space, a row a line; or motions, a row a step and a column a frame.

    Where the space is smooth a step turns every bone a little: at the left is the mean turn of a step.

    Args:
        walks (Mapping): What kind of walk -> name of a row -> poses (k, J, 3).
        metainfo (str | Mapping): Of the joint set: its name, or a data set's ``metainfo``.
        heads (Mapping, optional): What kind of walk -> k names of its columns.
        title (str): Above the figure.

    Raises:
        ValueError: No pose, or poses of another joint set.
    """
    skeleton, blocks = Skeleton.from_metainfo(parsed_metainfo(metainfo)), []
    for kind, given in walks.items():
        rows = []
        for name, poses in given.items():
            poses = np.asarray(poses)
            turn = f'{_turns(skeleton, poses[1:], poses[:-1]).mean():.0f}° a step' if len(poses) > 1 else ''
            rows.append(Row('\n'.join(filter(None, (name, turn))), [Sticks(pose) for pose in poses]))
        blocks.append(Block(kind, (heads or {}).get(kind, ()), rows))
    return pose_sheet(blocks, metainfo, title, cell=1.2)


def prediction_sheet(
    pictures: Any,
    poses: Any,
    metainfo: str | Mapping,
    truth: Any = None,
    points: Any = None,
    names: Sequence[str] = (),
    title: str = '',
) -> Figure:
    """Predicted poses over their pictures, as the camera sees them and from the side, beside the true ones.

    Below a prediction is by how much its bones are off the true ones, on average.

    Args:
        pictures (Any): (n, h, w, 3).
        poses (Any): (n, J, 3), predicted.
        metainfo (str | Mapping): Of the joint set: its name, or a data set's ``metainfo``.
        truth (Any, optional): (n, J, 3), in the unit of the predicted ones.
        points (Any, optional): (n, J, 2), pixels, where the true joints are: the predicted pose is moved and scaled, as
            closely as that allows, onto those that are known. Where none is, its view along the optical axis is put
            into the middle of the picture, filling 0.8 of it.
        names (Sequence[str]): n names of the rows.
        title (str): Above the figure.

    Raises:
        ValueError: No picture, or shapes that do not fit.
    """
    skeleton = Skeleton.from_metainfo(parsed_metainfo(metainfo))
    pictures, poses = np.asarray(pictures), np.asarray(poses, np.float64)
    truth = np.full(poses.shape, np.nan) if truth is None else np.asarray(truth, np.float64)
    points = np.full((*poses.shape[:2], 2), np.nan) if points is None else np.asarray(points, np.float64)
    if not len(pictures) == len(poses) or truth.shape != poses.shape or points.shape != (*poses.shape[:2], 2):
        raise ValueError(
            f'predicted poses {poses.shape} for pictures {pictures.shape}, true poses {truth.shape} and points '
            f'{points.shape} do not fit each other'
        )
    known = np.isfinite(truth).all(-1).any(-1)
    rows = []
    for i, (off, name) in enumerate(zip(_turns(skeleton, poses, truth), [*names, *[''] * len(poses)])):
        placed = _placed(poses[i, :, :2], points[i], pictures.shape[2:0:-1])
        cells = [Picture(pictures[i], placed), Sticks(poses[i]), Sticks(poses[i], ASIDE)]
        if known.any():
            cells += [Sticks(truth[i]), Sticks(truth[i], ASIDE)] if known[i] else [None] * 2
        rows.append(Row(name, cells, ['', f'{off:.0f}° off'] if known[i] else []))
    heads = ['predicted', 'from the camera', 'from the side', *(['true', 'true, from the side'] if known.any() else [])]
    return pose_sheet([Block('', heads, rows)], metainfo, title, cell=1.4, side=0.9 if any(names) else 0.1)


def non_localness_figure(
    distances: Mapping[str, float],
    used: Iterable[str] = (),
    predicted: Mapping[str, float] | None = None,
    title: str = '',
) -> Figure:
    """How far relations lead in the latent spaces of poses and of motions, by their turn about the optical axis.

    Args:
        distances (Mapping): Name of a relation, as ``Relation.parse`` reads it -> mean distance of a latent and its
            related one, relative to that of random pairs.
        used (Iterable[str]): Relations to mark.
        predicted (Mapping, optional): As ``distances``, of predictions, relative to the same random pairs: far below
            the others where predictions collapse.
        title (str): Above the figure.

    Raises:
        ValueError: No relation, or one of another name.
    """
    predicted, used = predicted or {}, set(used)
    relations = {name: Relation.parse(name) for name in dict.fromkeys((*distances, *predicted))}
    levels = [level for level in ('pose', 'motion') if any(r.level == level for r in relations.values())]
    if not levels:
        raise ValueError('there is no relation to draw')
    figure = new_figure(4.6 * len(levels) + 0.4, 3.6 + 0.3 * bool(title))
    panels = figure.subplots(1, len(levels), squeeze=False, sharey=True)[0]
    for axes, level in zip(panels, levels):
        of_level = {name: relation for name, relation in relations.items() if relation.level == level}
        _curves(axes, of_level, distances, used, predicted)
        axes.set_title(f'relations of {level}s', fontsize=10)
        axes.set_xlabel('turn about the optical axis (degrees)', fontsize=9)
        axes.yaxis.grid(True, color='#DDDDDD', linewidth=0.6)
        axes.set_axisbelow(True)
        tidy(axes)
    panels[0].set_ylabel('mean distance of related latents\n(1 = of random pairs)', fontsize=9)
    panels[0].set_ylim(bottom=0)
    if title:
        figure.suptitle(title, fontsize=12)
    return figure


def _curves(
    axes: Axes,
    relations: Mapping[str, Relation],
    distances: Mapping[str, float],
    used: set[str],
    predicted: Mapping[str, float],
) -> None:
    """A line for turns alone and one for those with a mirroring; replays at half the speed lie across."""
    axes.axhline(1, color='#999999', linewidth=0.8, linestyle=':')
    farthest = max(relation.angle for relation in relations.values())
    backward = 'backward, ' * any(relation.backward for relation in relations.values())
    for flip, color, label in ((False, COLORS[0], 'turned'), (True, COLORS[5], 'turned and mirrored')):
        line = sorted(
            (relation.angle, distances[name])
            for name, relation in relations.items()
            if name in distances and relation.flip == flip and not relation.slow
        )
        if line:
            axes.plot(*zip(*line), '-o', color=color, markersize=3.5, label=backward + label)
    for name, relation in relations.items():
        if relation.slow and name in distances:
            label = f'{backward}at half the speed'
            axes.axhline(distances[name], color=COLORS[2], linewidth=1.5, linestyle='--', label=label)
    of_used = {name: distances[name] for name in used if name in distances}
    for label, marker, values in (('used', 'o', of_used), ('used, on predictions', 'D', predicted)):
        places = [
            (farthest if relations[name].slow else relations[name].angle, value)
            for name, value in values.items()
            if name in relations
        ]
        if places:
            where = dict(markersize=9, markerfacecolor='none', linestyle='none')
            axes.plot(*zip(*places), marker, color='#222222', label=label, **where)
    axes.legend(frameon=False, fontsize=8, loc='upper center', bbox_to_anchor=(0.5, -0.2), ncols=2)


def _turns(skeleton: Skeleton, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean angle (n,) between the bones of poses (n, J, 3), degrees, over those that both have; NaN for none."""
    joints, parents = zip(*((joint, parent) for joint, parent in enumerate(skeleton.parents) if parent >= 0))
    bones = [pose[:, joints] - pose[:, parents] for pose in (first, second)]
    with np.errstate(invalid='ignore', divide='ignore'):
        cosine = (bones[0] * bones[1]).sum(-1) / np.prod([np.linalg.norm(bone, axis=-1) for bone in bones], 0)
        angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        seen = np.isfinite(angles)
        return np.where(seen, angles, 0).sum(-1) / seen.sum(-1)


def _placed(pose: np.ndarray, points: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """A pose (J, 2) put over a picture of size (w, h): onto points (J, 2), or where they do not tell, its middle."""
    known = np.isfinite(points).all(-1) & np.isfinite(pose).all(-1)
    if known.sum() > 1:
        seen, aim = (x[known] - x[known].mean(0) for x in (pose, points))
        scale = (seen * aim).sum() / max((seen**2).sum(), 1e-12)
        if scale > 0:
            return (pose - pose[known].mean(0)) * scale + points[known].mean(0)
    low, high = np.nanmin(pose, 0), np.nanmax(pose, 0)
    scale = (0.8 * np.array(size) / np.maximum(high - low, 1e-12)).min()
    return (pose - (low + high) / 2) * scale + (np.array(size) - 1) / 2
