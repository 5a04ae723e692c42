from types import SimpleNamespace

import torch
from torch import nn

from mmposeda.engine.hooks import ChannelsLastHook


def test_layout_changes_but_not_the_result():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3))
    pictures = torch.randn(2, 3, 9, 7)
    before = model(pictures)
    ChannelsLastHook().before_run(SimpleNamespace(model=model))
    after = model(pictures)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert after.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after, before)
