"""The lifters against plain functions of the authors' weights, and what each takes, gives and refuses."""

import math

import lifter_references as reference
import pytest
import torch
from torch import nn

from mmposeda.models.networks.lifters import MLPLifter, SemGCNLifter, STGCNLifter, VideoPoseLifter
from mmposeda.models.networks.lifters.graphs import BodyGraph
from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

LIFTERS = (VideoPoseLifter, MLPLifter, SemGCNLifter, STGCNLifter)
SMALL = {
    VideoPoseLifter: dict(channels=32),
    MLPLifter: dict(channels=32),
    SemGCNLifter: dict(channels=16),
    STGCNLifter: dict(channels=(8, 8, 12), part_channels=16),
}
REFERENCES = [
    (VideoPoseLifter, dict(num_blocks=2, channels=24), reference.video_pose_shapes(2, 24), reference.video_pose),
    (MLPLifter, dict(num_blocks=3, channels=24), reference.mlp_shapes(3, 24), reference.mlp),
    (SemGCNLifter, dict(num_blocks=2, channels=12), reference.gcn_shapes(2, 12), reference.gcn),
    (STGCNLifter, dict(channels=(8, 8, 12), part_channels=16), reference.stgcn_shapes((8, 8, 12), 16), reference.stgcn),
]


def small(kind, **kwargs):
    torch.manual_seed(0)
    return kind(**{**SMALL[kind], **kwargs})


