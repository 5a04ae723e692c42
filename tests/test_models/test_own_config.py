"""MMPose's own configs in adapters, as docs/own_config.md shows it: a training step on pictures and labels on disk."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner

from mmposeda.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
UDAPE = ROOT / 'configs' / 'udape' / 'own_photos'
SIMCC = ROOT / 'configs' / 'source_only' / 'own_photos' / 'source-only_simcc-res50_8xb64-210e_coco-256x192.py'


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """``data/coco`` with two labelled people and ``data/photos`` with two photos, in the working folder."""
    rng = np.random.default_rng(0)
    folders = [tmp_path / 'data' / 'coco' / 'train2017', tmp_path / 'data' / 'photos']
    images, annotations = [], []
    for folder in folders:
        folder.mkdir(parents=True)
        for i in (1, 2):
            cv2.imwrite(str(folder / f'{i}.jpg'), rng.integers(0, 256, (64, 48, 3), dtype=np.uint8))
    for i in (1, 2):
        joints = np.column_stack([rng.uniform(4, 44, (17, 2)), np.full(17, 2)]).ravel().tolist()
        images.append(dict(id=i, file_name=f'{i}.jpg', width=48, height=64))
        box = dict(bbox=[0, 0, 48, 64], area=3072, iscrowd=0, num_keypoints=17)
        annotations.append(dict(id=i, image_id=i, category_id=1, keypoints=joints, **box))
    labels = dict(images=images, annotations=annotations, categories=[dict(id=1, name='person')])
    (tmp_path / 'data' / 'coco' / 'annotations').mkdir()
    (tmp_path / 'data' / 'coco' / 'annotations' / 'person_keypoints_train2017.json').write_text(json.dumps(labels))
    monkeypatch.chdir(tmp_path)


def step(cfg):
    """Losses of one training step at batch 1 a domain."""
    torch.manual_seed(0)
    loader = cfg.train_dataloader
    loader.update(num_workers=0, persistent_workers=False, batch_size=2)
    if 'quotas' in loader.sampler:
        loader.sampler.quotas = [1, 1]
    batch = next(iter(Runner.build_dataloader(loader, seed=0)))
    model = MODELS.build(cfg.model).train()
    return model, model.train_step(batch, build_optim_wrapper(model, cfg.optim_wrapper))


@pytest.mark.parametrize('name', ['res50', 'hrnet-w32'])
def test_heatmap_estimators_adapt(coco, name):
    (path,) = UDAPE.glob(f'*{name}*.py')
    model, losses = step(Config.fromfile(path))
    assert {'sup_loss_kpt', 'unsup_loss_consistency'} <= set(losses)
    assert all(torch.isfinite(value).all() for value in losses.values())
    plain = MODELS.build(Config.fromfile(path).estimator)
    assert set(model.plain_state_dict()) == set(plain.state_dict()), 'the exported weights are plain MMPose ones'


def test_simcc_trains_on_the_source(coco):
    _, losses = step(Config.fromfile(SIMCC))
    assert torch.isfinite(losses['sup_loss_kpt'])


def test_simcc_is_refused_by_udape():
    cfg = Config.fromfile(SIMCC)
    with pytest.raises(TypeError, match=r'UDAPE compares heatmaps.*got SimCCHead with SimCCLabel.*take SourceOnly'):
        MODELS.build(dict(type='UDAPE', estimator=cfg.model.estimator))


def test_the_document_shows_the_config_itself():
    text = (ROOT / 'docs' / 'own_config.md').read_text()
    (path,) = UDAPE.glob('*hrnet*.py')
    shown = re.search(r'```python\n(.*?)```', text, re.S)[1]
    comment, _, code = path.read_text().partition('\n')
    assert comment.startswith('#') and shown.split() == code.split()
