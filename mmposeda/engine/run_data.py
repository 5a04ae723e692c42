"""The data sets of a config, of all its stages, and what is wrong with them together."""

from __future__ import annotations

import contextlib
import copy
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config

from mmposeda.datasets.faults import DatasetCheck, Finding, check_dataset, error
from mmposeda.datasets.faults.dataset import UNREADABLE
from mmposeda.datasets.faults.domains import joints_agree, labelled_target, shared_pictures
from mmposeda.datasets.faults.pictures import Folders, hint_in
from mmposeda.datasets.faults.records import inner, labelled, without_looking_for_pictures
from mmposeda.datasets.lifting import LiftingDataset
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton

from .config_faults import head_faults, loader_faults, size_faults, weight_faults
from .stages import stage_config, stage_names

SPLITS = ('train', 'val', 'test')
#: where PoseStreams has its data sets
STREAMS = ('dataset', 'real_2d', 'real_3d')
#: transforms that learn from, or score, 3D joints
IN_SPACE = ('RelativeDepth', 'RootRelativePose', 'ScreenPose')


@dataclass
class RunPart:
    """A data set of a run, and what is found out about it.

    Attributes:
        cfg (dict): Its config, with the pipeline of its first use.
        uses (list[tuple[str, str]]): Stage and place, as ``('adapt', 'train 0')``.
        pipelines (list): Transforms of all its uses, each once.
        dataset: As built; None if that failed.
        check (DatasetCheck): What was found.
        seconds (float): What it took to build.
    """

    cfg: dict
    uses: list = field(default_factory=list)
    pipelines: list = field(default_factory=list)
    dataset: Any = None
    check: DatasetCheck = field(default_factory=DatasetCheck)
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """As ``train 0``, with the stages where there are some."""
        stages = list(dict.fromkeys(stage for stage, _ in self.uses if stage))
        return self.uses[0][1] + (f' ({", ".join(stages)})' if stages else '')

    @property
    def kind(self) -> str:
        """Class of the data set, below wrappers."""
        return type(inner(self.dataset)).__name__ if self.dataset is not None else innermost(self.cfg)['type']

    @property
    def labelled(self) -> bool:
        """Whether the data set, which is built, gives its joints to the run."""
        return labelled(self.dataset)

    def build(self, folders: Folders) -> None:
        """Build the data set, or note why it cannot be. Its samples tell where their joints lie in the input."""
        start, cfg = time.perf_counter(), copy.deepcopy(self.cfg)
        if innermost(cfg).get('pipeline'):
            innermost(cfg)['pipeline'][-1]['pack_transformed'] = True
        try:
            # COCO's reader prints
            with without_looking_for_pictures(), contextlib.redirect_stdout(io.StringIO()):
                self.dataset = DATASETS.build(cfg)
                if hasattr(self.dataset, 'full_init'):
                    self.dataset.full_init()
                if not len(self.dataset):
                    raise ValueError('it holds no sample; check its annotation file, split and filters')
        except UNREADABLE as problem:
            self.dataset = None
            self.check.findings.append(error(hint_in(str(problem), folders)))
        self.seconds = time.perf_counter() - start

    def look(self, every_picture: bool, folders: Folders) -> None:
        """Check the data set, if it could be built."""
        if self.dataset is not None:
            used = any(_uses_space(pipeline) for pipeline in self.pipelines)
            self.check = check_dataset(self.dataset, every_picture, used, folders)