def points(count=6, joints=16, seed=0):
    return torch.rand(count, joints, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def count(net):
    return sum(p.numel() for p in net.parameters())


def joint_sets(*names):
    return [Skeleton.from_metainfo(name) for name in names]


@pytest.mark.parametrize(
    'kind, kwargs, wanted',
    [
        (VideoPoseLifter, {}, 8_485_933),
        (VideoPoseLifter, dict(num_blocks=2), 4_283_437),
        (MLPLifter, {}, 4_288_557),
        (SemGCNLifter, {}, 267_343),
        (STGCNLifter, {}, 3_627_847),
    ],
)
def test_parameters_are_as_many_as_the_authors(kind, kwargs, wanted):
    assert count(kind(**kwargs)) == wanted


@pytest.mark.parametrize('kind, kwargs, shapes, function', REFERENCES, ids=lambda value: getattr(value, '__name__', ''))
def test_authors_weights_compute_the_same(kind, kwargs, shapes, function):
    weights = reference.random_weights(shapes)
    net = kind(**kwargs).eval()
    net.load_state_dict(net.convert_checkpoint(weights))
    x = points()
    torch.testing.assert_close(net(x), function(weights, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', ['state_dict', 'model_pos'])
def test_authors_files_hold_the_weights_under_a_name(name):
    weights = reference.random_weights(reference.mlp_shapes(1, 8))
    converted = MLPLifter.convert_checkpoint({name: weights, 'epoch': 3})
    assert torch.equal(converted['blocks.0.1.linear.weight'], weights['linear_stages.0.w2.weight'])


@pytest.mark.parametrize('kind', LIFTERS)
def test_weights_of_another_network_are_refused(kind):
    with pytest.raises(ValueError, match="'conv1.weight' is no weight of .* another network"):
        kind.convert_checkpoint({'conv1.weight': torch.zeros(1)})
    with pytest.raises(ValueError, match='ours already'):
        kind.convert_checkpoint(small(kind).state_dict())
    with pytest.raises(ValueError, match='no weights'):
        kind.convert_checkpoint({'state_dict': {}})


@pytest.mark.parametrize('kind, kwargs, shapes, function', REFERENCES, ids=lambda value: getattr(value, '__name__', ''))
def test_part_of_the_weights_is_refused(kind, kwargs, shapes, function):
    weights = reference.random_weights(shapes)
    some = {key: weights[key] for key in list(weights)[:-2]}
    some.pop('stgcn.non_local.g.weight', None)
    with pytest.raises((ValueError, RuntimeError), match='lacks weights|Missing key'):
        kind(**kwargs).load_state_dict(kind.convert_checkpoint(some))


def test_weights_over_several_frames_are_refused():
    weights = reference.random_weights(reference.video_pose_shapes(1, 8))
    weights['layers_conv.0.weight'] = torch.zeros(8, 8, 3)
    with pytest.raises(ValueError, match='3 frames'):
        VideoPoseLifter.convert_checkpoint(weights)


@pytest.mark.parametrize('kind', LIFTERS)
@pytest.mark.parametrize('joints', ['body16_3d', 'h36m'])
class TestEvery:
    def test_lifts_one_pose_as_it_does_in_a_batch(self, kind, joints):
        net = small(kind, skeleton=joints).eval()
        x = points(5, net.num_joints)
        whole = net(x)
        assert whole.shape == (5, net.num_joints, 3)
        torch.testing.assert_close(torch.cat([net(x[i : i + 1]) for i in range(5)]), whole, rtol=1e-4, atol=1e-6)

    def test_takes_the_packed_form(self, kind, joints):
        net = small(kind, skeleton=joints).eval()
        x = points(3, net.num_joints)
        assert torch.equal(net(x.reshape(3, -1, 1)), net(x))

    def test_every_weight_learns(self, kind, joints):
        net = small(kind, skeleton=joints).train()
        x = points(8, net.num_joints)
        if kind is STGCNLifter:
            nn.init.ones_(net.attention.norm.weight)  # else the non-local block starts as nothing
        (net(x) * torch.randn(8, net.num_joints, 3)).sum().backward()
        assert all(torch.isfinite(p.grad).all() and p.grad.any() for p in net.parameters())

    def test_is_built_from_a_config(self, kind, joints):
        net = MODELS.build(dict(type=kind.__name__, skeleton=joints, **SMALL[kind]))
        assert type(net) is kind and net.skeleton.name == joints
        net.init_weights()

    def test_graphs_are_not_saved(self, kind, joints):
        saved = {key.rsplit('.', 1)[1] for key in small(kind, skeleton=joints).state_dict()}
        assert not any(name.startswith('_') for name in saved)


@pytest.mark.parametrize('kind', LIFTERS)
def test_mixed_precision_trains_and_lifts_nearly_the_same(kind):
    net, x = small(kind, dropout=0.0).train(), points(32)
    wanted = net(x)
    with torch.autocast('cpu', torch.bfloat16):
        out = net(x)
    out.float().square().sum().backward()
    assert (out - wanted).abs().mean() < 0.05 * wanted.abs().mean()
    assert all(p.grad.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize('kind', LIFTERS)
@pytest.mark.parametrize('shape', [(4, 17, 2), (4, 34, 1), (4, 32), (4, 32, 27), (4, 16, 3)])
def test_other_points_are_refused(kind, shape):
    with pytest.raises(ValueError, match=r'16 joints of body16_3d .*\(B, 16, 2\)'):
        small(kind)(torch.zeros(shape))


@pytest.mark.parametrize('kind', LIFTERS)
def test_joint_sets_without_one_root_are_refused(kind):
    names, parents = ('a', 'left_b', 'right_b', 'c'), (-1, 0, 0, -1)
    with pytest.raises(ValueError, match=r"roots \['a', 'c'\]"):
        small(kind, skeleton=Skeleton('two', names, parents, (0, 2, 1, 3), groups={}))


@pytest.mark.parametrize('kind', [VideoPoseLifter, MLPLifter])
@pytest.mark.parametrize('joints, place', [('body16_3d', 0), ('mpi_inf_3dhp', 14)])
def test_root_is_exactly_zero_wherever_it_stands(kind, joints, place):
    net = small(kind, skeleton=joints)
    out = net(points(4, net.num_joints))
    assert net.root == place and not out[:, place].any()
    assert out.flatten(0, 1).any(1).sum() == 4 * (net.num_joints - 1)


@pytest.mark.parametrize(
    'kind, rates',
    [(VideoPoseLifter, {0.25}), (MLPLifter, {0.25}), (SemGCNLifter, {0.0}), (STGCNLifter, {0.05, 0.25, 0.1})],
)
def test_dropout_is_the_papers_unless_given(kind, rates):
    def dropout(net):
        return {module.p for module in net.modules() if isinstance(module, nn.Dropout)}

    assert dropout(small(kind)) == rates
    assert dropout(small(kind, dropout=0.5)) == {0.5}


class TestStart:
    """The authors' initialisation."""

    def test_of_the_baseline_is_kaiming_normal(self):
        torch.manual_seed(0)
        for layer in (m for m in MLPLifter(channels=256).modules() if isinstance(m, nn.Linear)):
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / layer.in_features), rel=0.05)

    def test_of_video_pose_is_that_of_a_convolution(self):
        torch.manual_seed(0)
        convolution = nn.Conv1d(32, 1024, 1, bias=False)
        torch.manual_seed(0)
        assert torch.equal(VideoPoseLifter().expand.linear.weight, convolution.weight.squeeze(2))

    def test_of_the_graph_gives_neighbours_equal_shares(self):
        net = small(SemGCNLifter)
        shares = net.mixing().view(-1, 16, 2, 16).sum(2)
        for joint, (own, parent) in enumerate(zip(shares[0], reference.PARENTS)):
            near = {joint, parent, *(child for child in range(16) if reference.PARENTS[child] == joint)} - {-1}
            wanted = torch.tensor([1 / len(near) if other in near else 0.0 for other in range(16)])
            torch.testing.assert_close(own, wanted)
        limit = 1.414 * math.sqrt(6 / (16 * 16 + 2 * 16))
        assert net.blocks[0][0].linear.weight.abs().max().item() == pytest.approx(limit, rel=0.02)

    def test_of_the_non_local_block_is_the_identity(self):
        x = torch.randn(3, 17, 24)
        assert torch.equal(small(STGCNLifter).attention(x), x)


class TestBodyGraph:
    def test_of_16_joints_is_that_of_the_17_with_a_neck(self):
        ours, theirs = map(BodyGraph.from_skeleton, joint_sets('body16_3d', 'h36m'))
        assert torch.equal(ours.partitions, theirs.partitions) and ours.parts == theirs.parts
        assert torch.equal(theirs.joints_to_nodes, torch.eye(17)) and theirs.joints == tuple(range(17))

    def test_neck_is_the_middle_of_thorax_and_head_and_no_joint(self):
        (skeleton,) = joint_sets('body16_3d')
        graph = BodyGraph.from_skeleton(skeleton)
        (neck,) = set(range(17)) - set(graph.joints)
        row = {skeleton.joint_names[j]: w.item() for j, w in enumerate(graph.joints_to_nodes[neck]) if w}
        assert row == dict(thorax=0.5, head=0.5)
        x = points(2)
        assert torch.equal((graph.joints_to_nodes @ x)[:, list(graph.joints)], x)

    def test_partitions_are_those_written_by_hand(self):
        graph = BodyGraph.from_skeleton(*joint_sets('body16_3d'))
        links = [(child, parent) for child, parent in enumerate(reference.NODE_PARENTS) if parent >= 0]
        wanted = reference.partitions(links, reference.NODE_TWINS, reference.NODE_STEPS)
        torch.testing.assert_close(graph.partitions, wanted)
        torch.testing.assert_close(graph.partitions.sum((0, 1)), torch.ones(17))

    @pytest.mark.parametrize('name', ['body16_3d', 'h36m', 'mpi_inf_3dhp', 'smpl24', 'humaneva15'])
    def test_parts_are_limbs_and_trunk(self, name):
        (skeleton,) = joint_sets(name)
        center = 'spine' if 'spine' in skeleton.joint_names else skeleton.joint_names[skeleton.parents.index(-1)]
        graph = BodyGraph.from_skeleton(skeleton, center)
        nodes = {node: skeleton.joint_names[joint] for joint, node in enumerate(graph.joints)}
        *limbs, trunk = ({nodes.get(node, 'neck') for node in part} for part in graph.parts)
        assert sorted(node for part in graph.parts for node in part) == list(range(len(graph.joints_to_nodes)))
        assert len(limbs) == 4 and all(len({name.split('_')[0] for name in limb}) == 1 for limb in limbs)
        assert not any(name.startswith(('left_', 'right_')) for name in trunk)
        twins = graph.part_partitions[3].nonzero().tolist()
        for limb, names in enumerate(limbs):
            mirrored = {n.replace('left_', 'r_').replace('right_', 'left_').replace('r_', 'right_') for n in names}
            assert [limb, limbs.index(mirrored)] in twins

    def test_a_hand_has_no_limbs(self):
        with pytest.raises(ValueError, match='21 of 21 without'):
            BodyGraph.from_skeleton(*joint_sets('hand21'), center='wrist')

    def test_an_unknown_centre_is_refused(self):
        with pytest.raises(KeyError, match="'navel'.*it has root"):
            small(STGCNLifter, center='navel')


def test_spread_of_the_input_is_kept_by_the_authors_eps():
    faithful, full = small(STGCNLifter), small(STGCNLifter, input_eps=1e-5)
    x = 0.1 * points(4096)
    norms = [net.input_norm(x[:, :1].expand(-1, 17, -1).flatten(1)) for net in (faithful, full)]
    variance = x.var(0).mean().item()
    assert norms[0].var(0).mean().item() == pytest.approx(variance / (variance + 0.1), rel=0.05)
    assert norms[1].var(0).mean().item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize('kind', [SemGCNLifter, STGCNLifter])
def test_mirrored_joints_change_places_with_their_points(kind):
    """The graph is symmetric and its weights are shared, so a body with left and right exchanged lifts likewise."""
    net = small(kind).eval()
    flips = list(net.skeleton.flip_indices)
    x = points()
    torch.testing.assert_close(net(x[:, flips]), net(x)[:, flips], rtol=1e-4, atol=1e-5)
