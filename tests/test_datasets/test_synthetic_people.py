"""Rendered people: labels against references computed another way, and independence of everything but the seed."""

from __future__ import annotations

import numpy as np
import pytest
from figure_checks import check_masks, check_seed_and_index
from figure_meshes import brute_force_hit, drawn_points

pytest.importorskip('anny', reason='rendered people need the extra synth (anny)')
pytest.importorskip('warp', reason='rendered people need the extra synth (warp-lang)')

from mmposeda.datasets.synthetic.body import PHENOTYPES, body_model, forward_kinematics  # noqa: E402
from mmposeda.datasets.synthetic.people import RenderedPeople  # noqa: E402
from mmposeda.datasets.synthetic.poses import sample_limits  # noqa: E402
from mmposeda.datasets.synthetic.retarget import retarget, to_local, to_world  # noqa: E402
from mmposeda.datasets.synthetic.rig import BONE, BONES, JOINT_SETS, PARENTS, joint_table  # noqa: E402
from mmposeda.datasets.synthetic.rotations import random_rotation  # noqa: E402


@pytest.fixture(scope='module')
def people():
    return RenderedPeople(size=96, seed=5)


@pytest.fixture(scope='module')
def pictures(people):
    return people.render(range(12))


def posed_body(seed=0):
    """A body in a random pose: shape values, rest bone ends, world rotations."""
    rng = np.random.default_rng(seed)
    shape = rng.uniform(0.3, 0.8, (1, len(PHENOTYPES)))
    vertices, heads, tails = body_model().rest(shape)
    return shape, vertices, heads, tails, sample_limits(rng, heads[0], 1)


def test_rest_pose_axes_and_bones_are_annys():
    import torch

    model = body_model()._anny
    assert tuple(model.bone_labels) == tuple(BONES) and tuple(model.bone_parents) == PARENTS
    shape, vertices, heads, tails, _ = posed_body()
    ours = model(phenotype_kwargs={k: torch.tensor([v], dtype=torch.float32) for k, v in zip(PHENOTYPES, shape[0])})
    np.testing.assert_allclose(vertices[0], ours['rest_vertices'][0], atol=1e-5)
    np.testing.assert_allclose(heads[0], ours['rest_bone_heads'][0], atol=1e-5)
    left, right, head, foot = (heads[0, BONE[n]] for n in ('LeftArm', 'RightArm', 'Head', 'LeftFoot'))
    toe = tails[0, BONE['LeftToeBase']]
    assert left[0] > 0.1 > -0.1 > right[0], 'the left side is +x'
    assert head[2] > left[2] > foot[2], 'z is up'
    assert toe[1] < foot[1] - 0.05, 'the toes, and so the body, look along -y'
    assert vertices[0, :, 2].max() - vertices[0, :, 2].min() > 1.3, 'metres'


def test_posing_agrees_with_anny():
    import torch

    model = body_model()._anny
    shape, vertices, heads, tails, g = posed_body(3)
    posed, ends = forward_kinematics(g, heads, tails)
    pose = torch.eye(4).repeat(1, len(BONES), 1, 1)
    pose[:, :, :3, :3] = torch.from_numpy(to_local(g)).float()
    out = model(
        pose_parameters=pose,
        phenotype_kwargs={k: torch.tensor([v], dtype=torch.float32) for k, v in zip(PHENOTYPES, shape[0])},
        pose_parameterization='local-ref',
        return_bone_ends=True,
    )
    theirs = out['bone_heads'][0].numpy() - out['bone_heads'][0, 0].numpy()
    np.testing.assert_allclose(posed[0] - posed[0, 0], theirs, atol=2e-4)
    theirs = out['bone_tails'][0].numpy() - out['bone_heads'][0, 0].numpy()
    np.testing.assert_allclose(ends[0] - posed[0, 0], theirs, atol=2e-4)
    np.testing.assert_allclose(to_world(to_local(g)), g, atol=1e-9)


def test_joint_sets_match_the_meta_files():
    from mmposeda.structures.skeleton import Skeleton

    for name in JOINT_SETS:
        names, weights, _ = joint_table(name)
        theirs = [n.replace('_bottom', '') for n in Skeleton.from_metainfo(name).joint_names]
        assert [n.replace('_bottom', '') for n in names] == theirs
        np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    with pytest.raises(ValueError, match="unknown joint set 'coco'.*lsp"):
        joint_table('coco')


def test_joints_lie_inside_the_body_at_rest(people):
    _, vertices, heads, tails, _ = posed_body()
    still = np.tile(np.eye(3), (1, len(BONES), 1, 1))
    joints = people.renderer.pose_joints(still, heads, tails)[0][0]
    for name, joint in zip(people.joint_names, joints):
        near = np.linalg.norm(vertices[0] - joint, axis=1).min()
        assert near < 0.12, f'{name} is {near:.3f} m from the skin'
    by_name = dict(zip(people.joint_names, joints))
    collar = heads[0, BONE['LeftShoulder'], 2]
    assert collar < by_name['neck'][2] < heads[0, BONE['Head'], 2], 'the neck is between collar bones and skull'
    assert by_name['head_top'][2] > heads[0, BONE['Head'], 2]