class RunData:
    """All data sets of a config.

    Args:
        cfg (Config): The config.
        stage (str, optional): Look at one stage alone.
        options (dict, optional): Merged over it.

    Attributes:
        parts (list[RunPart]): Each data set once, whatever its pipelines and stages.
        findings (dict[Finding, list[str]]): What the data sets have with each other and with the config, and in which
            stages; known at the end of :meth:`check`.

    Raises:
        StageError: There is no such stage, or the stages cannot be run.
    """

    def __init__(self, cfg: Config, stage: str | None = None, options: Mapping | None = None):
        names = stage_names(cfg) if stage is None else [stage]
        self.configs = {name: stage_config(cfg, name, options) for name in names}
        self.parts: list[RunPart] = []
        self.findings: dict[Finding, list[str]] = {}
        self._loaded: dict[tuple[str, str], dict[str, RunPart]] = {}
        self._bare: list = []
        for name, config in self.configs.items():
            for split in SPLITS:
                dataset = (config.get(f'{split}_dataloader') or {}).get('dataset')
                if dataset is not None:
                    places = {f'{split} {number}': part for number, part in enumerate(members(dataset))}
                    self._loaded[name, split] = {place: self._add(part, name, place) for place, part in places.items()}

    def _add(self, cfg: Mapping, stage: str, place: str) -> RunPart:
        bare = copy.deepcopy(cfg)
        pipeline = innermost(bare).pop('pipeline', None)
        if bare not in self._bare:
            self._bare.append(bare)
            self.parts.append(RunPart(cfg))
        part = self.parts[self._bare.index(bare)]
        part.uses.append((stage, place))
        if pipeline is not None and pipeline not in part.pipelines:
            part.pipelines.append(pipeline)
        return part

    def check(self, every_picture: bool = False) -> Iterator[RunPart]:
        """Build and check one data set after the other, then all together. One that fails hides no other.

        Args:
            every_picture (bool): Decode every picture.
        """
        folders = Folders()
        for part in self.parts:
            part.build(folders)
            part.look(every_picture, folders)
            yield part
        for name in self.configs:
            for finding in (*self._contradictions(name), *self._shared(name)):
                self.findings.setdefault(finding, []).append(name)

    def _contradictions(self, name: str) -> list[Finding]:
        """Joints, sizes, quotas and weights of a stage."""
        cfg, train = self.configs[name], self._loaded.get((name, 'train'), {})
        found, model, pipelines = [], cfg.get('model') or {}, {}
        if train:
            found += _joint_faults(cfg, train, model)
            lengths = [None if part.dataset is None else len(part.dataset) for part in train.values()]
            found += loader_faults(cfg.train_dataloader, *_streams(cfg.train_dataloader, lengths, list(train)))
        for split in SPLITS:
            dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
            for number, part in enumerate(members(dataset) if dataset is not None else ()):
                pipelines[f'{split} {number}'] = innermost(part).get('pipeline') or ()
        return [*found, *size_faults(model, pipelines), *weight_faults(cfg)]

    def _shared(self, name: str) -> list[Finding]:
        """Pictures and labels that a stage's training shares with its tests."""
        pictures, domains = ({}, {}), ({}, {})
        for split in SPLITS:
            side = int(split != 'train')
            for place, part in self._loaded.get((name, split), {}).items():
                if part.dataset is None or isinstance(part.dataset, LiftingDataset):
                    continue
                has_labels, known = labelled(part.dataset), [id(used) for used, _ in pictures[side].values()]
                if id(part) not in known:  # validation and test are mostly one
                    pictures[side][place] = part, has_labels
                    domains[side][place] = has_labels, part.kind, getattr(inner(part.dataset), 'data_root', None)
        paths = [{place: (has, part.check.paths) for place, (part, has) in found.items()} for found in pictures]
        return [*shared_pictures(*paths), *labelled_target(*domains)]


def members(dataset: Mapping) -> list:
    """Configs of the data sets that a config joins."""
    if dataset['type'].split('.')[-1] == 'PoseStreams':
        return [dataset[key] for key in STREAMS if dataset.get(key)]
    joined = dataset.get('datasets', [dataset])
    return [part for part in joined.values() if part] if isinstance(joined, Mapping) else joined


def innermost(cfg: Mapping) -> Mapping:
    """Config of the data set below wrappers, which has the pipeline."""
    while isinstance(cfg.get('dataset'), Mapping):
        cfg = cfg['dataset']
    return cfg


def _joint_faults(cfg: Config, train: Mapping[str, RunPart], model: Mapping) -> list[Finding]:
    built = {place: part for place, part in train.items() if part.dataset is not None}
    if not built:
        return []
    first = next(iter(built.values()))
    whole = (cfg.train_dataloader.dataset.get('metainfo') if len(train) > 1 else None) or first.dataset.metainfo
    found = []
    for place, part in built.items() if len(train) > 1 else ():
        found += joints_agree(whole, part.dataset, place)
    if found:
        return found
    skeleton = Skeleton.from_metainfo(whole)
    return head_faults(model, _converted(first) or skeleton.num_joints, skeleton.name)


def _streams(loader: Mapping, lengths: Sequence, places: Sequence) -> tuple[Sequence, Sequence]:
    """Lengths and names of what a sampler has quotas for; streams that are not given are the first one."""
    dataset = loader['dataset']
    if dataset['type'].split('.')[-1] != 'PoseStreams':
        return lengths, places
    given = iter(zip(lengths, places))
    first = next(given)
    streams = [first, *(next(given) if dataset.get(key) else first for key in STREAMS[1:])]
    return [length for length, _ in streams], [name for _, name in streams]


def _converted(part: RunPart) -> int | None:
    """Joints that a pipeline makes of those of its data set."""
    steps = [step for step in part.pipelines[0] if step['type'].endswith('Converter')] if part.pipelines else []
    return steps[-1]['num_keypoints'] if steps else None


def _uses_space(pipeline: Sequence) -> bool:
    return any(step['type'].split('.')[-1] in IN_SPACE for step in pipeline)
