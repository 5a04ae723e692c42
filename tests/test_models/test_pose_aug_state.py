"""What PoseAug keeps beside its weights: what must not get in, and what each process has of its own."""

import copy

import pytest
import torch
from pose_streams import streams
from test_pose_aug import build

from mmposeda.models import parallel


@pytest.mark.parametrize('spoilt', ['ba', 'rt'])
def test_what_is_not_finite_stays_out_of_the_pools(spoilt):
    model, wrappers = build()
    data = model._prepared(streams())
    fakes = model._make(data['pairs'])
    bad = fakes.pose.ba.detach().clone()
    bad[2, 3, 1] = float('nan')
    bad[5, 0, 2] = float('inf')
    if spoilt == 'ba':
        fakes = fakes._replace(pose=fakes.pose._replace(ba=bad))
    else:
        fakes = fakes._replace(points_rt=bad[..., 1:])
    model._update_discriminators(fakes, data, wrappers)
    items, source = (
        (model.pool3d.state_dict()['items'], fakes.source)
        if spoilt == 'ba'
        else (model.pool2d.state_dict()['items'], fakes.points)
    )
    assert len(items) == 8 and items.isfinite().all()
    assert torch.equal(items[[2, 5]], source[[2, 5]])
    assert not torch.isclose(items[[0, 1]], source[[0, 1]]).all()


def test_each_of_several_processes_keeps_its_batch_statistics(monkeypatch):
    model, wrappers = build()
    model.train_step(streams(), wrappers)
    assert model.rank_state()['buffers'] == {}, 'one has them in its checkpoint'
    monkeypatch.setattr(parallel, 'get_world_size', lambda: 2)
    state = copy.deepcopy(model.rank_state())
    other, _ = build()
    other.load_state_dict(model.state_dict())
    for buffer in other.buffers():
        buffer.zero_()
    other.load_rank_state(state)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, other.get_buffer(name)), name
