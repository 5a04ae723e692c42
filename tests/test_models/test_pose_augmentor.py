import math

import pytest
import torch
from torch import nn

from mmposeda.models.networks.pose_augmentor import PoseAugmentor
from mmposeda.models.networks.random_pose_augmentor import RandomPoseAugmentor
from mmposeda.registry import MODELS
from mmposeda.structures.kinematics import KinematicTree, axis_angle_to_matrix
from mmposeda.structures.lifting_camera import project_h36m
from mmposeda.structures.skeleton import Skeleton

CAMERA = torch.tensor([2.29, 2.29, 0.02, 0.03, -0.2, 0.24, -0.003, -0.001, -0.0014])
LEARNED = dict(type='PoseAugmentor')
PAPER = dict(type='PoseAugmentor', shared_trunk=True, num_hidden=3, fixed_bones=())
RANDOM = dict(type='RandomPoseAugmentor')
DESIGNS = [LEARNED, PAPER, RANDOM, dict(LEARNED, skeleton='h36m'), dict(RANDOM, skeleton='h36m')]


def poses(count=32, joints=16, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pose = torch.randn(count, joints, 3, dtype=dtype, generator=generator) * 0.3
    return pose + torch.tensor([0.2, -0.1, 5.0], dtype=dtype)


def build(config, seed=0):
    torch.manual_seed(seed)
    return MODELS.build(config).double()


def count(model):
    return sum(p.numel() for p in model.parameters())


def still(model):
    """Zero the weights of the output layers, and their biases but that of the root's place."""
    for head in (model.angle_head, model.length_head, model.rotation_head, model.translation_head):
        nn.init.zeros_(head.weight)
    for head in (model.angle_head, model.length_head, model.rotation_head):
        nn.init.zeros_(head.bias)
    return model


def in_plain_layers(model, pose, noise):
    """Outputs of the four networks from layers of PyTorch, one network after the other."""
    tree = model.tree
    relative = (pose - pose[:, tree.root : tree.root + 1]).flatten(1)
    lengths = tree.bones(pose).norm(dim=-1)
    outputs = []
    for number, head in enumerate((model.angle_head, model.length_head, model.rotation_head, model.translation_head)):
        trunk = min(number, model.num_trunks - 1)
        inputs = [relative, noise[:, trunk]]
        weights = [layer.weight[trunk] for layer in model.layers]
        if number == 1 and model.length_input is not None:
            inputs.append(lengths)
            weights[0] = torch.cat([weights[0], model.length_input.weight], 1)
        x = torch.cat(inputs, 1)
        for layer, weight, norm in zip(model.layers, weights, model.norms):
            width = weight.shape[0]
            part = slice(trunk * width, (trunk + 1) * width)
            plain = nn.BatchNorm1d(width).double()
            plain.load_state_dict(dict(plain.state_dict(), weight=norm.weight[part], bias=norm.bias[part]))
            x = nn.functional.leaky_relu(plain(nn.functional.linear(x, weight, layer.bias[trunk])), 0.01)
        outputs.append(head(x))
    return outputs


@pytest.mark.parametrize('config', [LEARNED, PAPER, dict(LEARNED, skeleton='h36m')])
def test_the_four_networks_side_by_side_are_four_plain_networks(config):
    model = build(config)
    pose = poses(joints=model.tree.num_joints)
    noise = torch.randn(32, model.num_trunks, model.num_noise, dtype=torch.float64)
    for norm in model.norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    turn, stretch, rotation, place = in_plain_layers(model, pose, noise)
    out = model(pose, noise)
    for b in (0, 7):  # and the steps, a bone at a time
        for bone, (joint, parent) in enumerate(zip(model.tree.child, model.tree.parent)):
            old = pose[b, parent] - pose[b, joint]
            unit = old / old.norm()
            new = unit + turn[b, 3 * bone : 3 * bone + 3]
            name = model.tree.skeleton.joint_names[joint]
            new = unit if name in ('spine', 'thorax') and config != PAPER else new / new.norm()
            torch.testing.assert_close(out.ba[b, parent] - out.ba[b, joint], new * old.norm())
            torch.testing.assert_close(out.angle_change[b, bone], 1 - new.dot(unit))
            change = 0.2 * stretch[b, model.tree.length_groups[bone]].tanh() * (name != 'thorax')
            torch.testing.assert_close(out.length_change[b, model.tree.length_groups[bone]], change)
            torch.testing.assert_close(out.bl[b, parent] - out.bl[b, joint], new * old.norm() * (1 + change))
        root = torch.stack([place[b, 0], place[b, 1], place[b, 2] ** 2])
        matrix = axis_angle_to_matrix(math.pi * rotation[b].tanh())
        expected = torch.stack([matrix @ (joint - out.bl[b, 0]) + root for joint in out.bl[b]])
        torch.testing.assert_close(out.rt[b], expected)
        torch.testing.assert_close(out.translation[b, 0], root)


def test_parameter_counts_are_those_of_the_released_networks():
    model = PoseAugmentor()
    assert count(model) == 1_181_500
    layers = count(model.layers) + count(model.norms)
    assert layers // 4 + count(model.angle_head) == 302_125
    assert layers // 4 + count(model.length_input) + count(model.length_head) == 296_713
    assert layers // 2 + count(model.rotation_head) + count(model.translation_head) == 582_662
    assert not list(RandomPoseAugmentor().parameters()) and not RandomPoseAugmentor().state_dict()
    assert count(build(PAPER)) == 173_372  # four layers of one network


@pytest.mark.parametrize('config', [LEARNED, PAPER])
def test_zero_outputs_leave_the_pose_and_place_it_at_the_mean_depth(config):
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
        out = still(build(dict(config, mean_depth=4.0))).to(dtype)(poses(dtype=dtype))
        source = poses(dtype=dtype)
        for pose in (out.ba, out.bl):
            assert (pose - source).abs().max() < tolerance
        assert out.angle_change.abs().max() < tolerance and not out.length_change.any() and not out.axis_angle.any()
        assert (out.translation - torch.tensor([0, 0, 4.0])).abs().max() < 1e-6
        assert ((out.rt - out.translation) - (source - source[:, :1])).abs().max() < tolerance
        assert project_h36m(out.rt, CAMERA).isfinite().all()


def test_the_released_start_is_near_the_camera_and_ours_is_not():
    pose, depth = poses(256, dtype=torch.float32), {None: 0.0, 5.0: 0.0}
    torch.manual_seed(0)
    for mean_depth in depth:
        for _ in range(10):
            depth[mean_depth] += PoseAugmentor(mean_depth=mean_depth)(pose).translation[..., 2].mean().item() / 10
    assert depth[None] < 2 < 4 < depth[5.0] < 8


@pytest.mark.parametrize('config', DESIGNS)
def test_bone_angles_change_no_length_and_no_fixed_bone(config):
    model = build(config)
    pose = poses(joints=model.tree.num_joints)
    out = model(pose)
    old, new = model.tree.bones(pose), model.tree.bones(out.ba)
    torch.testing.assert_close(new.norm(dim=-1), old.norm(dim=-1), rtol=0, atol=1e-12)
    torch.testing.assert_close(out.ba[:, :1], pose[:, :1], rtol=0, atol=0)
    spine = [model.tree.bone_of(joint) for joint in ('spine', 'thorax')]
    assert torch.allclose(new[:, spine], old[:, spine], rtol=0, atol=1e-12) == (config != PAPER)
    cosine = nn.functional.cosine_similarity(old, new, dim=-1)
    torch.testing.assert_close(out.angle_change, 1 - cosine, rtol=0, atol=1e-12)
    assert out.angle_change.mean() > 0.01


@pytest.mark.parametrize('config', DESIGNS)
def test_bone_lengths_change_alike_on_both_sides_and_no_direction(config):
    model = build(config)
    pose = poses(joints=model.tree.num_joints)
    out = model(pose)
    before, after = model.tree.bones(out.ba), model.tree.bones(out.bl)
    ratio = after.norm(dim=-1) / before.norm(dim=-1)
    torch.testing.assert_close(nn.functional.cosine_similarity(before, after, dim=-1), torch.ones_like(ratio))
    torch.testing.assert_close(ratio, ratio[:, list(model.tree.twins)], rtol=0, atol=1e-12)
    torch.testing.assert_close(ratio, 1 + out.length_change[:, list(model.tree.length_groups)], rtol=0, atol=1e-12)
    thorax = model.tree.bone_of('thorax')
    torch.testing.assert_close(ratio[:, thorax], torch.ones_like(ratio[:, 0]), rtol=0, atol=1e-12)
    assert 0.005 < (ratio - 1).abs().max() <= 0.2
    torch.testing.assert_close(out.bl[:, :1], pose[:, :1], rtol=0, atol=0)


@pytest.mark.parametrize('config', DESIGNS)
def test_the_last_step_is_rigid_and_places_the_root(config):
    model = build(config)
    out = model(poses(joints=model.tree.num_joints))
    torch.testing.assert_close(torch.cdist(out.rt, out.rt), torch.cdist(out.bl, out.bl))
    assert torch.equal(out.rt[:, :1], out.translation) and (out.translation[..., 2] >= 0).all()
    matrix = axis_angle_to_matrix(out.axis_angle)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(32, dtype=torch.float64))
    torch.testing.assert_close(out.rt, (out.bl - out.bl[:, :1]) @ matrix.transpose(1, 2) + out.translation)
    assert (out.axis_angle.abs() <= math.pi).all() and out.axis_angle.abs().max() > 1


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_gradients_are_finite_at_the_identity_and_reach_every_weight(dtype):
    model = still(build(LEARNED)).to(dtype)
    out = model(poses(dtype=dtype))
    (out.ba.square().sum() + project_h36m(out.rt, CAMERA).square().sum()).backward()
    heads = [p for name, p in model.named_parameters() if 'head' in name]
    assert all(p.grad.isfinite().all() and p.grad.any() for p in heads)
    model = build(LEARNED).to(dtype)
    out = model(poses(dtype=dtype))
    (out.ba.square().sum() + out.rt.square().sum()).backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize('config', [LEARNED, PAPER, RANDOM])
