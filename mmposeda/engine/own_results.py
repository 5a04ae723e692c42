"""What came of an adaptation to own pictures: what the run logged, and predictions before and after."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmposeda.datasets.annotations import AnnotationError, load_json
from mmposeda.datasets.images import image_size
from mmposeda.evaluation.joints import in_crop
from mmposeda.registry import DATASETS, METRICS
from mmposeda.structures.skeleton import Skeleton

from .own_config import STAGE
from .own_data import GivenEstimator, OwnDataError
from .prediction import load_model, predict
from .stages import stage_config

#: Most pictures that are predicted for the report
MOST = 500
THRESHOLDS = (0.05, 0.1, 0.2)


@dataclass
class BeforeAfter:
    """Predictions of N pictures by the given and by the adapted estimator, in pixels of the same input crops.

    Attributes:
        crops (list[np.ndarray]): RGB (h, w, 3), uint8, as the network sees them.
        names (list[str]): Of the pictures.
        before, after (np.ndarray): (N, K, 2).
        scores_before, scores_after (np.ndarray): (N, K), as the head gives them.
    """

    crops: list
    names: list
    before: np.ndarray
    after: np.ndarray
    scores_before: np.ndarray
    scores_after: np.ndarray

    @property
    def moved(self) -> np.ndarray:
        """(N, K) how far joints moved, as a share of the crop's longer side."""
        return np.linalg.norm(self.after - self.before, axis=-1) / max(self.crops[0].shape[:2])


