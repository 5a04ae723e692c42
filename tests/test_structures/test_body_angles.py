import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmposeda.structures.body_angles import bone_angles, bone_triplets, view_angles
from mmposeda.structures.skeleton import Skeleton

BODY = Skeleton.from_metainfo('body16_3d')


def people(skeleton=BODY, count=30, seed=0):
    """Upright bodies with random limbs in their own frame (left, up, front), metres, hips around 0."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(0, 0.3, (count, skeleton.num_joints, 3))
    own = dict(left_hip=[0.13, 0, 0], left_shoulder=[0.2, 0.5, 0])
    own.update(right_hip=[-0.13, 0, 0], right_shoulder=[-0.2, 0.5, 0])
    for name in ('thorax', 'neck', 'upper_neck'):
        own[name] = [0.01, 0.5, 0]  # never straight above the hips
    for name, place in own.items():
        if name in (*skeleton.joint_names, *skeleton.aliases.values()):
            poses[:, skeleton.index(name)] = place
    return poses


def seen_from(poses, azimuth, elevation, distance=4.0, roll=0.0):
    """The bodies in the frame of cameras that look at their hips from there."""
    back = np.stack(
        [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)], 1
    )  # to the camera, in (left, up, front)
    right = np.stack([np.cos(azimuth), 0 * azimuth, -np.sin(azimuth)], 1)
    turned = np.stack([right, np.cross(-back, right), -back], 1)  # rows x right, y down, z forward
    assert np.linalg.det(turned) == pytest.approx(1)
    turned = Rotation.from_rotvec([0, 0, roll]).as_matrix() @ turned
    return poses @ turned.transpose(0, 2, 1) + [0, 0, distance]


def directions(count=30, seed=1):
    rng = np.random.default_rng(seed)
    return rng.uniform(-np.pi, np.pi, count), np.arcsin(rng.uniform(-1, 1, count))


@pytest.mark.parametrize('name', ['body16_3d', 'h36m', 'mpi_inf_3dhp', 'smpl24', 'nlrd17', 'humaneva15', 'coco'])
def test_cameras_are_found_where_they_are(name):
    skeleton = Skeleton.from_metainfo(name)
    azimuth, elevation = directions()
    got = view_angles(seen_from(people(skeleton), azimuth, elevation), skeleton)
    assert got == pytest.approx(np.stack([azimuth, elevation], 1), abs=1e-9)


def test_named_directions():
    front = seen_from(people(count=1), np.zeros(1), np.zeros(1))
    left, right = (front[0, BODY.index(f'{side}_hip')] for side in ('left', 'right'))
    assert left[0] > right[0] and front[0, BODY.index('thorax'), 1] < left[1]  # it looks at us, upright
    for azimuth, elevation in ((0, 0), (np.pi / 2, 0), (-np.pi / 2, 0), (np.pi, 0), (0, 1.2)):
        got = view_angles(seen_from(people(count=1), np.full(1, azimuth), np.full(1, elevation)), BODY)
        assert np.cos(got[0] - [azimuth, elevation]) == pytest.approx(1)


def test_only_the_body_and_the_direction_matter():
    azimuth, elevation = directions()
    want = view_angles(seen_from(people(), azimuth, elevation), BODY)
    limbs = people(seed=7)
    for changed in (
        seen_from(people(), azimuth, elevation, distance=9.0),
        seen_from(people(), azimuth, elevation, roll=0.7),
        3000 * seen_from(people(), azimuth, elevation),
        seen_from(limbs, azimuth, elevation),
    ):
        assert view_angles(changed, BODY) == pytest.approx(want, abs=1e-9)
    # a turn about the camera moves the person in the picture, not the camera about the person
    turn = Rotation.from_euler('yx', [0.4, -0.3]).as_matrix()
    assert view_angles(seen_from(people(), azimuth, elevation) @ turn.T, BODY) == pytest.approx(want, abs=1e-9)


def test_root_relative_poses_are_seen_along_the_axis():
    azimuth, elevation = directions()
    body = people()
    body[:, BODY.index('root')] = 0
    far = seen_from(body, azimuth, elevation, distance=5.0)
    relative = far - far[:, :1]
    assert view_angles(relative, BODY) == pytest.approx(np.stack([azimuth, elevation], 1), abs=1e-9)


def test_mirror_images_are_seen_from_the_other_side():
    azimuth, elevation = directions()
    poses = seen_from(people(), azimuth, elevation)
    mirror = (poses * [-1, 1, 1])[:, list(BODY.flip_indices)]
    assert view_angles(mirror, BODY) == pytest.approx(view_angles(poses, BODY) * [-1, 1])


def test_poses_without_a_frame_are_nan():
    poses = seen_from(people(count=4), *directions(4))
    poses[0, BODY.index('left_hip')] = poses[0, BODY.index('right_hip')]
    poses[1, BODY.index('thorax')] = 2 * poses[1, BODY.index('left_hip')] - poses[1, BODY.index('right_hip')]
    poses[2, BODY.index('thorax'), 0] = np.nan
    got = view_angles(poses, BODY)
    assert np.isnan(got[:3]).all() and np.isfinite(got[3]).all()
    assert np.isnan(view_angles(np.zeros((1, 16, 3)), BODY)).all()
    assert view_angles(poses[:0], BODY).shape == (0, 2)


def test_joint_sets_and_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"got poses \(3, 17, 3\), expected \(N, 16, 3\) for joint set 'body16_3d'"):
        view_angles(np.zeros((3, 17, 3)), BODY)
    hand = Skeleton.from_metainfo('hand21')
    with pytest.raises(ValueError, match='has no right_hip and no left_hip'):
        view_angles(np.zeros((3, 21, 3)), hand)
    assert bone_angles(np.ones((2, 21, 3)), hand).shape == (2, 15)


def test_angles_are_those_between_the_bones():
    poses = people()
    triplets = bone_triplets(BODY)
    names = [BODY.joint_names[j] for j in triplets[:, 1]]
    assert names.count('thorax') == 3 and names.count('left_knee') == 1 and 'root' not in names and len(names) == 12
    got = bone_angles(poses, BODY)
    for n in (0, 17):
        for i, (a, b, c) in enumerate(triplets):
            u, v = poses[n, a] - poses[n, b], poses[n, c] - poses[n, b]
            assert got[n, i] == pytest.approx(np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
    turn = Rotation.random(30, random_state=0).as_matrix()
    assert bone_angles(3 * poses @ turn.transpose(0, 2, 1) + 5, BODY) == pytest.approx(got)


def test_straight_and_folded_limbs_are_exact():
    poses = np.zeros((3, 16, 3))
    hip, knee, foot = (BODY.index(f'left_{name}') for name in ('hip', 'knee', 'foot'))
    poses[:, hip], poses[:, knee] = [0, 0, 0], [0, 0.4, 0]
    poses[:, foot] = [0, 0.8, 0], [0, 0.1, 0], [0.3, 0.4, 0]
    at_knee = np.flatnonzero(bone_triplets(BODY)[:, 2] == foot)
    got = bone_angles(poses, BODY)
    assert got[:, at_knee[0]].tolist() == [np.pi, 0, np.pi / 2]
    others = np.delete(got, at_knee, 1)
    assert np.isnan(others).all()  # of bones without length