def test_half_precision_moves_no_bone_length(config):
    torch.manual_seed(0)
    model, pose = MODELS.build(config), poses(dtype=torch.float32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = model(pose)
    assert all(part.dtype == torch.float32 for part in out)
    lengths = model.tree.bones(pose).norm(dim=-1)
    torch.testing.assert_close(model.tree.bones(out.ba).norm(dim=-1), lengths, rtol=0, atol=5e-6)
    torch.testing.assert_close(torch.cdist(out.rt, out.rt), torch.cdist(out.bl, out.bl), rtol=0, atol=1e-3)


def test_source_poses_are_read_relative_to_the_root_and_in_order():
    model, pose = build(LEARNED).eval(), poses()
    noise = torch.randn(32, 4, 48, dtype=torch.float64)
    out, moved = model(pose, noise), model(pose + torch.tensor([0.5, 0.1, 2.0]), noise)
    torch.testing.assert_close(moved.rt, out.rt)
    order = torch.randperm(32)
    torch.testing.assert_close(model(pose[order], noise[order]).rt, out.rt[order])
    assert torch.equal(model(pose[:1], noise[:1]).rt.squeeze(0).isfinite().all(), torch.tensor(True))


def test_noise_and_generators_decide_what_comes_out():
    model, pose = build(LEARNED).eval(), poses()
    assert not torch.equal(model(pose).rt, model(pose).rt)
    for network in (model, build(RANDOM)):
        first, again = (network(pose, generator=torch.Generator().manual_seed(3)) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, again))
        state = torch.get_rng_state()
        network(pose, generator=torch.Generator().manual_seed(3))
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(5)
        drawn = network(pose)
        torch.manual_seed(5)
        assert torch.equal(network(pose).rt, drawn.rt)
    with pytest.raises(ValueError, match=r'\(32, 4, 48\), got \(32, 48\)'):
        model(pose, torch.zeros(32, 48))


