"""Data preprocessors: for batches of pictures of several domains, and for batches that are tensors already."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmposeda.registry import MODELS

DOMAINS = ('source', 'target', 'pair', 'clip')
#: Domains whose samples hold several pictures
SEVERAL = ('pair', 'clip')


@MODELS.register_module()
class DomainDataPreprocessor(BaseDataPreprocessor):
    """Split a mixed batch by domain and hand each part to a plain MMPose preprocessor.

    In training it returns ``dict(inputs=dict(source=Tensor(B, 3, H, W), target=...), data_samples=dict(source=[...],
    target=[...]))``; a domain that the batch lacks is missing from both dicts. The domain is the ``domain`` entry of a
    sample's metainfo, ``source`` without one. Samples of the domain ``pair`` hold V pictures of one scene, (3 V, H, W),
    and become ``pair=Tensor(B, V, 3, H, W)``; those of ``clip`` hold T frames of a video, (3 T, H, W), and become
    ``clip=Tensor(B, T, 3, H, W)``. Outside training the base's own output comes back untouched, so
    evaluation sees a plain MMPose model. Keys of the batch other than ``inputs`` and ``data_samples`` (MMPose's
    ``CombinedDataset`` adds some) are left out.

    Args:
        base (dict, optional): config of the preprocessor of the wrapped estimator. Defaults to ``PoseDataPreprocessor``
            without normalisation.
        non_blocking (bool): copy to the device without waiting.

    Attributes:
        mean, std (Tensor): (1, 3, 1, 1) of the base, in the channel order after its colour conversion and in units of
            grey levels (0 to 255); 0 and 1 where the base does not normalise.
    """

    def __init__(self, base: dict | None = None, non_blocking: bool = False):
        super().__init__(non_blocking=non_blocking)
        self.base = MODELS.build({'type': 'PoseDataPreprocessor', **(base or {})})
        normalises = getattr(self.base, '_enable_normalize', False)
        for name, default in (('mean', torch.zeros), ('std', torch.ones)):
            value = getattr(self.base, name).reshape(1, -1, 1, 1) if normalises else default(1, 3, 1, 1)
            self.register_buffer(name, value.expand(1, 3, 1, 1).clone(), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Preprocess a batch.

        Args:
            data (dict): ``inputs``, list of (3, H, W) tensors or one (B, 3, H, W) tensor, and ``data_samples``.
            training (bool): whether to split by domain.

        Raises:
            ValueError: a sample names a domain other than source, target, pair and clip, or samples of a pair or clip
                have different numbers of pictures.
        """
        self.base._device = self.device  # .to() of a module reaches the base's buffers but not this
        if not training:
            return self.base(data, False)
        inputs, samples = data['inputs'], data['data_samples']
        places: dict = {}
        for i, sample in enumerate(samples):
            places.setdefault(sample.metainfo.get('domain', DOMAINS[0]), []).append(i)
        unknown = set(places) - set(DOMAINS)
        if unknown:
            raise ValueError(f'samples of domain {sorted(unknown)} in a batch, expected one of {DOMAINS}')
        out: dict = dict(inputs={}, data_samples={})
        for domain in DOMAINS:
            if domain in places:
                picked = places[domain]
                part = inputs[picked] if torch.is_tensor(inputs) else [inputs[i] for i in picked]
                part = dict(inputs=part, data_samples=[samples[i] for i in picked])
                done = self._several(part, domain) if domain in SEVERAL else self.base(part, True)
                out['inputs'][domain], out['data_samples'][domain] = done['inputs'], done['data_samples']
        return out

    def unit(self, images: Tensor) -> Tensor:
        """Normalised pictures (..., 3, h, w) in [0, 1], whatever the base normalises by."""
        return (images * self.std + self.mean) / 255

    def normalised(self, images: Tensor) -> Tensor:
        """The way back of :meth:`unit`: pictures (..., 3, h, w) in [0, 1] as the networks get them."""
        return (images * 255 - self.mean) / self.std

    def _several(self, part: dict, domain: str) -> dict:
        inputs, samples = part['inputs'], part['data_samples']
        count = len(inputs[0]) // 3
        if any(len(x) != 3 * count for x in inputs) or not count:
            raise ValueError(
                f'{domain}s of one batch must hold as many pictures of 3 channels each, got '
                f'{sorted({len(x) for x in inputs})} channels: take samples of different lengths, such as pairs of '
                'sequences and still pictures, from different loaders'
            )
        if len({x.shape for x in inputs}) == 1:
            # one tensor and not a list of B V pictures: moved and normalised at once
            pictures = inputs if torch.is_tensor(inputs) else torch.stack(inputs)
            pictures = pictures.unflatten(1, (count, 3)).flatten(0, 1)
        else:
            pictures = [picture for x in inputs for picture in x.split(3)]
        done = self.base(dict(inputs=pictures, data_samples=[s for s in samples for _ in range(count)]), True)
        return dict(
            inputs=done['inputs'].unflatten(0, (len(samples), count)), data_samples=done['data_samples'][::count]
        )


@MODELS.register_module()
class TensorDataPreprocessor(BaseDataPreprocessor):
    """Move batches of tensors to the device; what MMPose packed sample by sample goes to a plain preprocessor.

    Args:
        base (dict, optional): Config of that preprocessor. ``PoseDataPreprocessor``, which stands for none of its own
            and takes pictures alone, is MMEngine's base class here.
        non_blocking (bool): Copy to the device without waiting.
    """

    def __init__(self, base: dict | None = None, non_blocking: bool = True):
        super().__init__(non_blocking=non_blocking)
        base = {'type': 'PoseDataPreprocessor', **(base or {})}
        self.base = None if base['type'] == 'PoseDataPreprocessor' else MODELS.build(base)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Preprocess a batch; the list of (K D, T) inputs of MMPose's lifting samples is stacked."""
        if self.base is not None and not isinstance(data['inputs'], Mapping):
            self.base._device = self.device
            return self.base(data, training)
        data = self.cast_data(data)
        if isinstance(data['inputs'], (list, tuple)):
            data = {**data, 'inputs': torch.stack(list(data['inputs']))}
        return data
