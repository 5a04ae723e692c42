import copy

import pytest
import torch

from mmposeda.structures.kinematics import KinematicTree, axis_angle_to_matrix, kcs_gram, rotate, split_bones
from mmposeda.structures.skeleton import Skeleton

# a tree with its root in the middle of the order and a child before its parent
ODD = (3, 0, 3, -1, 6, 4, 2)


def tree(name='body16_3d'):
    return KinematicTree(Skeleton.from_metainfo(name))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def slow_pose(parents, bones, root):
    """Walk from the root, a joint at a time."""
    child = [j for j, p in enumerate(parents) if p != -1]
    place = {parents.index(-1): root}
    while len(place) < len(parents):
        for bone, joint in enumerate(child):
            if parents[joint] in place:
                place[joint] = place[parents[joint]] - bones[bone]
    return torch.stack([place[j] for j in range(len(parents))])


def test_bones_of_body16_are_those_of_the_paper():
    body = tree()
    assert body.parent == (0, 1, 2, 0, 4, 5, 0, 7, 8, 8, 10, 11, 8, 13, 14) and body.child == tuple(range(1, 16))
    assert body.length_groups == (0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8) and body.num_length_groups == 9
    assert body.twins == (3, 4, 5, 0, 1, 2, 6, 7, 8, 12, 13, 14, 9, 10, 11)
    assert body.bone_of('spine') == 6 and body.bone_of('thorax') == 7 and body.bone_of('head_top') == 8


def test_parts_are_the_bones_of_the_paper():
    expected = dict(
        torso=(0, 3, 6, 7, 8, 9, 12),
        right_leg=(0, 1, 2, 3, 6),
        left_leg=(0, 3, 4, 5, 6),
        left_arm=(7, 9, 10, 11),
        right_arm=(7, 12, 13, 14),
    )
    body = tree()
    got = {part: tuple(sorted(map(body.child.index, joints))) for part, joints in body.skeleton.parts.items()}
    assert list(got) == list(expected) and got == expected
    h36m = Skeleton.from_metainfo('h36m')
    assert list(h36m.parts) == list(expected) and h36m.index('neck_base') in h36m.parts['torso']