def test_residual_translation_moves_the_root():
    model = still(build(dict(LEARNED, residual_translation=True)))
    nn.init.constant_(model.translation_head.bias, -0.5)
    torch.testing.assert_close(model(poses()).translation, poses()[:, :1] - 0.5)


def test_random_poses_fill_the_band_and_the_box():
    torch.manual_seed(0)
    model = RandomPoseAugmentor(rotation=(0, 3, 0.5), lateral=(1.0, 0.2), depth=(2, 4))
    out = model(poses(20_000, dtype=torch.float32))
    mean = out.angle_change.mean(1)
    expected = torch.tensor([0.25, 0.5, 0.75]) * 0.33 + 0.04
    torch.testing.assert_close(mean.quantile(torch.tensor([0.25, 0.5, 0.75])), expected, rtol=0, atol=0.01)
    assert mean.min() > 0.0399 and mean.max() < 0.3701
    rotation, place = out.axis_angle.abs().amax(0), out.translation[:, 0]
    torch.testing.assert_close(rotation, torch.tensor([0, 3, 0.5]), rtol=0, atol=2e-3)
    torch.testing.assert_close(place.amin(0), torch.tensor([-1, -0.2, 2]), rtol=0, atol=2e-3)
    torch.testing.assert_close(place.amax(0), torch.tensor([1, 0.2, 4]), rtol=0, atol=2e-3)
    assert out.length_change.abs().max() <= 0.1 < out.length_change.abs().max() + 1e-3
    assert out.length_change.mean().abs() < 1e-3 and out.axis_angle.mean(0).abs().max() < 0.05


