"""A run on miniatures without a fault, and ways to plant one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from figure_sets import write_bodies, write_hands

#: serialising collects the garbage of all packages
QUICK = dict(serialize_data=False)
CODEC = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)


def pipeline(encoder: bool = True, size: tuple[int, int] = (64, 64)) -> list:
    steps = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=size)]
    return [*steps, *([dict(type='GenerateTarget', encoder=CODEC)] if encoder else []), dict(type='PackPoseInputs')]


def estimator(joints: int) -> dict:
    head = dict(type='HeatmapHead', in_channels=8, out_channels=joints, decoder=CODEC)
    return dict(type='TopdownPoseEstimator', backbone=dict(type='ResNet', depth=18), head=head)


def write_run(root: Path) -> None:
    """Rendered people to photos: labelled source, unlabelled target, test photos; and faces and hands beside them."""
    write_bodies(root / 'source')
    write_bodies(root / 'target', ann_file='annotations/train.json', first=101)
    write_bodies(root / 'target', ann_file='annotations/test.json', first=201)
    write_bodies(root / 'faces', 'coco', yaw=50, first=301)
    write_hands(root / 'hands')


def config() -> dict:
    """Of the adaptation; data sets are below ``data``."""
    photos = dict(type='LSPDataset', data_root='data/target/', data_prefix=dict(img='images/'), bbox='ann', **QUICK)
    target = dict(photos, ann_file='annotations/train.json', pipeline=pipeline(False))
    test = dict(photos, ann_file='annotations/test.json', test_mode=True, pipeline=pipeline(False))
    source = dict(type='RenderedDataset', data_root='data/source/', bbox='ann', pipeline=pipeline(), **QUICK)
    return dict(
        default_scope='mmposeda',
        model=dict(type='RegDA', estimator=estimator(14)),
        train_dataloader=dict(
            batch_size=8,
            sampler=dict(type='DomainSampler', quotas=[4, 4]),
            dataset=dict(type='CombinedDataset', datasets=[source, dict(type='UnlabeledDataset', dataset=target)]),
        ),
        val_dataloader=dict(batch_size=8, dataset=test),
        test_dataloader=dict(batch_size=8, dataset=test),
    )


def alone(dataset: dict, joints: int) -> dict:
    """A run on one data set."""
    loader = dict(batch_size=8, dataset=dict(dataset, pipeline=pipeline(), **QUICK))
    return dict(default_scope='mmposeda', model=estimator(joints), train_dataloader=loader)


def faces() -> dict:
    files = dict(ann_file='annotations/people.json', data_prefix=dict(img='images/'))
    return alone(dict(type='CocoDataset', data_root='data/faces/', **files), 17)


def hands() -> dict:
    files = dict(ann_file='annotations/hands.json', joints='hand21')
    return alone(dict(type='RenderedDataset', data_root='data/hands/', **files), 21)


def write_config(cfg: dict) -> str:
    Path('config.py').write_text('\n'.join(f'{key} = {value!r}' for key, value in cfg.items()))
    return 'config.py'


def edit(path: str, change: Callable[[dict], None]) -> None:
    """Change an annotation file below ``data``."""
    file = Path('data') / path
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def each(path: str, change: Callable[[dict], None], rows: slice = slice(None)) -> None:
    """Change annotations of a file."""

    def do(content: dict) -> None:
        for annotation in content['annotations'][rows]:
            change(annotation)

    edit(path, do)


def swap(path: str, *pairs: tuple[str, str], keys: tuple[str, ...] = ('keypoints', 'joints_3d')) -> None:
    """Swap joints by name, in 2D and 3D or one of them."""

    def do(content: dict) -> None:
        names = content['categories'][0]['keypoints']
        for annotation in content['annotations']:
            for a, b in pairs:
                a, b = names.index(a), names.index(b)
                for key, width in (('keypoints', 3), ('joints_3d', 1)):
                    if key in keys:
                        row = annotation[key]
                        one, other = slice(width * a, width * (a + 1)), slice(width * b, width * (b + 1))
                        row[one], row[other] = row[other], row[one]

    edit(path, do)