def logged_scalars(stage: str | Path) -> dict[str, tuple[list, list]]:
    """Curves of a run, over all parts it was run in, the later one first: name -> iterations and values."""
    rows: dict[int, dict] = {}
    for path in sorted(Path(stage).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            if any('loss' in name for name in row):
                rows[int(row['step'])] = row
    names = {name: None for row in rows.values() for name in row}
    plain = ('iter', 'step', 'epoch', 'time', 'data_time', 'base_lr', 'memory')
    curves = {}
    for name in names:
        steps = [step for step in sorted(rows) if name in rows[step]]
        if name not in plain:
            curves[name] = (steps, [float(rows[step][name]) for step in steps])
    return curves


def logged_warnings(stage: str | Path) -> list[str]:
    """Signs of collapse that a run warned of, in order, each once."""
    found = {}
    for path in sorted(Path(stage).glob('*/*.log')):
        found.update(dict.fromkeys(re.findall(r'Sign of collapse at .*', path.read_text(errors='replace'))))
    return list(found)


def last_panel(stage: str | Path) -> Path | None:
    """The last picture of what the model saw in training, if the method draws any."""
    found = sorted(Path(stage).glob('*/vis_data/adaptation_*.png'), key=lambda path: path.name)
    return found[-1] if found else None


def spread_over(count: int, most: int) -> list[int]:
    """At most so many indices, evenly over all."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})


class Comparison:
    """The given and the adapted estimator side by side.

    Args:
        config (str | Path): What :func:`~mmposeda.engine.own_config.write_config` wrote.
        given (GivenEstimator): The estimator before.
        checkpoint (str | Path): The adapter's checkpoint.
    """

    def __init__(self, config: str | Path, given: GivenEstimator, checkpoint: str | Path):
        self.cfg = stage_config(Config.fromfile(str(config)), STAGE)
        self.given = given
        with DefaultScope.overwrite_default_scope('mmposeda'):
            before = dict(type='SourceOnly', estimator=given.estimator)
            self.models = load_model(before, given.checkpoint), load_model(self.cfg.model, str(checkpoint))

    def on_target(self, most: int = MOST) -> BeforeAfter:
        """Predictions on the target's pictures, or on some spread over all of them."""
        with DefaultScope.overwrite_default_scope('mmposeda'):
            dataset = DATASETS.build(self.cfg.test_dataloader.dataset)
            indices = spread_over(len(dataset), most)
            before, after = (predict(model, dataset, indices) for model in self.models)
            crops = [np.ascontiguousarray(dataset[i]['inputs'].numpy()[::-1].transpose(1, 2, 0)) for i in indices]
        root = Path(self.cfg.test_dataloader.dataset.data_root)
        names = [str(Path(sample.img_path).relative_to(root)) for sample in before]
        return BeforeAfter(crops, names, *map(_points, (before, after)), *map(_scores, (before, after)))

    def on_labels(self, labels: str, images: str, whole: bool, folder: str | Path) -> dict[str, dict[str, float]]:
        """PCK before and after on labelled pictures; the labels go nowhere else.

        Args:
            labels (str): COCO-style file; joints are matched by name where it names them.
            images (str): Folder of its pictures.
            whole (bool): Take whole pictures, as the adaptation did, and not the boxes of the file.
            folder (str | Path): Where the labels in the estimator's joints are written.

        Returns:
            dict[str, dict[str, float]]: 'before' and 'after' -> metrics of
            :class:`~mmposeda.evaluation.GroupedPCK`.

        Raises:
            AnnotationError: The file is none of labelled joints.
            OwnDataError: It has other joints.
        """
        path = Path(folder) / 'labels.json'
        path.write_text(json.dumps(labels_of(labels, images, self.given, whole)))
        dataset = dict(
            type='CocoDataset',
            metainfo=self.given.joint_set,
            ann_file=str(path),
            data_prefix=dict(img=str(Path(images).resolve())),
            test_mode=True,
            pipeline=self.cfg.test_dataloader.dataset.pipeline,
        )
        results = {}
        with DefaultScope.overwrite_default_scope('mmposeda'):
            dataset = DATASETS.build(dataset)
            for name, model in zip(('before', 'after'), self.models):
                metric = METRICS.build(dict(type='GroupedPCK', thr=THRESHOLDS))
                metric.dataset_meta = dataset.metainfo
                samples = predict(model, dataset, range(len(dataset)))
                metric.process({}, [sample.to_dict() for sample in samples])
                results[name] = metric.evaluate(len(samples))
        return results


def labels_of(labels: str, images: str, given: GivenEstimator, whole: bool) -> dict:
    """A COCO-style file with its joints in the estimator's order and, if ``whole``, whole pictures as boxes.

    Raises:
        FileNotFoundError: The file or a picture is missing.
        AnnotationError: It is of another layout.
        OwnDataError: Joints that are not the estimator's.
    """
    if not Path(labels).is_file():
        raise FileNotFoundError(f'--labels {labels} does not exist')
    content = load_json(labels, lists=('images', 'annotations'))
    weights = _order(content.get('categories') or [{}], given.skeleton, labels)
    pictures = {image.get('id'): image for image in content['images']}
    sizes = {key: image_size(Path(images) / str(image.get('file_name'))) for key, image in pictures.items()}
    entries = []
    for entry in content['annotations']:
        values = np.asarray(entry.get('keypoints', ()), np.float64)
        if values.size != 3 * len(weights) or entry.get('image_id') not in pictures:
            raise OwnDataError(
                f'annotation {entry.get("id")} of --labels {labels} has {values.size} numbers of joints, expected '
                f'{3 * len(weights)} (x, y, v of {len(weights)} joints), or names a picture that is not listed'
            )
        values = values.reshape(-1, 3)[weights]
        entry = dict(entry, keypoints=values.ravel().tolist(), num_keypoints=int((values[:, 2] > 0).sum()))
        if whole:
            entry['bbox'] = [0, 0, *sizes[entry['image_id']]]
        elif 'bbox' not in entry:
            raise AnnotationError(f'annotation {entry.get("id")} of --labels {labels} has no box: give each person one')
        entries.append(dict(dict(iscrowd=0, area=1.0, category_id=1), **entry))
    category = dict(id=1, name='person', keypoints=list(given.skeleton.joint_names))
    listed = [dict(image, width=sizes[key][0], height=sizes[key][1]) for key, image in pictures.items()]
    return dict(images=listed, annotations=entries, categories=[category])


def _order(categories: Sequence[Mapping], skeleton: Skeleton, labels: str) -> list[int]:
    """Where each of the estimator's joints is in the file."""
    names = list(categories[0].get('keypoints') or skeleton.joint_names)
    own = {skeleton.aliases.get(name, name): name for name in skeleton.joint_names}
    places = [next((n for n, name in enumerate(names) if name in (own[alias], alias)), None) for alias in own]
    if None in places or len(names) != len(places):
        raise OwnDataError(
            f'--labels {labels} names {len(names)} joints ({", ".join(names)}), the estimator has '
            f'{skeleton.num_joints} ({", ".join(skeleton.joint_names)}): give labels of its joints'
        )
    return places


def _points(samples: Sequence) -> np.ndarray:
    crops = [in_crop(np.asarray(s.pred_instances.keypoints, np.float64)[0, :, :2], s.metainfo) for s in samples]
    return np.stack(crops)


def _scores(samples: Sequence) -> np.ndarray:
    return np.stack([np.asarray(s.pred_instances.keypoint_scores, np.float64)[0] for s in samples])
