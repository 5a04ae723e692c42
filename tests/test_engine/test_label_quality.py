"""Numbers on pseudo-labels against sets of joints."""

import io

import numpy as np
import pytest
import torch

from mmposeda.engine.label_quality import LabelQuality

SHAPE = (6, 5)
GROUPS = dict(tip=(1, 4), rest=(0, 2, 3), all=(0, 1, 2, 3, 4))


def draws(seed, masks=('kept', 'kept_2d', 'kept_3d')):
    """Right, known and masks of a measurement."""
    generator = torch.Generator().manual_seed(seed)
    right, known, *found = (torch.rand(2 + len(masks), *SHAPE, generator=generator) > 0.4).unbind()
    return right, known, dict(zip(masks, found))


def places(mask, joints):
    return {(n, k) for n, k in np.argwhere(mask.numpy()).tolist() if k in joints}


@pytest.mark.parametrize('group, joints', [('', range(5)), ('/tip', (1, 4)), ('/rest', (0, 2, 3))])
def test_numbers_are_those_of_sets_of_joints(group, joints):
    quality, ever, before = LabelQuality(SHAPE, GROUPS), set(), None
    for seed in range(4):
        right, known, masks = draws(seed)
        numbers = quality.measure(right, known, masks)
        known, right = places(known, joints), places(right, joints)
        kept, flat, space = (places(mask, joints) & known for mask in masks.values())
        ever |= kept & right
        want = dict(
            right=len(right & known) / len(known),
            kept=len(kept) / len(known),
            precision=len(kept & right) / len(kept),
            ever_correct=len(ever) / len(known),
            overlap=len(flat & space) / len(flat | space),
            kept_2d=len(flat) / len(known),
            kept_3d=len(space) / len(known),
            precision_2d=len(flat & right) / len(flat),
            precision_3d=len(space & right) / len(space),
        )
        wrong = kept - right
        if before is not None:
            want['repeat'] = len(wrong & before) / len(wrong | before)
        before = wrong
        assert {name: numbers[name + group] for name in want} == pytest.approx(want)
        assert len(numbers) == 3 * len(want), 'the group of all joints is the whole'


def test_without_a_second_mask_there_is_no_overlap():
    numbers = LabelQuality(SHAPE).measure(*draws(0, ('kept', 'kept_2d')))
    assert set(numbers) == {'right', 'kept', 'precision', 'ever_correct'}


def test_what_nothing_speaks_for_is_left_out():
    right, known, _ = draws(0)
    quality, none = LabelQuality(SHAPE, dict(tip=(1, 4))), torch.zeros(SHAPE, dtype=torch.bool)
    known[:, [1, 4]] = False
    for _ in range(2):
        numbers = quality.measure(right, known, dict(kept=none))
        assert set(numbers) == {'right', 'kept', 'ever_correct'} and numbers['kept'] == numbers['ever_correct'] == 0


def test_always_the_same_answers_repeat_all_errors_and_correct_no_more():
    quality, (right, known, masks) = LabelQuality(SHAPE), draws(1)
    first, second = (quality.measure(right, known, masks) for _ in range(2))
    assert second == {**first, 'repeat': 1.0}


def test_goes_on_from_its_saved_state_bit_for_bit():
    whole, early, late = (LabelQuality(SHAPE, GROUPS) for _ in range(3))
    for seed in range(3):
        whole.measure(*draws(seed))
        early.measure(*draws(seed))
    file = io.BytesIO()
    torch.save(early.state(), file)
    file.seek(0)
    late.load(torch.load(file, weights_only=True))
    assert late.measure(*draws(3)) == whole.measure(*draws(3))
    assert torch.equal(late.ever, whole.ever) and torch.equal(late.wrong, whole.wrong)
    assert early.state()['ever'].numel() == 4  # 30 bits
    fresh = LabelQuality(SHAPE)
    fresh.load(LabelQuality(SHAPE).state())
    assert fresh.wrong is None


def test_state_of_other_pictures_is_refused():
    with pytest.raises(ValueError, match='of 6 pictures with 5 joints, the data set gives 7 pictures with 5 joints'):
        LabelQuality((7, 5)).load(LabelQuality(SHAPE).state())


def test_pictures_without_a_labelled_joint_are_refused():
    right, _, masks = draws(0)
    with pytest.raises(ValueError, match='none of 30 joints of 6 pictures'):
        LabelQuality(SHAPE).measure(right, torch.zeros(SHAPE, dtype=torch.bool), masks)