def test_random_bones_turn_about_every_axis_and_no_farther_than_told():
    torch.manual_seed(0)
    pose = torch.zeros(4000, 16, 3)
    pose[:, 1:, 1] = torch.arange(1, 16.0)  # all bones along y
    model = RandomPoseAugmentor(max_bone_angle=math.pi / 4, angle_change=(0.0, 0.2))
    out = model(pose)
    assert (1 - out.angle_change).clamp(-1, 1).acos().max() < math.pi / 4 + 1e-3
    knee = model.tree.bones(out.ba)[:, model.tree.bone_of('right_knee')]
    assert (knee[:, [0, 2]].mean(0).abs() < 0.05).all() and (knee[:, [0, 2]].std(0) > 0.2).all()


def test_order_of_joints_plays_no_part():
    """A joint set with its joints in another order is edited alike."""
    body = Skeleton.from_metainfo('body16_3d')
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1)).tolist()
    place = {joint: new for new, joint in enumerate(order)}
    shuffled = Skeleton(
        'shuffled',
        tuple(body.joint_names[j] for j in order),
        tuple(place.get(body.parents[j], -1) for j in order),
        tuple(place[body.flip_indices[j]] for j in order),
        {},
    )
    ours, theirs = build(dict(RANDOM, fixed_bones=())), build(dict(RANDOM, skeleton=shuffled, fixed_bones=()))
    trees = KinematicTree(body), KinematicTree(shuffled)
    bones = [trees[0].bone_of(shuffled.joint_names[j]) for j in trees[1].child]
    pose = poses()
    unit, length = (
        torch.nn.functional.normalize(trees[0].bones(pose), dim=-1),
        trees[0].bones(pose).norm(dim=-1)[..., None],
    )
    turned = torch.nn.functional.normalize(unit + torch.randn_like(unit), dim=-1)
    axis, move = torch.randn(2, 32, 3, dtype=torch.float64)
    change = torch.zeros(32, 9, dtype=torch.float64)
    a = ours.edit(pose, unit, length, turned, change, axis, move)
    b = theirs.edit(pose[:, order], unit[:, bones], length[:, bones], turned[:, bones], change, axis, move)
    torch.testing.assert_close(a.rt[:, order], b.rt)
    torch.testing.assert_close(a.ba[:, order], b.ba)


@pytest.mark.parametrize(
    'config, message',
    [
        (dict(LEARNED, skeleton='mpii'), 'fixed_bones.*no joint .spine.*name joints of this set'),
        (dict(LEARNED, fixed_lengths=('root',)), 'fixed_lengths.*no bone ends in .root.'),
        (dict(LEARNED, length_limit=1.0), 'length_limit'),
        (dict(LEARNED, mean_depth=-1), 'mean_depth'),
        (dict(LEARNED, num_hidden=0), 'num_hidden'),
        (dict(RANDOM, angle_change=(0.04, 0.37), max_bone_angle=0.3), 'angle_change.*max_bone_angle'),
        (dict(RANDOM, depth=(0, 3)), 'depth'),
        (dict(RANDOM, rotation=(1, 2)), 'rotation'),
        (dict(RANDOM, length_limit=-0.1), 'length_limit'),
    ],
)
def test_bad_arguments_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(config)


def test_poses_of_other_joints_are_refused():
    for config in (LEARNED, RANDOM):
        with pytest.raises(ValueError, match=r'joints \(..., 16, 3\), got \(4, 17, 3\)'):
            build(config)(poses(4, 17))
