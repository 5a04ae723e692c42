"""The report of an adaptation to own pictures: what was done, what changed, and what to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from mmposeda.structures.skeleton import Skeleton

from .predictions import draw_pose
from .report import Report
from .run_curves import run_curves

#: Side of a shown crop, pixels
_SHOWN = 300
_GAP = 6
_PSEUDO = ('kept', 'confidence', 'merged', 'spread')
_USE = """from mmpose.apis import inference_topdown, init_model

model = init_model('{folder}/model.py', '{folder}/model.pth')
people = inference_topdown(model, 'picture.jpg', bboxes=None)  # boxes (N, 4) of people, or None: the whole picture
print(people[0].pred_instances.keypoints)  # (1, K, 2), pixels"""


@dataclass
class AdaptationSummary:
    """What the report is of.

    Attributes:
        title (str), subtitle (str): Its head.
        settings (dict): What was done, in words: name -> value.
        target (list[str]), source (list[str]): What there is to say of the pictures and of the labelled data.
        joints (list): For each joint, the source's joints that label it, or None.
        minutes (dict): Step -> minutes.
        config (str): Text of the config that repeats it.
        files (dict): What it is -> path.
        curves (dict): As logged: name -> iterations and values.
        warnings (list[str]): Signs of collapse.
        panel (np.ndarray, optional): What the model saw in training, RGB.
        pck (dict): 'before' and 'after' -> metrics of ``GroupedPCK``; empty without labels.
        exported (str): Folder of the plain config and checkpoint.
    """

    title: str
    subtitle: str
    settings: dict
    target: list
    source: list
    joints: list
    minutes: dict
    config: str
    files: dict
    curves: dict
    warnings: list
    panel: np.ndarray | None
    pck: dict = field(default_factory=dict)
    exported: str = 'exported'


def adaptation_report(summary: AdaptationSummary, compared, skeleton: Skeleton, samples: int = 12) -> Report:
    """Compose the report.

    Args:
        summary (AdaptationSummary): What was done.
        compared (BeforeAfter): Predictions of both estimators (:mod:`mmposeda.engine.own_results`).
        skeleton (Skeleton): Their joints.
        samples (int): Pictures to show: half of them spread evenly, half where predictions moved most.
    """
    report = Report(summary.title, summary.subtitle)
    report.cards(_cards(summary, compared))
    for warning in summary.warnings:
        report.text(warning, 'warn')
    _pictures(report, compared, skeleton, samples)
    if summary.pck:
        _accuracy(report, summary.pck)
    _movement(report, compared, skeleton, summary.joints)
    _training(report, summary)
    _done(report, summary, skeleton)
    _next(report, summary)
    return report


def moved_most(moved: np.ndarray, count: int) -> list[int]:
    """Pictures whose joints moved most on average, of moves (N, K), the first the most."""
    return np.argsort(-moved.mean(1), kind='stable')[:count].tolist()


def pair(compared, index: int, skeleton: Skeleton) -> np.ndarray:
    """One picture with the given estimator's pose, and beside it with the adapted one's."""
    crop = compared.crops[index]
    scale = max(1, round(_SHOWN / max(crop.shape[:2])))
    sides = []
    for name, points in (('before', compared.before), ('after', compared.after)):
        side = draw_pose(crop, points[index], skeleton, scale=scale)
        cv2.rectangle(side, (0, 0), (12 + 9 * len(name), 20), (30, 36, 46), -1)
        cv2.putText(side, name, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.47, (255, 255, 255), 1, cv2.LINE_AA)
        sides.append(side)
    gap = np.full((len(sides[0]), _GAP, 3), 255, np.uint8)
    return np.concatenate([sides[0], gap, sides[1]], 1)


def _cards(summary: AdaptationSummary, compared) -> list[tuple[str, str]]:
    moved = 100 * np.median(compared.moved)
    cards = [
        (str(summary.settings['method']), f'{summary.settings["iterations"]} iterations'),
        (f'{sum(summary.minutes.values()):.0f} min', 'from your pictures to this report'),
        (f'{moved:.1f} %', "of the crop's side: how far a joint moved (median)"),
    ]
    if summary.pck:
        before, after = (summary.pck[side]['PCK/all@0.1'] for side in ('before', 'after'))
        cards.append((f'{before:.1f} → {after:.1f}', 'PCK@0.1 (%) on your labels, before and after'))
    else:
        cards.append((f'{len(compared.crops)}', 'of your pictures compared below'))
    return cards


