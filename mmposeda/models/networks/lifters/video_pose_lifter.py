"""The single-frame form of VideoPose3D."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

from .base import DenseLifter, convert_keys

_CONV_FIRST = {
    r'expand_conv\.weight': 'expand.linear.weight',
    r'expand_bn\.(\w+)': r'expand.norm.\1',
    r'layers_conv\.(\d+)\.weight': r'layers.\1.linear.weight',
    r'layers_bn\.(\d+)\.(\w+)': r'layers.\1.norm.\2',
    r'shrink\.(\w+)': r'shrink.\1',
}


@MODELS.register_module()
class VideoPoseLifter(DenseLifter):
    """VideoPose3D (Pavllo et al., CVPR 2019) with kernels of one frame, the main lifter of PoseAug.

    A convolution over a single frame is a linear layer, and is one here; MMPose's ``TCN`` with kernels of 1 and its
    ``TemporalRegressionHead`` are the same network. No layer but the last has a bias. PyTorch's initialisation, as in
    the authors' code.

    Args:
        skeleton (str | dict | Skeleton): Joint set: the name of a meta file, meta information or a skeleton.
        num_blocks (int): Residual blocks; 4 in PoseAug's code (8,485,933 parameters for 16 joints; 4,283,437 with 2).
        channels (int): Width of every layer.
        dropout (float): Probability behind every layer but the last.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    bias = False

    def __init__(
        self,
        skeleton: str | dict | Skeleton = 'body16_3d',
        num_blocks: int = 4,
        channels: int = 1024,
        dropout: float = 0.25,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(skeleton, num_blocks, channels, dropout, init_cfg)

    @staticmethod
    def convert_checkpoint(checkpoint: Mapping) -> dict[str, Tensor]:
        """Weights of PoseAug's ``TemporalModelOptimized1f`` for :meth:`load_state_dict`.

        Args:
            checkpoint (Mapping): Content of the authors' file, or its state dict.

        Raises:
            ValueError: Weights of another network, or of kernels over several frames.
        """
        weights = {}
        for key, value in convert_keys(checkpoint, _CONV_FIRST, 'VideoPose3D').items():
            if value.ndim == 3:
                if value.shape[2] != 1:
                    raise ValueError(f'{key} has a kernel over {value.shape[2]} frames; VideoPoseLifter sees one frame')
                value = value.squeeze(2)
            if key.startswith('layers.'):
                _, number, rest = key.split('.', 2)
                key = f'blocks.{int(number) // 2}.{int(number) % 2}.{rest}'
            weights[key] = value
        return weights
