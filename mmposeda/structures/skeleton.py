"""One frozen description per joint set, read from MMPose's dataset meta files and ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from mmengine.config import Config

METAINFO_DIR = Path(__file__).resolve().parents[1] / 'datasets' / 'metainfo'
_ROOT_NAMES = ('pelvis', 'root', 'hip', 'wrist', 'palm')


@dataclass(frozen=True)
class JointMap:
    """How the joints of one set are made from those of another.

    Attributes:
        source (str), target (str): names of the two joint sets.
        weights (np.ndarray): (K_target, K_source) float32; row k gives target joint k as a linear combination of
            source joints (one 1 for a plain copy, two 0.5 for a mid-point, all 0 where there is no counterpart).
    """

    source: str
    target: str
    weights: np.ndarray = field(repr=False)

    @property
    def mask(self) -> np.ndarray:
        """(K_target,) bool, True where the joint has a counterpart."""
        return self.weights.any(axis=1)

    @property
    def is_permutation(self) -> bool:
        """Whether every joint with a counterpart is a plain copy of one source joint."""
        return bool(np.isin(self.weights, (0, 1)).all() and (self.weights.sum(1) <= 1).all())

    @property
    def indices(self) -> np.ndarray:
        """(K_target,) int64 index into the source joints, -1 where there is no counterpart.

        Raises:
            ValueError: some joint is a combination of several source joints; use :attr:`weights`.
        """
        if not self.is_permutation:
            raise ValueError(
                f'the map {self.source} -> {self.target} holds mid-points; use its weights or map_to(midpoints=False)'
            )
        return np.where(self.mask, self.weights.argmax(1), -1)

    def apply(self, keypoints: np.ndarray, visible: np.ndarray | None = None):
        """Keypoints (..., K_source, D) to (..., K_target, D), zero where there is no counterpart.

        With ``visible`` (..., K_source), a pair is returned; a combined joint is as visible as its least visible part.
        """
        keypoints = np.asarray(keypoints)
        used = (self.weights != 0).any(0)
        clean = np.where(used[:, None], keypoints, 0)  # a joint nobody asks for may be NaN
        out = (self.weights @ clean).astype(keypoints.dtype)
        if visible is None:
            return out
        parts = np.where(self.weights != 0, np.asarray(visible)[..., None, :], np.inf).min(-1)
        return out, np.where(self.mask, parts, 0).astype(np.asarray(visible).dtype)

    def converter(self) -> dict:
        """Config of MMPose's ``KeypointConverter`` that does this map. Put it after any flip in the pipeline.

        Raises:
            ValueError: a joint is neither a copy nor the middle of two joints, which that transform cannot do.
        """
        mapping = []
        for k, row in enumerate(self.weights):
            parts = tuple(int(i) for i in np.flatnonzero(row))
            if len(parts) == 1 and row[parts[0]] == 1:
                mapping.append((parts[0], k))
            elif len(parts) == 2 and (row[list(parts)] == 0.5).all():
                mapping.append((parts, k))
            elif parts:
                raise ValueError(
                    f'joint {k} of {self.target} needs weights {row[list(parts)]} of {self.source}, but '
                    'KeypointConverter only copies joints or takes the middle of two'
                )
        return dict(type='KeypointConverter', num_keypoints=len(self.weights), mapping=mapping)


@dataclass(frozen=True)
class Skeleton:
    """A joint set: names, tree, symmetry, groups for reports and maps by name to other sets.

    Attributes:
        name (str): ``dataset_name`` of the meta file.
        joint_names (tuple[str]): K names, in the order of the data.
        parents (tuple[int]): K indices, -1 for a root.
        flip_indices (tuple[int]): K indices of the mirrored joints.
        groups (dict[str, tuple[int]]): joint indices by report group; ``all`` is what a table's last column averages.
        angle_triplets (tuple[tuple[int]]): (J, 3) indices, the angle sits at the middle one.
        parts (dict[str, tuple[int]]): joints by body part, each standing for the bone from its parent to itself; parts
            may share bones.
        sigmas (tuple[float]): K spreads of COCO's keypoint similarity.
        joint_set (str): name of our meta file with these joints in this order (``hand21`` for MMPose's FreiHAND).
        aliases (dict[str, str]): own joint name -> the name it is matched by in other sets, where they differ.
        derived (dict): joint name -> own joints it is the mean of, for sets that have a joint we lack.
        maps (dict): joint set -> {its joint: own joint, tuple of own joints (mean), {own joint: weight} or None}.
            What is written there overrides matching by name; None means "no counterpart".
    """

    name: str
    joint_names: tuple
    parents: tuple
    flip_indices: tuple
    groups: dict = field(hash=False)
    angle_triplets: tuple = ()
    parts: dict = field(default_factory=dict, hash=False)
    sigmas: tuple = ()
    joint_set: str = ''
    aliases: dict = field(default_factory=dict, hash=False, repr=False)
    derived: dict = field(default_factory=dict, hash=False, repr=False)
    maps: dict = field(default_factory=dict, hash=False, repr=False)

    def __post_init__(self):
        k = len(self.joint_names)
        if len(set(self.joint_names)) != k:
            raise ValueError(f'skeleton {self.name}: joint names repeat: {self.joint_names}')
        for what in ('parents', 'flip_indices'):
            if len(getattr(self, what)) != k:
                raise ValueError(f'skeleton {self.name}: {k} joints but {len(getattr(self, what))} {what}')
        if self.sigmas and len(self.sigmas) != k:
            raise ValueError(f'skeleton {self.name}: {k} joints but {len(self.sigmas)} sigmas')
        flips = self.flip_indices
        if any(not 0 <= f < k for f in flips) or any(flips[flips[i]] != i for i in range(k)):
            raise ValueError(f'skeleton {self.name}: flip_indices {flips} do not give back the joints when used twice')
        for joint in range(k):
            seen = set()
            while joint != -1:
                if not -1 <= joint < k or joint in seen:
                    raise ValueError(f'skeleton {self.name}: parents {self.parents} are no tree (cycle or bad index)')
                seen.add(joint)
                joint = self.parents[joint]
        for joint in (*self.aliases, *(j for rule in self.derived.values() for j in rule)):
            if joint not in self.joint_names:
                raise ValueError(f'skeleton {self.name}: aliases or derived joints name {joint!r}, which it lacks')
        for group, members in self.groups.items():
            if not members or any(not 0 <= j < k for j in members):
                raise ValueError(f'skeleton {self.name}: group {group!r} = {members} is empty or outside 0..{k - 1}')
        for part, members in self.parts.items():
            if not members or any(not 0 <= j < k or self.parents[j] == -1 for j in members):
                raise ValueError(
                    f'skeleton {self.name}: part {part!r} = {members} is empty, outside 0..{k - 1}, or holds the root, '
                    'to which no bone leads'
                )
        for triplet in self.angle_triplets:
            if len(set(triplet)) != 3 or any(not 0 <= j < k for j in triplet):
                raise ValueError(f'skeleton {self.name}: bad angle triplet {triplet}, expected 3 joints in 0..{k - 1}')

    @property
    def num_joints(self) -> int:
        """K."""
        return len(self.joint_names)

    def index(self, name: str) -> int:
        """Index of a joint by its name or the alias it is matched by.

        Raises:
            KeyError: no such joint; the message lists the names.
        """
        if name in self.joint_names:
            return self.joint_names.index(name)
        for own, alias in self.aliases.items():
            if alias == name:
                return self.joint_names.index(own)
        raise KeyError(f'skeleton {self.name} has no joint {name!r}; it has {", ".join(self.joint_names)}')

    def index_all(self, names: str | Iterable[str]) -> tuple[int, ...]:
        """Places of one joint or of several."""
        return tuple(map(self.index, (names,) if isinstance(names, str) else names))

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """Pairs (parent, child), one for each joint that has a parent."""
        return tuple((parent, child) for child, parent in enumerate(self.parents) if parent != -1)

    def same_joints(self, other: Skeleton) -> bool:
        """Whether both have the same joints in the same order, aliases counted as equal."""
        return self._canonical() == other._canonical()

    def common_joints(self, other: Skeleton) -> tuple:
        """Names of the joints of ``other`` that this set can supply (empty if none)."""
        mask = self._weights_to(other, midpoints=True).any(1)
        return tuple(n for n, m in zip(other.joint_names, mask) if m)

    def map_to(self, other: Skeleton, midpoints: bool = True) -> JointMap:
        """How to make the joints of ``other`` from ours, by name and by what the meta files say.

        Args:
            midpoints (bool): also fill joints that are a mean of ours (pelvis from the hips).

        Raises:
            ValueError: the two sets share no joint.
        """
        weights = self._weights_to(other, midpoints)
        if not weights.any():
            raise ValueError(
                f'joint sets {self.name!r} and {other.name!r} share no joint: {", ".join(self.joint_names)} against '
                f'{", ".join(other.joint_names)}. Name the counterparts in `maps` of the meta file, '
                f'e.g. maps=dict({other.joint_set or other.name}={{...}})'
            )
        return JointMap(self.name, other.name, weights)

    def _canonical(self) -> tuple:
        return tuple(self.aliases.get(n, n) for n in self.joint_names)

    def _weights_to(self, other: Skeleton, midpoints: bool) -> np.ndarray:
        weights = np.zeros((other.num_joints, self.num_joints), np.float32)
        explicit = self.maps.get(other.joint_set) or self.maps.get(other.name) or {}
        reverse = other.maps.get(self.joint_set) or other.maps.get(self.name) or {}
        reverse = {theirs: ours for ours, theirs in reverse.items() if isinstance(theirs, str)}
        own = {alias: n for n, alias in zip(self.joint_names, self._canonical())}
        for k, (name, alias) in enumerate(zip(other.joint_names, other._canonical())):
            if name in explicit:
                rule = explicit[name]
            else:
                rule = reverse.get(name) or own.get(alias) or (self.derived.get(alias) if midpoints else None)
            if rule is None:
                continue
            if isinstance(rule, str):
                rule = {rule: 1.0}
            elif not isinstance(rule, Mapping):
                rule = {n: 1.0 / len(rule) for n in rule}
            if len(rule) > 1 and not midpoints:
                continue
            for joint, weight in rule.items():
                weights[k, self.index(joint)] = weight
        return weights

    @classmethod
    def from_metainfo(cls, metainfo: str | Path | Mapping) -> Skeleton:
        """Read a joint set.

        Args:
            metainfo: name of one of our meta files (``lsp``) or of MMPose's (``coco``); path of a meta file; raw meta
                dict (``keypoint_info``), also with ``from_file``; or parsed meta dict (``dataset.metainfo``). Groups,
                parents and maps that the input lacks are taken from our meta file with the same joints in the same
                order, else groups are made of mirrored pairs and parents from the drawn links.

        Raises:
            FileNotFoundError: no meta file of that name; the message lists ours.
            ValueError: the description contradicts itself.
        """
        if isinstance(metainfo, (str, Path)):
            return _load(str(metainfo))
        if 'from_file' in metainfo:
            return _load(str(metainfo['from_file']))
        return _from_dict(metainfo)


def metainfo_path(name: str) -> str:
    """Path of a meta file by name, for ``metainfo=dict(from_file=...)``: ours first, then MMPose's."""
    for path in (Path(name), METAINFO_DIR / f'{Path(name).stem}.py', _mmpose_dir() / f'{Path(name).stem}.py'):
        if path.suffix == '.py' and path.is_file():
            return str(path)
    ours = ', '.join(sorted(p.stem for p in METAINFO_DIR.glob('[a-z0-9]*.py')))
    raise FileNotFoundError(f'no meta file {name!r}: neither a path, nor one of ours ({ours}), nor one of MMPose')


def _mmpose_dir() -> Path:
    import mmpose

    root = Path(mmpose.__file__).parent
    packed = root / '.mim' / 'configs'
    return (packed if packed.is_dir() else root.parent / 'configs') / '_base_' / 'datasets'


@cache
def _load(name: str) -> Skeleton:
    return _from_dict(Config.fromfile(metainfo_path(name)).dataset_info.to_dict())


@cache
def _our_sets() -> dict:
    """Joint names -> meta file of ours. Variants of one order (SURREAL's) are found by their own name first."""
    sets = {}
    for path in sorted(METAINFO_DIR.glob('[a-z0-9]*.py')):
        info = Config.fromfile(str(path)).dataset_info.to_dict()
        sets.setdefault(_names(info), []).append(info)
    return sets


def _names(info: Mapping) -> tuple:
    if 'keypoint_id2name' in info:
        return tuple(info['keypoint_id2name'][i] for i in range(len(info['keypoint_id2name'])))
    return tuple(info['keypoint_info'][i]['name'] for i in range(len(info['keypoint_info'])))


def _from_dict(info: Mapping) -> Skeleton:
    if 'keypoint_info' not in info and 'keypoint_id2name' not in info:
        raise ValueError(f'no pose metainfo: expected `keypoint_info` or `keypoint_id2name`, got keys {sorted(info)}')
    names = _names(info)
    name = info['dataset_name']
    joint_set, extra = name, info
    if 'groups' not in info:
        ours = _our_sets().get(names, [])
        extra = next((s for s in ours if s['dataset_name'] == name), ours[0] if ours else info)
        joint_set = extra['dataset_name']
    index = {n: i for i, n in enumerate(names)}
    flips = _flips(info, index)
    sigmas = info.get('sigmas')
    try:
        return Skeleton(
            name=name,
            joint_names=names,
            parents=_parents(extra, index),
            flip_indices=flips,
            groups={g: tuple(index[n] for n in m) for g, m in extra.get('groups', _pairs(names, flips)).items()},
            angle_triplets=tuple(tuple(index[n] for n in t) for t in extra.get('angle_triplets', ())),
            parts={part: tuple(index[n] for n in m) for part, m in extra.get('parts', {}).items()},
            sigmas=tuple(float(s) for s in sigmas) if sigmas is not None else (),
            joint_set=joint_set,
            aliases=dict(extra.get('aliases', {})),
            derived=dict(extra.get('derived', {})),
            maps=dict(extra.get('maps', {})),
        )
    except KeyError as error:
        raise ValueError(
            f'metainfo {name!r} names joint {error} in parents, groups, parts or triplets; it has {names}'
        ) from None


def _flips(info: Mapping, index: Mapping) -> tuple:
    if 'flip_indices' in info:
        return tuple(int(i) for i in info['flip_indices'])
    swaps = (info['keypoint_info'][i] for i in range(len(index)))
    return tuple(index[j.get('swap') or j['name']] for j in swaps)


def _pairs(names: Sequence, flips: Sequence) -> dict:
    groups = {}
    for i, f in enumerate(flips):
        if i <= f:
            group = names[i].replace('left_', '').replace('right_', '') if i != f else names[i]
            groups[group] = tuple(names[j] for j in sorted({i, f}))
    return {**groups, 'all': tuple(names)}


def _parents(info: Mapping, index: Mapping) -> tuple:
    """Parents by name where given, else a breadth-first tree of the drawn links from the most central root."""
    if 'parents' in info:
        return tuple(index[info['parents'][n]] if info['parents'].get(n) else -1 for n in index)
    links = [tuple(x['link']) for x in info['skeleton_info'].values()] if 'skeleton_info' in info else None
    if links is None:
        names = list(index)
        links = [(names[a], names[b]) for a, b in info.get('skeleton_links', ())]
    near: dict = {n: [] for n in index}
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    parents: dict = {}
    for root in _roots_first(index):
        if root not in parents:
            parents[root] = None
            queue = [root]
            for joint in queue:
                for n in near[joint]:
                    if n not in parents:
                        parents[n] = joint
                        queue.append(n)
    return tuple(index[parents[n]] if parents[n] else -1 for n in index)


def _roots_first(names: Iterable) -> list:
    return sorted(names, key=lambda n: n not in _ROOT_NAMES)