def _pictures(report: Report, compared, skeleton: Skeleton, samples: int) -> None:
    report.section('Before and after, on your pictures')
    report.text(
        'Left: the estimator you gave. Right: the adapted one. Both see the same crop. Blue is the left side of a '
        'body, red the right side, green the middle.'
    )
    count, each = len(compared.crops), max(1, samples // 2)
    evenly = sorted({int(i) for i in np.linspace(0, count - 1, min(count, each)).round()})
    for title, chosen in (
        ('A fair sample: spread evenly over your pictures', evenly),
        ('Where predictions moved most: look whether for the better', moved_most(compared.moved, min(count, each))),
    ):
        report.heading(title)
        report.gallery((pair(compared, i, skeleton), _caption(compared, i, skeleton)) for i in chosen)


def _caption(compared, index: int, skeleton: Skeleton) -> str:
    moved = 100 * compared.moved[index]
    most = int(moved.argmax())
    name = skeleton.joint_names[most].replace('_', ' ')
    return (
        f'{compared.names[index]}: joints moved {moved.mean():.1f} % on average, most the {name} ({moved[most]:.1f} %)'
    )


def _accuracy(report: Report, pck: Mapping[str, Mapping[str, float]]) -> None:
    report.section('Accuracy on your labels')
    report.text(
        "PCK (%): the share of joints whose error is below 5, 10 or 20 % of the crop's side. No label took part in the "
        'training.'
    )
    keys = list(pck['before'])
    thresholds = list(dict.fromkeys(key.partition('@')[2] for key in keys))
    groups = list(dict.fromkeys(key.partition('@')[0] for key in keys))
    header = ['joints', *(f'{what} @{t}' for t in thresholds for what in ('before', 'after', 'change'))]
    rows = []
    for group in groups:
        row = [group.partition('/')[2]]
        for threshold in thresholds:
            before, after = (pck[side][f'{group}@{threshold}'] for side in ('before', 'after'))
            row += [before, after, f'{after - before:+.1f}']
        rows.append(row)
    report.table(header, rows)


def _movement(report: Report, compared, skeleton: Skeleton, joints: Sequence) -> None:
    report.section('How far predictions moved')
    report.text(
        f"Over {len(compared.crops)} pictures, in % of the crop's side. A joint that hardly moved was either right "
        'before or out of reach; one that moved far is where to look first. Scores are what the head gives, and are '
        'comparable between before and after only roughly.'
    )
    moved = 100 * compared.moved
    rows = [
        [
            name.replace('_', ' '),
            float(np.median(moved[:, k])),
            float(np.percentile(moved[:, k], 90)),
            f'{compared.scores_before[:, k].mean():.2f}',
            f'{compared.scores_after[:, k].mean():.2f}',
            'yes' if joints[k] else 'no',
        ]
        for k, name in enumerate(skeleton.joint_names)
    ]
    header = ['joint', 'median', '90th percentile', 'score before', 'after', 'labelled by the source']
    report.table(header, rows, bars=1)


def _training(report: Report, summary: AdaptationSummary) -> None:
    report.section('The training')
    losses = {n: c for n, c in summary.curves.items() if 'loss' in n}
    losses.update({n: c for n, c in summary.curves.items() if n == 'lr'})
    signs = {n: c for n, c in summary.curves.items() if n not in losses}
    if losses:
        report.picture(run_curves(losses), 'Thin: as logged. Thick: running mean.')
    if any(name.rpartition('_')[2] in _PSEUDO for name in signs):
        report.heading('Quality of the pseudo-labels')
        report.text(
            'Without labels nobody can say how many pseudo-labels are right. These signs tell when they go wrong: a '
            'confidence that falls, a spread that shrinks towards 0 (the same answer for every picture), and pairs of '
            'left and right that coincide in more than a third of the cases.'
        )
    if signs:
        report.picture(run_curves(signs, 2))
        rows = [[n, *(f'{np.mean(part):.3g}' for part in _ends(c[1]))] for n, c in signs.items()]
        report.table(['as logged', 'first tenth', 'last tenth'], rows)
    if not summary.warnings and signs:
        report.text('No sign of collapse was met.', 'good')
    if summary.panel is not None:
        report.heading('What the network saw')
        report.picture(
            summary.panel,
            'Source, source in the style of your pictures, your pictures, views of teacher and student with pseudo-'
            'labels: green ones were used, red ones not.',
        )


def _ends(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    tenth = max(1, len(values) // 10)
    return values[:tenth], values[-tenth:]


def _done(report: Report, summary: AdaptationSummary, skeleton: Skeleton) -> None:
    report.section('What was done')
    report.table([], [[name, str(value)] for name, value in summary.settings.items()])
    report.heading('Your pictures')
    report.items(summary.target)
    report.heading('The labelled source')
    report.items(summary.source)
    rows = [[n, ' + '.join(j) if j else 'none, weight 0'] for n, j in zip(skeleton.joint_names, summary.joints)]
    report.table(['joint of the estimator', "made of the source's"], rows)
    report.heading('Minutes')
    report.table(['step', 'minutes'], [[name, float(value)] for name, value in summary.minutes.items()])
    report.code(summary.config, 'The config that repeats it')


def _next(report: Report, summary: AdaptationSummary) -> None:
    report.section('Where things are, and what to do next')
    report.table([], [[name, path] for name, path in summary.files.items()])
    report.text('The exported estimator runs with MMPose alone:')
    report.code(_USE.format(folder=summary.exported))
    report.items(
        [
            'Look at the pictures above, and at those that moved most. Better in most of them: train longer, with '
            '--preset standard on a GPU, or --iterations.',
            'Worse, or left and right swapped: stop here and keep your checkpoint. A lower --lr, more views from the '
            'front (--frontal-share) or another --method (dann, cc_ssl) may help; --method source_only tells what the '
            'rendered source alone does.',
            'People small in the pictures, or several on one: give their boxes with --boxes.',
            'A few dozen labelled pictures tell more than any curve: --labels COCO.json adds PCK before and after, '
            'and the training still sees none of them.',
        ]
    )
