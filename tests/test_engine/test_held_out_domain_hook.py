"""Pictures of a held-out domain cannot get into training."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmposeda.engine.hooks import HeldOutDomainHook
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import metainfo_path


@pytest.fixture
def folders(tmp_path):
    """Pictures of three domains, and a link to one of them."""
    for name in ('source', 'other', 'target'):
        (tmp_path / name / 'inner').mkdir(parents=True)
        for i in range(2):
            cv2.imwrite(str(tmp_path / name / 'inner' / f'{i}.png'), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / 'alias').symlink_to(tmp_path / 'target')
    return tmp_path


def loader(*paths):
    parts = [
        dict(
            type='UnlabeledImageDataset',
            metainfo=dict(from_file=metainfo_path('lsp')),
            data_root=str(path),
            pipeline=[dict(type='LoadImage'), dict(type='PackPoseInputs')],
        )
        for path in paths
    ]
    # one plain, the others wrapped
    parts = [parts[0], *(dict(type='UnlabeledDataset', dataset=part) for part in parts[1:])]
    return SimpleNamespace(dataset=DATASETS.build(dict(type='CombinedDataset', datasets=parts)))


def run(training, validation=None):
    return SimpleNamespace(train_dataloader=training, val_dataloader=validation)


def test_other_domains_may_train(folders):
    hook = HeldOutDomainHook(str(folders / 'target'))
    hook.before_train(run(loader(folders / 'source', folders / 'other'), loader(folders / 'target')))
    # a name that begins alike is another folder
    HeldOutDomainHook([str(folders / 'sour')]).before_train(run(loader(folders / 'source')))


@pytest.mark.parametrize('name', ['target', 'alias', 'target/inner'])
@pytest.mark.parametrize('held', ['target', 'alias'])
def test_the_held_out_domain_may_not(folders, name, held):
    hook = HeldOutDomainHook([str(folders / held)])
    with pytest.raises(ValueError, match=r'0\.png is of the held-out domain .*training'):
        hook.before_train(run(loader(folders / 'source', folders / name)))


def test_no_picture_is_opened(folders):
    training = loader(folders / 'source', folders / 'target')
    for path in folders.rglob('*.png'):
        path.unlink()
    HeldOutDomainHook(str(folders / 'other')).before_train(run(training))


def test_validation_can_be_held_out_too(folders):
    hook = HeldOutDomainHook(str(folders / 'target'), validation=True)
    hook.before_train(run(loader(folders / 'source'), loader(folders / 'other')))
    with pytest.raises(ValueError, match='validation'):
        hook.before_train(run(loader(folders / 'source'), loader(folders / 'target')))


def test_bad_settings_and_data(folders):
    for nothing in ([], ''):
        with pytest.raises(ValueError, match='at least one folder'):
            HeldOutDomainHook(nothing)
    with pytest.raises(TypeError, match='range does not tell where its pictures are'):
        HeldOutDomainHook('x').before_train(run(SimpleNamespace(dataset=range(3))))
