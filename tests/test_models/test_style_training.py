"""The style decoder's stage learns, and hands its weights to the next stage."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from mmposeda.models.adapters import StyleTraining
from mmposeda.models.networks import AdaINStyleNet
from mmposeda.models.networks.adain import _encoder

PREPROCESSOR = dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True)


def test_stage_lowers_its_loss_and_its_checkpoint_loads(tmp_path, make_batch):
    torch.manual_seed(0)
    torch.save(_encoder().state_dict(), tmp_path / 'vgg.pth')
    style = dict(type='AdaINStyleNet', encoder_weights=str(tmp_path / 'vgg.pth'))
    model = StyleTraining(style, PREPROCESSOR)
    wrapper = OptimWrapper(torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-3))
    batch = make_batch()
    values = [model.train_step(batch, wrapper)['loss'].item() for _ in range(12)]
    assert sum(values[-4:]) < sum(values[:4])
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'style.pth')
    again = AdaINStyleNet(str(tmp_path / 'vgg.pth'), str(tmp_path / 'style.pth'))
    for key, value in again.decoder.state_dict().items():
        assert torch.equal(value, model.style.decoder.state_dict()[key])


def test_style_without_weights_to_learn_is_refused():
    with pytest.raises(TypeError, match='StatisticsStyleTransfer has nothing to train'):
        StyleTraining(dict(type='StatisticsStyleTransfer'), PREPROCESSOR)
