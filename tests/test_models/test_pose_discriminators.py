import pytest
import torch
from torch import nn

from mmposeda.models.networks.pose_augmentor import PoseAugmentor
from mmposeda.models.networks.pose_discriminators import KCSDiscriminator, PoseDiscriminator2D
from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import KinematicTree, axis_angle_to_matrix
from mmposeda.structures.skeleton import Skeleton


@pytest.fixture
def pose():
    torch.manual_seed(0)
    return torch.randn(8, 16, 3, dtype=torch.float64) * 0.3 + torch.tensor([0, 0, 5.0])


@pytest.fixture
def network():
    torch.manual_seed(1)
    return MODELS.build(dict(type='KCSDiscriminator')).double()


def in_plain_layers(network, pose):
    """The authors' way: a whole matrix a part, the other bones zero, and a network after the other."""
    scores = []
    for number, part in enumerate(network.parts.values()):
        bones = network.tree.bones(pose)
        bones = bones / bones.norm(dim=-1, keepdim=True)
        kept = torch.zeros_like(bones)
        kept[:, list(part)] = bones[:, list(part)]

        def layer(name, x, number=number):
            stacked = getattr(network, name)
            return nn.functional.linear(x, stacked.weight[number], stacked.bias[number])

        def relu(x):
            return nn.functional.leaky_relu(x, 0.01)

        first = relu(layer('input', (kept @ kept.transpose(1, 2)).flatten(1)))
        x = layer('hidden2', relu(layer('hidden1', first))) + first
        scores.append(layer('output', relu(layer('hidden3', x))))
    return torch.cat(scores, 1)


@pytest.mark.parametrize('skeleton, joints', [('body16_3d', 16), ('h36m', 17)])
def test_scores_are_those_of_one_masked_matrix_a_part(skeleton, joints):
    torch.manual_seed(0)
    network = KCSDiscriminator(skeleton).double()
    pose = torch.randn(6, joints, 3, dtype=torch.float64)
    scores, expected = network(pose), in_plain_layers(network, pose)
    assert scores.shape == (6, 5)
    torch.testing.assert_close(scores, expected)
    weights = list(network.parameters())
    ours, theirs = (torch.autograd.grad(value.square().sum(), weights) for value in (scores, expected))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b)


def test_parameter_counts_are_those_of_the_released_networks():
    assert sum(p.numel() for p in KCSDiscriminator().parameters()) == 1_076_205
    assert sum(p.numel() for p in PoseDiscriminator2D().parameters()) == 43_801


def test_weights_start_as_plain_layers_do():
    torch.manual_seed(0)
    network = KCSDiscriminator()
    for layer in (network.input, network.hidden3):
        plain = nn.Linear(layer.weight.shape[2], layer.weight.shape[1])
        assert abs(layer.weight.std() / plain.weight.std() - 1) < 0.05
        assert layer.weight.abs().max() <= layer.weight.shape[2] ** -0.5
        assert layer.bias.abs().max() <= layer.weight.shape[2] ** -0.5


def test_only_local_angles_count_in_3d(network, pose):
    scores = network(pose)
    matrix = axis_angle_to_matrix(torch.randn(8, 3, dtype=torch.float64))
    mirrored = pose * torch.tensor([-1.0, 1, 1])
    root = pose[:, :1]
    for same in (
        pose @ matrix.transpose(1, 2),
        pose + torch.randn(8, 1, 3),
        3.7 * pose,
        mirrored,
        1000 * (pose - root),
    ):
        torch.testing.assert_close(network(same), scores)
    bones = network.tree.bones(pose)
    resized = network.tree.pose(bones * (0.5 + torch.rand(8, 15, 1, dtype=torch.float64)), root)
    torch.testing.assert_close(network(resized), scores)
    bent = pose.clone()
    bent[:, 3] += 0.1
    assert not torch.allclose(network(bent), scores)


def test_edits_of_length_and_viewpoint_do_not_change_the_3d_score(network, pose):
    out = PoseAugmentor().double()(pose)
    for same in (out.bl, out.rt):
        torch.testing.assert_close(network(same), network(out.ba))
    assert not torch.allclose(network(out.ba), network(pose))


def test_a_part_sees_its_own_bones_alone(network, pose):
    body = Skeleton.from_metainfo('body16_3d')
    wrist = pose.clone()
    wrist[:, body.index('left_wrist')] += 0.2
    changed = (network(wrist) - network(pose)).abs().amax(0) > 1e-9
    assert dict(zip(network.parts, changed.tolist())) == dict(
        torso=False, right_leg=False, left_leg=False, left_arm=True, right_arm=False
    )


def test_the_2d_score_depends_on_the_place():
    torch.manual_seed(0)
    network = PoseDiscriminator2D(16)
    points = torch.rand(4, 16, 2) - 0.5
    assert network(points).shape == (4, 1)
    assert not torch.allclose(network(points + 0.3), network(points))
    layers, relu = dict(network.named_children()), torch.nn.LeakyReLU(0.01)
    first = relu(layers['input'](points.flatten(1)))
    x = layers['hidden3'](relu(layers['hidden2'](relu(layers['hidden1'](first))) + first))
    torch.testing.assert_close(network(points), layers['output'](relu(layers['hidden4'](x))))


def test_gradients_reach_the_pose(network, pose):
    pose.requires_grad_()
    assert torch.autograd.gradcheck(network, pose[:2])
    for model, inputs in ((KCSDiscriminator(), torch.zeros(2, 16, 3)), (PoseDiscriminator2D(), torch.zeros(2, 16, 2))):
        inputs.requires_grad_()
        model(inputs).sum().backward()
        assert inputs.grad.isfinite().all()  # a pose without bones too


def test_half_precision_gives_finite_scores(pose):
    for model, inputs in ((KCSDiscriminator(), pose.float()), (PoseDiscriminator2D(), pose[..., :2].float())):
        with torch.autocast('cpu', dtype=torch.bfloat16):
            assert (model(inputs).float() - model(inputs)).abs().max() < 0.05


def test_joint_sets_without_parts_are_refused():
    with pytest.raises(ValueError, match='.lsp. has no parts.*parts=dict'):
        KCSDiscriminator('lsp')
    with pytest.raises(ValueError, match=r'joints \(..., 16, 3\), got \(2, 17, 3\)'):
        KCSDiscriminator()(torch.zeros(2, 17, 3))
    with pytest.raises(ValueError, match=r'\(B, 16, 2\), got \(2, 32\)'):
        PoseDiscriminator2D()(torch.zeros(2, 32))
    assert isinstance(KCSDiscriminator('h36m').tree, KinematicTree)
