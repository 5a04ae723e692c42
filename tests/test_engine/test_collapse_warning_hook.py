import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.logging import HistoryBuffer

from mmposeda.engine.hooks import CollapseWarningHook


def warnings(caplog, interval=10, **signals):
    """Messages after a run in which the model logged these, one value an iteration."""
    logger, scalars = logging.getLogger('collapse'), {}
    runner = SimpleNamespace(iter=0, logger=logger, message_hub=SimpleNamespace(log_scalars=scalars))
    hook = CollapseWarningHook(interval=interval)
    with caplog.at_level(logging.WARNING, logger='collapse'):
        for i in range(len(next(iter(signals.values())))):
            runner.iter = i
            for name, values in signals.items():
                scalars.setdefault(f'train/unsup_{name}', HistoryBuffer()).update(float(values[i]))
            hook.after_train_iter(runner, i)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    'name, values, message',
    [
        ('kept', np.zeros(20), 'at iteration 10: no pseudo-label was used'),
        ('confidence', np.repeat([0.4, 0.1], 20), 'at iteration 30: the teacher.s confidence has fallen from 0.400'),
        ('spread', np.full(20, 0.001), 'at iteration 10: the teacher says the same for every picture'),
        ('merged', np.full(20, 0.43), 'at iteration 10: left and right coincide in 43%'),
    ],
)
def test_each_sign_is_warned_of_once(name, values, message, caplog):
    said = warnings(caplog, **{name: values})
    assert len(said) == 1
    assert re.search(message, said[0])


def test_a_sound_run_says_nothing(caplog):
    rng = np.random.default_rng(0)
    sound = dict(kept=0.5, confidence=0.3, spread=0.15, merged=0.1)
    assert warnings(caplog, **{name: mean + 0.02 * rng.normal(size=40) for name, mean in sound.items()}) == []


def test_a_sign_that_came_back_is_said_again(caplog):
    assert len(warnings(caplog, kept=np.repeat([0.0, 0.5, 0.0], 10))) == 2


def test_models_that_log_none_of_these_are_left_alone(caplog):
    assert warnings(caplog, loss=np.zeros(20)) == []


def test_interval_is_checked():
    with pytest.raises(ValueError, match='at least 1'):
        CollapseWarningHook(interval=0)