@pytest.mark.parametrize('case', ['body16_3d', 'h36m', 'smpl24', 'hand21', 'odd', 'two joints'])
@pytest.mark.parametrize('dtype, tolerance', [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_pose_from_its_bones_is_the_pose(case, dtype, tolerance, generator):
    parents = dict(odd=ODD, **{'two joints': (-1, 0)}).get(case)
    body = tree(case) if parents is None else KinematicTree.from_parents(parents)
    pose = torch.randn(5, 2, body.num_joints, 3, dtype=dtype, generator=generator)
    bones = body.bones(pose)
    assert bones.dtype == dtype and bones.shape == (5, 2, body.num_bones, 3)
    for bone in range(body.num_bones):
        assert torch.equal(bones[..., bone, :], pose[..., body.parent[bone], :] - pose[..., body.child[bone], :])
    again = body.pose(bones, pose[..., body.root : body.root + 1, :])
    assert (again - pose).abs().max() <= tolerance
    assert torch.equal(body.pose(bones)[..., body.root, :], torch.zeros(5, 2, 3, dtype=dtype))


def test_pose_is_that_of_a_walk_from_the_root(generator):
    body = KinematicTree.from_parents(ODD)
    bones = torch.randn(6, 3, dtype=torch.float64, generator=generator)
    root = torch.randn(3, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(body.pose(bones, root[None]), slow_pose(ODD, bones, root))


def test_bones_and_pose_have_the_right_gradients(generator):
    body = KinematicTree.from_parents(ODD)
    pose = torch.randn(2, 7, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    bones = torch.randn(2, 6, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    root = torch.randn(2, 1, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(body.bones, pose)
    assert torch.autograd.gradcheck(body.pose, (bones, root))


def test_tree_moves_with_its_model_and_saves_nothing():
    model = torch.nn.Sequential(tree())
    assert not model.state_dict() and not list(model.parameters())
    assert copy.deepcopy(model).to('meta')[0].bones(torch.empty(2, 16, 3, device='meta')).device.type == 'meta'


@pytest.mark.parametrize(
    'parents, flips, message',
    [
        ((-1, 0, -1), None, 'one root'),
        ((-1,), None, 'one root'),
        ((-1, 0, 1), (0, 2, 1), 'mirror'),
        ((-1, 0, 1), (1, 0, 2), 'mirror'),
        ((-1, 2, 1), None, 'no tree'),
        ((-1, 0, 5), None, 'no tree'),
    ],
)
def test_trees_that_are_none_are_refused(parents, flips, message):
    with pytest.raises(ValueError, match=message):
        KinematicTree.from_parents(parents, flips)


def test_poses_of_other_joints_are_refused():
    body = tree()
    with pytest.raises(ValueError, match=r'joints \(..., 16, 3\), got \(2, 17, 3\).*map_to'):
        body.bones(torch.zeros(2, 17, 3))
    with pytest.raises(ValueError, match=r'bones \(..., 15, 3\), got \(2, 16, 3\)'):
        body.pose(torch.zeros(2, 16, 3))
    with pytest.raises(ValueError, match='no bone ends in .root.'):
        body.bone_of('root')
    with pytest.raises(KeyError, match='no joint .tail.'):
        body.bone_of('tail')


def test_split_bones_gives_directions_and_metres(generator):
    bones = torch.randn(4, 15, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    unit, length = split_bones(bones)
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones(4, 15, dtype=torch.float64))
    torch.testing.assert_close(unit * length, bones)
    assert torch.autograd.gradcheck(split_bones, bones)


def test_a_zero_bone_has_no_direction_and_a_finite_gradient():
    bones = torch.zeros(1, 2, 3, requires_grad=True)
    unit, length = split_bones(bones)
    (unit.sum() + length.sum()).backward()
    assert not unit.any() and not length.any() and bones.grad.isfinite().all()


@pytest.mark.parametrize('angle', [0, 1e-12, 1e-6, 1e-3, 0.0999, 0.1001, 1.0, 3.141592653589793, 5.4])
def test_rotation_is_the_matrix_exponential(angle, generator):
    axis = torch.nn.functional.normalize(torch.randn(7, 3, dtype=torch.float64, generator=generator), dim=-1)
    vector = angle * axis
    cross = torch.zeros(7, 3, 3, dtype=torch.float64)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        cross[:, k, j], cross[:, j, k] = vector[:, i], -vector[:, i]
    matrix = axis_angle_to_matrix(vector)
    torch.testing.assert_close(matrix, torch.linalg.matrix_exp(cross), rtol=0, atol=1e-12)
    single = axis_angle_to_matrix(vector.float())
    assert single.dtype == torch.float32 and (single - matrix).abs().max() < 1e-6
    eye = torch.eye(3, dtype=torch.float64).expand(7, 3, 3)
    torch.testing.assert_close(matrix @ matrix.transpose(1, 2), eye, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(7, dtype=torch.float64))
    if angle < 3:
        turned = axis_angle_to_matrix(vector.clone().requires_grad_())
        assert torch.autograd.gradcheck(axis_angle_to_matrix, vector.requires_grad_()) and turned.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_no_rotation_is_exactly_none_and_has_the_gradient_of_the_generators(dtype):
    vector = torch.zeros(3, dtype=dtype, requires_grad=True)
    assert torch.equal(axis_angle_to_matrix(vector), torch.eye(3, dtype=dtype))
    jacobian = torch.autograd.functional.jacobian(axis_angle_to_matrix, vector)
    expected = torch.zeros(3, 3, 3, dtype=dtype)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        expected[k, j, i], expected[j, k, i] = 1, -1
    assert torch.equal(jacobian, expected)


def test_rotate_turns_points_about_the_axis():
    quarter = axis_angle_to_matrix(torch.tensor([[0, 0, torch.pi / 2]]))
    points = torch.tensor([[[1.0, 0, 5], [0, 2, 0]]])
    torch.testing.assert_close(rotate(quarter, points), torch.tensor([[[0.0, 1, 5], [-2, 0, 0]]]))


def test_gram_holds_the_cosines(generator):
    unit, _ = split_bones(torch.randn(3, 5, 3, dtype=torch.float64, generator=generator))
    gram = kcs_gram(unit)
    for row in range(5):
        for column in range(5):
            cosine = torch.nn.functional.cosine_similarity(unit[:, row], unit[:, column])
            torch.testing.assert_close(gram[:, row, column], cosine)


@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_full(half, generator):
    body = tree()
    bones = torch.randn(64, 15, 3, generator=generator)
    vector = torch.randn(64, 3, generator=generator)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        pose, matrix, gram = body.pose(bones), axis_angle_to_matrix(vector), kcs_gram(bones)
        turned = rotate(matrix, pose)
    for got, full in (
        (pose, body.pose(bones)),
        (matrix, axis_angle_to_matrix(vector)),
        (gram, kcs_gram(bones)),
        (turned, rotate(matrix, pose)),
    ):
        assert got.dtype == torch.float32 and torch.equal(got, full)
    assert body.pose(bones.to(half)).dtype == body.bones(pose.to(half)).dtype == torch.float32