def test_retargeting_puts_limbs_where_they_were():
    _, _, heads, tails, g = posed_body(7)
    weights = joint_table('h36m')[1]
    g = random_rotation(np.random.default_rng(1)) @ g
    posed, ends = forward_kinematics(g, heads, tails)
    target = weights @ np.concatenate([posed, ends], axis=1)[0]
    again = retarget(target[None], heads[0], tails[0])
    posed, ends = forward_kinematics(again, heads, tails)
    got = weights @ np.concatenate([posed, ends], axis=1)[0]
    names = joint_table('h36m')[0]
    for a, b in (('hip', 'knee'), ('knee', 'foot'), ('shoulder', 'elbow'), ('elbow', 'wrist')):
        for side in ('left', 'right'):
            i, j = names.index(f'{side}_{a}'), names.index(f'{side}_{b}')
            u, v = target[j] - target[i], got[j] - got[i]
            angle = np.degrees(np.arccos(np.clip(u @ v / np.linalg.norm(u) / np.linalg.norm(v), -1, 1)))
            assert angle < 0.1, (side, a, angle)
    assert np.linalg.norm(got - target, axis=1).max() < 0.08


def test_projected_joints_are_the_keypoints(pictures):
    for s in pictures:
        x = s['keypoints_3d_cam'].astype(float)
        flat = x[:, :2] / x[:, 2:] * s['camera']['f'] + s['camera']['c']
        np.testing.assert_allclose(flat, s['keypoints'], atol=0.01)
        assert (x[:, 2] > 300).all(), 'millimetres, before the camera'


def test_right_joints_of_a_front_view_fall_on_the_left():
    views = dict(frontal_share=1.0, frontal_spread=5.0, turned_share=0.0, roll=0.0)
    shown = RenderedPeople(size=64, look=dict(name='clean', views=views), seed=1).render(range(16))
    names = [n for n, _ in JOINT_SETS['lsp']]
    for pair in ('shoulder', 'hip'):
        right, left = names.index(f'right_{pair}'), names.index(f'left_{pair}')
        gap = np.array([s['keypoints'][left, 0] - s['keypoints'][right, 0] for s in shown])
        assert (gap > 0).mean() > 0.9 and np.median(gap) > 3, pair


def test_views_change_without_changing_people():
    a = RenderedPeople(size=64, seed=2, look=dict(name='clean', views=dict(frontal_share=1.0))).render([3])[0]
    b = RenderedPeople(size=64, seed=2, look=dict(name='clean', views=dict(frontal_share=0.0))).render([3])[0]
    assert a['subject'] == b['subject'] and a['pose_source'] == b['pose_source']
    assert a['view']['azimuth'] != b['view']['azimuth']
    np.testing.assert_array_equal(a['img'][0, 0], b['img'][0, 0])


def test_picture_depends_on_seed_and_index_alone(pictures):
    check_seed_and_index(RenderedPeople, pictures)


def test_mask_parts_and_box_fit(pictures):
    check_masks(pictures, largest=0.9)


def test_hidden_joints_against_a_brute_force_ray_test(people):
    renderer = people.renderer
    scenes, drawing = people._draw(range(4), [0] * 4)
    hidden = []
    for k, s in enumerate(scenes):
        points = drawn_points(renderer, s)
        for j, joint in enumerate(drawing.joints[k]):
            face, depth = brute_force_hit(points, renderer.body.faces, joint)
            if not np.isfinite(depth):
                expected = False
            else:
                own = renderer._own_parts[j, renderer.body.face_part[face]]
                expected = joint[2] - depth > (0.18 if own else 0.03)
            assert drawing.hidden[k, j] == expected, (k, people.joint_names[j])
            hidden.append(expected)
    assert 0.02 < np.mean(hidden) < 0.8


def test_drawn_surface_is_the_nearest_one(people):
    """Part under the pixel against a ray through its centre."""
    renderer = people.renderer
    scenes, drawing = people._draw([2], [0])
    s = scenes[0]
    points = drawn_points(renderer, s)
    scale = renderer.supersample
    rows = ((np.arange(people.size) + 0.5) * scale).astype(int)
    agree = []
    for y, x in np.argwhere(drawing.part[0] > 0)[::40]:
        u, v = ((rows[[x, y]] + 0.5) / scale - 0.5 - s['centre']) / s['focal']
        face, depth = brute_force_hit(points, renderer.body.faces, np.array([u, v, 1.0]))
        agree.append(np.isfinite(depth) and renderer.body.face_part[face] == drawing.part[0, y, x])
    assert len(agree) > 5 and np.mean(agree) > 0.95


def test_sequences_are_one_person_in_smooth_motion():
    frames = 12
    clip = RenderedPeople(size=64, seed=3, sequence=frames, look='clean').render(range(2 * frames))
    first = clip[:frames]
    assert {s['clip'] for s in first} == {0} and [s['frame'] for s in first] == list(range(frames))
    assert all(s['subject'] == first[0]['subject'] and s['view'] is first[0]['view'] for s in first)
    np.testing.assert_array_equal([s['camera']['c'] for s in first], [first[0]['camera']['c']] * frames)
    joints = np.stack([s['keypoints_3d_cam'] for s in first])
    step = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
    assert 0 < step.max() < 350, 'no joint jumps between frames'
    bones = np.linalg.norm(joints[:, 0] - joints[:, 1], axis=-1)
    assert np.ptp(bones) < 1, 'limb lengths stay'
    assert clip[frames]['subject'] != first[0]['subject']


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match='unknown look'):
        RenderedPeople(look='sunny')
    with pytest.raises(ValueError, match='frontal_share'):
        RenderedPeople(look=dict(name='clean', views=dict(frontal_share=3)))
    with pytest.raises(FileNotFoundError, match='no pictures'):
        RenderedPeople(backgrounds=tmp_path)
    with pytest.raises(FileNotFoundError, match='nothing.npz'):
        RenderedPeople(poses=dict(files=['nothing.npz']))
    with pytest.raises(ValueError, match='at least 32'):
        RenderedPeople(size=8)
