import math

import pytest
import torch

from mmposeda.models.losses.pose_augmentation import (
    band_loss,
    exponential_feedback,
    group_errors,
    hard_ratio,
    lsgan_loss,
)

# of 16 joints, as the authors' code writes them
GROUPS = ((1, 4, 10, 13), (2, 5, 9, 11, 14), (3, 6, 12, 15))
WEIGHTS = (1, 5, 2, 1, 5, 2, 1, 1, 1, 1, 5, 2, 1, 5, 2, 1)


def value(*numbers):
    return torch.tensor(numbers, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize('hinge', [False, True])
def test_what_is_no_number_is_not_within_the_band(hinge):
    assert band_loss(value(0.2, math.nan), 0.205, 0.165, hinge=hinge).isnan()


def test_two_samples_outside_of_the_band_by_hand():
    changes = value(0.03, 0.5)  # mean changes of two poses; the band is 0.04 to 0.37
    loss = band_loss(changes, 0.205, 0.165)
    assert loss.item() == pytest.approx((0.175**2 + 0.295**2) / 2)
    loss.backward()
    torch.testing.assert_close(changes.grad, torch.tensor([-0.175, 0.295], dtype=torch.float64))


def test_within_the_band_there_is_neither_loss_nor_gradient():
    for hinge in (False, True):
        changes = value(0.04001, 0.2, 0.205, 0.36999)
        loss = band_loss(changes, 0.205, 0.165, hinge=hinge)
        loss.backward()
        assert loss.item() == 0 and not changes.grad.any()


def test_the_border_jumps_unless_it_is_a_hinge():
    at = [band_loss(value(2.0 + side), 0.0, 2.0).item() for side in (-1e-9, 0, 1e-9)]
    assert at == pytest.approx([0, 0, 4])
    at = [band_loss(value(2.0 + side), 0.0, 2.0, hinge=True).item() for side in (-1e-9, 0, 1e-9, 0.5)]
    assert at == pytest.approx([0, 0, 0, 0.25])
    assert torch.autograd.gradcheck(lambda x: band_loss(x, 1.0, 0.5, hinge=True), value(0.2, 1.1, 3.0))
    assert torch.autograd.gradcheck(lambda x: band_loss(x, 1.0, 0.5), value(0.2, 1.1, 3.0))


def test_lengths_count_above_their_threshold():
    changes = value(0.05, -0.15, 0.1, 0.2)
    assert band_loss(changes.view(2, 2), 0.0, 0.1).item() == pytest.approx((0.15**2 + 0.2**2) / 4)


def test_nothing_to_count_is_no_loss():
    for loss in (band_loss(torch.zeros(0, 9), 0.0, 0.1), lsgan_loss(torch.zeros(0, 5), real=True)):
        assert loss.item() == 0


def test_adversarial_losses_of_two_samples():
    scores = value(0.25, 1.5)
    assert lsgan_loss(scores, real=True).item() == pytest.approx((0.75**2 + 0.5**2) / 2)
    assert lsgan_loss(scores, real=False).item() == pytest.approx((0.25**2 + 1.5**2) / 2)


def test_errors_are_weighted_means_over_groups():
    torch.manual_seed(0)
    prediction, target = torch.randn(2, 3, 16, 3, dtype=torch.float64)
    errors = group_errors(prediction, target, GROUPS, WEIGHTS)
    for b in range(3):
        for column, group in enumerate(GROUPS):
            distances = [WEIGHTS[j] * math.dist(prediction[b, j].tolist(), target[b, j].tolist()) for j in group]
            assert errors[b, column].item() == pytest.approx(sum(distances) / len(group))
    plain = group_errors(prediction, target, GROUPS)
    # the weights of a group's joints are one number, but for the head
    torch.testing.assert_close(errors[:, [0, 2]], plain[:, [0, 2]] * torch.tensor([5.0, 1.0]))


def test_a_joint_in_its_place_has_no_gradient():
    pose = torch.randn(2, 16, 3, requires_grad=True)
    group_errors(pose, pose.detach().clone(), GROUPS, WEIGHTS).sum().backward()
    assert not pose.grad.any()


def test_errors_taken_in_a_test_do_not_spoil_training():
    pose, groups = torch.randn(2, 16, 3, requires_grad=True), ((0, 1), (7,))
    with torch.inference_mode():
        group_errors(pose, pose + 1, groups)
    group_errors(pose, torch.zeros(2, 16, 3), groups).sum().backward()
    assert pose.grad[:, :2].abs().min() > 0 and not pose.grad[:, 2:7].any()


def test_hard_ratio_of_two_samples():
    aug, src = value(0.3, 0.1), value(0.1, 0.0)
    ratio = hard_ratio(aug, src, eps=1e-3)
    torch.testing.assert_close(ratio.detach(), torch.tensor([3.0, 100.0], dtype=torch.float64))
    ratio.sum().backward()
    torch.testing.assert_close(aug.grad, torch.tensor([10.0, 1000.0], dtype=torch.float64))
    assert src.grad is None


def test_exponential_feedback_of_two_samples():
    aug, src = value(0.3, 0.2), value(0.1, 0.1)
    loss = exponential_feedback(aug, src, 2.0)
    torch.testing.assert_close(loss.detach(), torch.tensor([math.e**0.1 - 1, 0.0], dtype=torch.float64))
    loss[0].backward()
    assert aug.grad[0].item() == pytest.approx(math.e**0.1) and src.grad is None


def test_half_precision_is_computed_in_full():
    half = torch.tensor([0.3001, 0.1], dtype=torch.float16)
    assert hard_ratio(half, half * 1e-3).dtype == band_loss(half, 0.2, 0.05).dtype == torch.float32
    assert exponential_feedback(half, half, 2).dtype == lsgan_loss(half, True).dtype == torch.float32
    pose = torch.randn(4, 16, 3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        errors = group_errors(pose, pose + 0.01, GROUPS, WEIGHTS)
    assert torch.equal(errors, group_errors(pose, pose + 0.01, GROUPS, WEIGHTS))


def test_shapes_and_groups_that_do_not_fit_are_named():
    pose = torch.zeros(2, 16, 3)
    with pytest.raises(ValueError, match=r'\(2, 16, 3\), \(2, 15, 3\)'):
        group_errors(pose, pose[:, 1:], GROUPS)
    with pytest.raises(ValueError, match='15 weights for 16 joints'):
        group_errors(pose, pose, GROUPS, WEIGHTS[1:])
    with pytest.raises(ValueError, match=r'group 1 = \(16,\).*0 to 15'):
        group_errors(pose, pose, ((1,), (16,)))
