"""MMPose's ``CombinedDataset`` for parts that are packed already."""

from __future__ import annotations

from typing import Any

from mmpose.datasets import CombinedDataset as _CombinedDataset

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import metainfo_path

from .images import PictureError, SampleError, naming_sample


@DATASETS.register_module()
class CombinedDataset(_CombinedDataset):
    """MMPose's class of this name, which hands on nothing but ``inputs`` and ``data_samples`` of packed samples.

    MMPose's own puts a reference to the whole data set into each sample for its mixing transforms. Where the parts
    have pipelines of their own and the joined one is empty, nothing takes it out again, and with worker processes
    every batch would carry a copy of all annotations through the queue. With a pipeline of its own this is MMPose's.

    Args:
        datasets (list[dict]): configs of the parts.
        metainfo (dict, optional): joint set that all parts give; that of the first part if None.
        kwargs: of MMPose's class.
    """

    def __init__(self, datasets: list, metainfo: dict | None = None, **kwargs):
        # MMPose's class wants a joint set before it has built the parts
        known = metainfo or dict(from_file=metainfo_path('lsp'))
        super().__init__(metainfo=known, datasets=datasets, **kwargs)
        if metainfo is None:
            self._metainfo = self.datasets[0].metainfo

    def prepare_data(self, idx: int) -> Any:
        """Sample ``idx`` of its part; through this data set's own pipeline if it has one."""
        if self.pipeline.transforms:
            return super().prepare_data(idx)
        part, local = self._get_subset_index(idx)
        try:
            sample = self.datasets[part][local]
        except Exception as error:
            if isinstance(error, SampleError) and not isinstance(error, PictureError):
                raise
            # MMPose's own data sets do not say which sample it was
            path = self.datasets[part].get_data_info(local).get('img_path')
            with naming_sample(self.datasets[part], local, path):
                raise
        if 'data_samples' not in sample:
            raise TypeError(
                f'the pipeline of data set {part} ({type(self.datasets[part]).__name__}) must end in PackPoseInputs, '
                f'got keys {list(sample)}'
            )
        return dict(inputs=sample['inputs'], data_samples=sample['data_samples'])
