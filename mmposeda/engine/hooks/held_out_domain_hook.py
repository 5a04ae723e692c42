"""Keeps the pictures of a domain out of training."""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterator, Sequence

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from torch.utils.data import Dataset

from mmposeda.registry import HOOKS


@HOOKS.register_module()
class HeldOutDomainHook(Hook):
    """Refuses to train on pictures that lie in certain folders.

    Domain generalisation is to be tested on a domain that no stage of the training has seen, autoencoders and batch
    statistics included. Put the hook into the ``custom_hooks`` of all stages. Before a run it goes through the names of
    all pictures of the training data, and of the validation data too where ``validation`` says so; nothing is opened.

    Args:
        folders (str | Sequence[str]): Folders of the held-out domain; what lies anywhere below them counts.
        validation (bool): Hold validation out as well: choosing a checkpoint by the held-out domain is a use of it.

    Raises:
        ValueError: No folder; or, before training, a picture of one; the message names both.
        TypeError: A data set that does not tell the names of its pictures.
    """

    def __init__(self, folders: str | Sequence[str], validation: bool = False) -> None:
        folders = [folders] if isinstance(folders, str) else list(folders)
        if not folders or not all(folders):
            raise ValueError(f'name at least one folder of the held-out domain, got {folders}')
        self.folders = {osp.join(osp.realpath(folder), ''): folder for folder in folders}
        self.validation = validation

    def before_train(self, runner) -> None:
        """Check the data sets of the run."""
        loaders = dict(training=runner.train_dataloader)
        if self.validation and runner.val_dataloader is not None:
            loaders['validation'] = runner.val_dataloader
        for use, loader in loaders.items():
            loader = loader if hasattr(loader, 'dataset') else runner.build_dataloader(loader)
            for part in parts_of(loader.dataset):
                self._check(part, use)

    def _check(self, dataset: Dataset, use: str) -> None:
        real: dict[str, str] = {}  # links are followed once a folder
        for index in range(len(dataset)):
            # of the base class: others look at the picture for its size
            path = BaseDataset.get_data_info(dataset, index).get('img_path')
            if path is None:
                raise TypeError(_untold(dataset))
            folder = osp.dirname(path)
            if folder not in real:
                real[folder] = osp.join(osp.realpath(folder), '')
            for held, name in self.folders.items():
                if real[folder].startswith(held):
                    raise ValueError(
                        f'{path} is of the held-out domain {name}, but {type(dataset).__name__} brings it into '
                        f'{use}: take the data set out of the loader, or the folder out of HeldOutDomainHook'
                    )


def parts_of(dataset: Dataset) -> Iterator[BaseDataset]:
    """Data sets with pictures of their own, out of combined and wrapped ones.

    Raises:
        TypeError: One of another kind.
    """
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from parts_of(part)
    elif hasattr(dataset, 'dataset'):
        yield from parts_of(dataset.dataset)
    elif isinstance(dataset, BaseDataset):
        yield dataset
    else:
        raise TypeError(_untold(dataset))


def _untold(dataset: Dataset) -> str:
    return (
        f'{type(dataset).__name__} does not tell where its pictures are (img_path), so that they cannot be held apart: '
        'leave HeldOutDomainHook out'
    )
