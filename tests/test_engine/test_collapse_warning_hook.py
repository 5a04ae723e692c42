import logging
import re
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.logging import HistoryBuffer

from mmposeda.engine.hooks import CollapseWarningHook


def warnings(caplog, interval=10, **signals):
    """Messages after a run in which the model logged these, one value an iteration; None is none."""
    logger, scalars = logging.getLogger('collapse'), {}
    runner = SimpleNamespace(iter=0, logger=logger, message_hub=SimpleNamespace(log_scalars=scalars))
    hook = CollapseWarningHook(interval=interval)
    with caplog.at_level(logging.WARNING, logger='collapse'):
        for i in range(len(next(iter(signals.values())))):
            runner.iter = i
            for name, values in signals.items():
                key = f'train/{name}' if '_' in name else f'train/unsup_{name}'
                if values[i] is not None:
                    scalars.setdefault(key, HistoryBuffer()).update(float(values[i]))
            hook.after_train_iter(runner, i)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    'name, values, message',
    [
        ('kept', np.zeros(20), 'at iteration 10: no pseudo-label was used'),
        ('confidence', np.repeat([0.4, 0.1], 20), 'at iteration 30: the teacher.s confidence has fallen from 0.400'),
        ('spread', np.full(20, 0.001), 'at iteration 10: the teacher says the same for every picture'),
        ('merged', np.full(20, 0.43), 'at iteration 10: left and right coincide in 43%'),
        ('aug_kept', np.full(20, 0.004), 'at iteration 10: of the augmented poses 0.4% lie in the picture'),
        ('aug_change', np.repeat([0.2, 0.003], 10), r'at iteration 20: the augmentor hardly turns .* cos is 0.0030'),
        ('disc3d_accuracy', np.full(20, 1.0), 'at iteration 10: the 3D discriminator tells 100.0% .* of disc3d or'),
        ('rec_used', np.full(20, 0.05), 'at iteration 10: of the pairs 5.0% count for the reconstruction'),
        ('rec_background', np.repeat([0.8, 0.999], 10), 'at iteration 20: the warp gives 99.9% of the picture'),
        ('rel_spread', np.repeat([0.3, 0.1], 20), 'at iteration 30: the latents .* have come together, .* from 0.300'),
        ('disc2d_accuracy', np.repeat([0.5, 0.995], 10), 'at iteration 20: the 2D discriminator tells 99.5%'),
    ],
)
def test_each_sign_is_warned_of_once(name, values, message, caplog):
    said = warnings(caplog, **{name: values})
    assert len(said) == 1
    assert re.search(message, said[0])


def test_a_sound_run_says_nothing(caplog):
    rng = np.random.default_rng(0)
    sound = dict(kept=0.5, confidence=0.3, spread=0.15, merged=0.1, rel_spread=0.4)
    sound.update(
        aug_kept=0.3,
        aug_change=0.2,
        disc3d_accuracy=0.5,
        disc2d_accuracy=0.7,
        rec_used=0.9,
        rec_background=0.8,
        rel_spread=0.4,
    )
    assert warnings(caplog, **{name: mean + 0.02 * rng.normal(size=40) for name, mean in sound.items()}) == []


def test_a_sign_that_came_back_is_said_again(caplog):
    assert len(warnings(caplog, kept=np.repeat([0.0, 0.5, 0.0], 10))) == 2


def test_pseudo_labels_are_not_spoken_of_where_there_are_none(caplog):
    (said,) = warnings(caplog, aug_kept=np.zeros(10))
    assert 'pseudo-label' not in said


def test_a_value_that_is_not_logged_at_each_iteration_is_judged_by_what_came_since_the_last_look(caplog):
    # every second iteration, then a phase without, then bad ones: of the good ones none is left at the third look
    values = [0.5, None] * 5 + [None] * 10 + [1.0, None] * 5
    (said,) = warnings(caplog, disc3d_accuracy=values)
    assert 'at iteration 30' in said


def test_a_sign_is_not_gone_while_nothing_is_logged(caplog):
    assert len(warnings(caplog, aug_kept=[0.0] * 10 + [None] * 10 + [0.0] * 10)) == 1


def test_models_that_log_none_of_these_are_left_alone(caplog):
    assert warnings(caplog, loss=np.zeros(20)) == []


def test_interval_is_checked():
    with pytest.raises(ValueError, match='at least 1'):
        CollapseWarningHook(interval=0)
