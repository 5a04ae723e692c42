"""Fixtures for all tests: the shared data folder, the default scope and a tiny pair of domains."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

import mmposeda  # noqa: F401  (makes MMPose importable)

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_finish():
    """Leave what the imports made out of garbage collections, which MMEngine asks for with every data set it builds."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """Folder with the small data packs; the test is skipped where it is absent."""
    folder = Path(os.environ.get('MMPOSEDA_SHARED_DATA') or ROOT.parent / 'shared' / 'data')
    if not folder.is_dir():
        pytest.skip(f'no data packs at {folder}; set MMPOSEDA_SHARED_DATA')
    return folder


@pytest.fixture(autouse=True)
def default_scope():
    """Names resolve as in a config with ``default_scope = 'mmposeda'``."""
    with DefaultScope.overwrite_default_scope('mmposeda') as scope:
        yield scope


def write_people(folder: Path, count: int = 6, size=(64, 48), seed: int = 0) -> Path:
    """Write ``count`` noise JPEGs (w, h) and ``ann.json`` with LSP's 14 joints on them, in COCO style."""
    rng = np.random.default_rng(seed)
    (folder / 'images').mkdir(parents=True)
    width, height = size
    images, annotations = [], []
    for i in range(1, count + 1):
        name = f'im{i:05d}.jpg'
        cv2.imwrite(str(folder / 'images' / name), rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        points = rng.uniform([4, 4], [width - 5, height - 5], (14, 2))
        keypoints = np.concatenate([points, np.full((14, 1), 2.0)], 1).round(2)
        images.append(dict(id=i, file_name=name, width=width, height=height))
        annotations.append(
            dict(
                id=i,
                image_id=i,
                category_id=1,
                iscrowd=0,
                bbox=[2.0, 2.0, width - 4.0, height - 4.0],
                area=float(width * height),
                num_keypoints=14,
                keypoints=keypoints.ravel().tolist(),
            )
        )
    raw = dict(images=images, annotations=annotations, categories=[dict(id=1, name='person')])
    (folder / 'ann.json').write_text(json.dumps(raw))
    return folder


def top_down_pipeline(size: int = 64, codec: dict | None = None, padding: float = 1.0, random: bool = False) -> list:
    """MMPose's own top-down training pipeline for square inputs; targets only with a codec."""
    pipeline = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale', padding=padding)]
    if random:
        pipeline += [
            dict(type='RandomFlip', direction='horizontal'),
            dict(type='RandomHalfBody'),
            dict(type='RandomBBoxTransform'),
        ]
    pipeline += [dict(type='TopdownAffine', input_size=(size, size))]
    if random:
        pipeline += [dict(type='PhotometricDistortion')]
    if codec is not None:
        pipeline += [dict(type='GenerateTarget', encoder=codec)]
    return [*pipeline, dict(type='PackPoseInputs')]


@pytest.fixture(name='write_people', scope='session')
def write_people_fixture():
    """The function of that name."""
    return write_people


@pytest.fixture(name='top_down_pipeline', scope='session')
def top_down_pipeline_fixture():
    """The function of that name."""
    return top_down_pipeline


@pytest.fixture
def domain_pair(tmp_path) -> dict:
    """Configs of a tiny labelled source and the same kind of target, LSP-14, square 64-px inputs.

    ``source`` and ``target`` are data sets with a whole pipeline (the target without targets), ``joined`` is MMPose's
    ``CombinedDataset`` of the source and the unlabelled target, ``codec`` the heatmap codec, ``root`` the folder.
    """
    codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
    parts = {}
    for seed, name in enumerate(('source', 'target')):
        folder = write_people(tmp_path / name, seed=seed)
        parts[name] = dict(
            type='LSPDataset',
            data_root=str(folder),
            ann_file='ann.json',
            data_prefix=dict(img='images/'),
            pipeline=top_down_pipeline(codec=codec if name == 'source' else None),
        )
    from mmposeda.structures.skeleton import metainfo_path

    joined = dict(
        type='CombinedDataset',
        metainfo=dict(from_file=metainfo_path('lsp')),
        datasets=[parts['source'], dict(type='UnlabeledDataset', dataset=parts['target'])],
    )
    return dict(root=tmp_path, codec=codec, joined=joined, **parts)
