"""The hook ends the combiner's epochs, and says what comes of it."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from mmposeda.engine.hooks import MaskCombinerHook
from mmposeda.models.pseudo_labels_3d import MaskCombiner


def masks(overlap):
    """Two masks of ten entries and more, of this intersection over union."""
    first, second = torch.zeros(2, 1, 20, dtype=torch.bool)
    first[:, :10] = True
    second[:, : round(10 * overlap)] = True
    return first, second


class Runner(SimpleNamespace):
    """What the hook asks of a run."""

    def __init__(self, combiner):
        model = nn.Module()
        model.combiner = combiner
        self.scalars = {}
        hub = SimpleNamespace(update_scalar=lambda k, v: self.scalars.setdefault(k, HistoryBuffer()).update(v))
        super().__init__(model=model, iter=0, logger=logging.getLogger('combiner'), message_hub=hub)


@pytest.fixture
def train(caplog):
    """Return a function that gives a combiner masks of these overlaps, one an iteration; it returns run and log."""

    def run(overlaps, interval, combiner=None, start=0):
        runner, hook = Runner(combiner or MaskCombiner()), MaskCombinerHook(interval)
        hook.before_train(runner)
        with caplog.at_level(logging.INFO, logger='combiner'):
            for runner.iter, overlap in enumerate(overlaps, start):
                runner.model.combiner(*masks(overlap))
                hook.after_train_iter(runner, runner.iter)
        return runner, [record.getMessage() for record in caplog.records]

    return run


def test_an_epoch_has_as_many_iterations_as_said(train):
    runner, said = train([0.4] * 7, 3)
    assert runner.scalars['train/epoch_overlap'].data[0].tolist() == pytest.approx([0.4, 0.4])
    assert int(runner.model.combiner.counts[1]) == 10, 'one iteration of the third epoch'
    assert said == []


def test_the_change_to_the_union_is_told_once(train):
    runner, said = train([0.5, 0.5, 0.9, 0.9, 1.0, 1.0, 0.2, 0.2], 2)
    assert said == ['2D and 3D pseudo-labels overlap by 0.90: both losses now take the union']
    assert runner.model.combiner.merged


def test_without_a_latch_the_way_back_is_told_too(train):
    _, said = train([0.9, 0.2, 0.1], 1, MaskCombiner(latch=False))
    assert said[1:] == ['2D and 3D pseudo-labels overlap by 0.20: each loss takes its own again']


def test_an_interruption_within_an_epoch_changes_nothing(train):
    overlaps = [0.3, 0.95, 0.9, 0.7, 0.9, 0.9, 0.9]
    whole, _ = train(overlaps, 4)
    early, _ = train(overlaps[:2], 4)
    combiner = MaskCombiner()
    combiner.load_state_dict(early.model.combiner.state_dict())
    late, _ = train(overlaps[2:], 4, combiner, start=2)
    one, other = (run.model.combiner.state_dict() for run in (whole, late))
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_model_without_masks_to_combine_is_refused():
    for combiner in (None, 'none'):
        runner = Runner(None)
        if combiner:
            del runner.model.combiner
        with pytest.raises(TypeError, match='got Module without: leave the hook out'):
            MaskCombinerHook().before_train(runner)


def test_interval_is_checked():
    with pytest.raises(ValueError, match='must be 1 or more, got 0'):
        MaskCombinerHook(interval=0)
