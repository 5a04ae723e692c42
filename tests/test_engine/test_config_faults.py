import hashlib
from pathlib import Path

import pytest
import torch

from mmposeda.engine.checkpoints import CheckpointBackend
from mmposeda.engine.config_faults import head_faults, loader_faults, size_faults, weight_faults

HEAD = dict(type='HeatmapHead', out_channels=14, decoder=dict(type='UDPHeatmap', input_size=(64, 48)))
ESTIMATOR = dict(type='TopdownPoseEstimator', backbone=dict(type='ResNet'), head=HEAD)


@pytest.mark.parametrize('model', [ESTIMATOR, dict(type='UDAPE', estimator=ESTIMATOR, style=dict(type='X'))])
def test_heads_of_other_joints_are_named(model):
    assert head_faults(model, 14, 'lsp') == []
    where = 'model.head' if model is ESTIMATOR else 'model.estimator.head'
    (fault,) = head_faults(model, 16, 'mpii')
    assert fault.level == 'error' and f'Set {where}.out_channels=16, or take' in fault.text and "'mpii'" in fault.text


def test_heads_whose_channels_are_no_joints_are_left_alone():
    other = dict(type='DiscriminatorHead', out_channels=1)
    assert head_faults(dict(type='RegDA', estimator=ESTIMATOR, head=other), 14, 'lsp') == []
    regression = dict(ESTIMATOR, head=dict(type='RLEHead', num_joints=14))
    assert 'num_joints' in head_faults(regression, 21, 'hand21')[0].text
    assert head_faults({}, 14, 'lsp') == []


def test_sizes_of_nested_transforms_and_several_encoders_are_compared():
    views = dict(type='Views', weak=[dict(type='TopdownAffine', input_size=(64, 48))])
    encoders = [dict(type='A', input_size=(64, 48)), dict(type='B', input_size=(48, 64)), dict(type='C')]
    pipeline = [views, dict(type='GenerateTarget', encoder=encoders), dict(type='PackPoseInputs')]
    (fault,) = size_faults(ESTIMATOR, {'train 0': pipeline})
    assert (
        'encoder of GenerateTarget (B) has input_size=(48, 64), the pipeline of train 0 cuts out (64, 48)' in fault.text
    )
    decoder = size_faults(ESTIMATOR, {'val 0': [dict(type='mmpose.TopdownAffine', input_size=[96, 96])]})
    assert decoder[0].text.startswith('model.head.decoder (UDPHeatmap) has input_size=(64, 48)')
    assert size_faults(ESTIMATOR, {'val 0': [dict(type='LoadImage')], 'val 1': ()}) == []


@pytest.mark.parametrize(
    ('loader', 'lengths', 'says'),
    [
        (dict(batch_size=8), [4, None], None),
        (dict(batch_size=8), [4, 4], None),
        (dict(batch_size=8), [4, 3], 'warning: a batch of 8 is larger than the 7'),
        (dict(batch_size=8, drop_last=True), [7], 'error: a batch of 8 is larger than the 7'),
        (dict(batch_size=8, sampler=dict(type='DomainSampler', quotas=[4, 4])), [4, 9], None),
        (dict(batch_size=8, sampler=dict(type='DomainSampler', quotas=[4, 4])), [3, 9], 'warning: quota 4 of set 0'),
        (dict(batch_size=9, sampler=dict(type='DomainSampler', quotas=[4, 4])), [4, 9], 'error: batch_size is 9'),
        (dict(batch_size=9, sampler=dict(type='DomainSampler', quotas=[9])), [4, 9], 'error: 1 quotas [9] for 2 data'),
        (dict(batch_size=4, sampler=dict(type='TurnSampler', turns=[0, 1], batch_size=4)), [4, 9], None),
    ],
)
def test_batches_and_quotas_are_held_against_the_data(loader, lengths, says):
    found = loader_faults(loader, lengths, [f'set {n}' for n in range(len(lengths))])
    assert len(found) == (says is not None) and all(str(fault).startswith(says) for fault in found), found


def test_files_of_weights_are_checked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(w=torch.zeros(2)), 'plain.pth')
    digest = hashlib.sha256(Path('plain.pth').read_bytes()).hexdigest()
    Path(f'net-{digest[:8]}.pth').write_bytes(Path('plain.pth').read_bytes())
    CheckpointBackend().put(Path('plain.pth').read_bytes(), 'saved.pth')
    nets = [dict(checkpoint=f'net-{digest[:8]}.pth'), dict(weights='saved.pth')]
    left_out = dict(a='https://host/x.pth', b='{pretrain}', c='torchvision://resnet50', d='torch.pth.tar')
    assert weight_faults(dict(model=dict(nets=nets, **left_out), load_from='plain.pth')) == []
    assert weight_faults(dict(model=dict(a='{stage}/x.pth'), load_from='{pretrain}')) == []
    Path('saved.pth').write_bytes(Path('saved.pth').read_bytes()[:-1])  # its digest tells
    Path('empty.pth').touch()
    nets += [dict(weights='empty.pth'), dict(weights='none.pth')]
    first, second, third = (str(fault) for fault in weight_faults(dict(model=dict(nets=nets))))
    assert first.startswith('error: model.nets.1.weights: checkpoint saved.pth is damaged')
    assert second.startswith('error: model.nets.2.weights: checkpoint empty.pth is empty')
    assert 'model.nets.3.weights: checkpoint none.pth does not exist. Put it there' in third
