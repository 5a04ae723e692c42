"""The simple baseline of lifting."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

from .base import DenseLifter, convert_keys

_RULES = {
    r'w1\.(\w+)': r'expand.linear.\1',
    r'batch_norm1\.(\w+)': r'expand.norm.\1',
    r'linear_stages\.(\d+)\.w1\.(\w+)': r'blocks.\1.0.linear.\2',
    r'linear_stages\.(\d+)\.batch_norm1\.(\w+)': r'blocks.\1.0.norm.\2',
    r'linear_stages\.(\d+)\.w2\.(\w+)': r'blocks.\1.1.linear.\2',
    r'linear_stages\.(\d+)\.batch_norm2\.(\w+)': r'blocks.\1.1.norm.\2',
    r'w2\.(\w+)': r'shrink.\1',
}


@MODELS.register_module()
class MLPLifter(DenseLifter):
    """The simple baseline (Martinez et al., ICCV 2017) as PoseAug trains it: ``mlp`` in the authors' code.

    Differs from :class:`VideoPoseLifter` by biases in front of the normalisation, the Kaiming-normal weights of all
    linear layers at the start, and the depth.

    Args:
        skeleton (str | dict | Skeleton): Joint set: the name of a meta file, meta information or a skeleton.
        num_blocks (int): Residual blocks; 2 in PoseAug (4,288,557 parameters for 16 joints).
        channels (int): Width of every layer.
        dropout (float): Probability behind every layer but the last.
        init_cfg (dict, optional): Initialisation of MMEngine's.
    """

    def __init__(
        self,
        skeleton: str | dict | Skeleton = 'body16_3d',
        num_blocks: int = 2,
        channels: int = 1024,
        dropout: float = 0.25,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(skeleton, num_blocks, channels, dropout, init_cfg)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    @staticmethod
    def convert_checkpoint(checkpoint: Mapping) -> dict[str, Tensor]:
        """Weights of PoseAug's ``LinearModel`` for :meth:`load_state_dict`.

        Args:
            checkpoint (Mapping): Content of the authors' file, or its state dict.

        Raises:
            ValueError: Weights of another network.
        """
        return convert_keys(checkpoint, _RULES, 'LinearModel')
