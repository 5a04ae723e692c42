"""Rendered hands: anatomy, and labels against references computed another way."""

from __future__ import annotations

import numpy as np
import pytest
from figure_checks import check_masks, check_seed_and_index
from figure_meshes import brute_force_hit, distance_to_surface, drawn_points, winding_number

pytest.importorskip('anny', reason='rendered hands need the extra synth (anny)')
pytest.importorskip('warp', reason='rendered hands need the extra synth (warp-lang)')

from mmposeda.datasets.synthetic.body import forward_kinematics  # noqa: E402
from mmposeda.datasets.synthetic.bone_heat import bone_heat  # noqa: E402
from mmposeda.datasets.synthetic.hand import CHANGES, hand_model  # noqa: E402
from mmposeda.datasets.synthetic.hand_angles import (  # noqa: E402
    ANGLE,
    ANGLES,
    DIP_RATIO,
    DIP_SLACK,
    HIGH,
    LONG,
    LOW,
    HandFrame,
    constrain,
)
from mmposeda.datasets.synthetic.hand_poses import (  # noqa: E402
    GESTURES,
    HandPoseSource,
    overlap,
    segment_distance,
)
from mmposeda.datasets.synthetic.hand_rig import BONE, FINGERS, JOINT_SETS, PARENTS, joint_table  # noqa: E402
from mmposeda.datasets.synthetic.hands import HAND_LOOKS, RenderedHands  # noqa: E402
from mmposeda.datasets.synthetic.looks import LOOKS  # noqa: E402
from mmposeda.datasets.synthetic.rotations import unit  # noqa: E402

PLAIN = dict(name='clean', occluder_share=0.0, other_share=0.0)


@pytest.fixture(scope='module')
def hands():
    return RenderedHands(size=96, seed=5)


@pytest.fixture(scope='module')
def pictures(hands):
    return hands.render(range(12))


@pytest.fixture(scope='module')
def shaped():
    """An average right hand at rest: vertices, bone heads and tails."""
    shape = np.array([[0.5, 0.7, 0.5, 0.5, 0.5, 0.5]])
    return tuple(x[0].astype(float) for x in hand_model().rest(shape, np.zeros((1, len(CHANGES)))))


def posed_joints(shaped, angles):
    """Joints by name (N, 3), metres, of angles (N, 27) in degrees."""
    _, heads, tails = shaped
    rotations = HandFrame(heads, tails, hand_model().nails).rotations(angles)
    both = forward_kinematics(rotations, *(np.repeat(x[None], len(angles), 0) for x in (heads, tails)), PARENTS)
    names, weights, _ = joint_table()
    return dict(zip(names, np.einsum('kb,nbc->knc', weights, np.concatenate(both, axis=1))))


def between(a, b):
    """Angle in degrees between vectors (..., 3)."""
    return np.degrees(np.arccos(np.clip((unit(a) * unit(b)).sum(-1), -1, 1)))


def test_joint_names_and_orders_are_mmposes():
    from mmposeda.structures.skeleton import Skeleton

    for ours, theirs in (('hand21', 'hand21'), ('hand21', 'freihand2d'), ('hand21', 'onehand10k'), ('rhd2d', 'rhd2d')):
        names, weights, _ = joint_table(ours)
        assert tuple(names) == tuple(Skeleton.from_metainfo(theirs).joint_names)
        np.testing.assert_allclose(weights.sum(1), 1)
    with pytest.raises(ValueError, match="unknown joint set 'lsp'.*hand21"):
        joint_table('lsp')


def test_mesh_is_closed_and_skinned():
    model = hand_model()
    edges = np.sort(model.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    np.testing.assert_allclose(model.weights.sum(1), 1, atol=1e-5)
    assert set(np.unique(model.face_part)) == set(range(1, 18)), 'every part has skin'


def test_hand_axes_and_lengths(shaped):
    joints = {name: p[0] for name, p in posed_joints(shaped, np.zeros((1, len(ANGLES)))).items()}
    np.testing.assert_allclose(joints['wrist'], 0, atol=1e-6)
    assert joints['pinky_finger1'][0] > 0.02 > joints['forefinger1'][0], 'x points to the little finger'
    assert abs(joints['middle_finger1'][0]) < 1e-5 and joints['middle_finger1'][1] > 0.06, 'y points to the knuckles'
    assert (hand_model().nails[1:, 2] > 0.7).all(), 'z points out of the back, where the nails are'
    length = {f: sum(np.linalg.norm(joints[f'{f}{k + 1}'] - joints[f'{f}{k}']) for k in (1, 2, 3)) for f in LONG}
    assert max(length, key=length.get) == 'middle_finger' and min(length, key=length.get) == 'pinky_finger'
    assert 0.15 < np.linalg.norm(joints['middle_finger4']) < 0.23, 'metres'


def test_joints_lie_inside_the_fingers(hands):
    model, names = hand_model(), hands.joint_names
    for number in range(6):
        scene = hands._scene(number)
        scene = dict(scene, record=scene['record'].copy())
        for name, bare in (('cuff', -9), ('glove_end', -9), ('band_place', 9)):
            scene['record'][name] = bare
        points = drawn_points(hands.renderer, scene)
        joints = hands.renderer.pose_joints(scene['rotations'], scene['heads'][None], scene['tails'][None])[0][0]
        joints = joints @ scene['turn'].T + scene['translation'][0]
        for name, joint in zip(names, joints):
            turns = abs(winding_number(joint, points, model.faces))
            own = model.face_kind == (1 + FINGERS.index(name[:-1]) if name[-1] in '234' else 0)
            depth = 1000 * distance_to_surface(joint, points, model.faces[own])
            tip, palm = name.endswith('4'), name in ('wrist', 'thumb1', 'thumb2') or name.endswith('r1')
            assert turns > 0.5, f'{name} of hand {number} is outside'
            low, high = (0.3, 3) if tip else (2, 30) if palm else (3, 12)
            assert low < depth < high, f'{name} of hand {number} lies {depth:.1f} mm under the skin'


def test_thickness_follows_the_size_of_the_hand(shaped):
    model = hand_model()
    here = model.thickness(*shaped)
    np.testing.assert_allclose(model.thickness(*(1.3 * x for x in shaped)), 1.3 * here)
    fingers = [BONE[f'{finger}{k}'] for finger in FINGERS for k in (1, 2, 3)]
    np.testing.assert_allclose(here[fingers], model.radii[fingers], rtol=0.5)
    assert here[BONE['thumb3']] > here[BONE['pinky_finger3']] > 0.003, 'metres'


def test_angles_are_those_between_the_bones(shaped):
    angles = np.zeros((4, len(ANGLES)))
    bends = [0, 30, 60, 90]
    for finger in LONG:
        angles[:, ANGLE[f'{finger}_pip']] = bends
        angles[:, ANGLE[f'{finger}_dip']] = np.multiply(bends, DIP_RATIO)
    angles[:, ANGLE['thumb_ip']] = np.multiply(bends, 0.5)
    j = posed_joints(shaped, angles)
    for finger, k, share in [('thumb', 3, 0.5), *((f, 2, 1) for f in LONG), *((f, 3, DIP_RATIO) for f in LONG)]:
        found = between(j[f'{finger}{k}'] - j[f'{finger}{k - 1}'], j[f'{finger}{k + 1}'] - j[f'{finger}{k}'])
        # the hinge is not quite square to the bones, as in a hand
        np.testing.assert_allclose(found, np.multiply(bends, share), atol=6, err_msg=f'{finger}{k}')
    closed = {f: j[f'{f}2'][0] - j[f'{f}1'][0] for f in LONG}
    for finger in LONG:
        assert between(closed[finger], closed['middle_finger']) < 8, 'closed fingers are parallel'


def test_flexion_bends_towards_the_palm(shaped):
    angles = np.zeros((2, len(ANGLES)))
    for name in ('mcp', 'pip'):
        angles[1, [ANGLE[f'{finger}_{name}'] for finger in LONG]] = 70
    j = posed_joints(shaped, angles)
    for finger in LONG:
        open_tip, bent_tip = j[f'{finger}4']
        assert bent_tip[2] < open_tip[2] - 0.02 and bent_tip[1] < open_tip[1]
    angles[1] = 0
    angles[1, [ANGLE['forefinger_spread'], ANGLE['pinky_finger_spread']]] = -15, 30
    j = posed_joints(shaped, angles)
    assert j['forefinger4'][1, 0] < j['forefinger4'][0, 0] and j['pinky_finger4'][1, 0] > j['pinky_finger4'][0, 0]


def test_poses_keep_the_limits(shaped):
    _, heads, tails = shaped
    model, rng = hand_model(), np.random.default_rng(0)
    source = HandPoseSource(gesture_share=0.5, noise=(1.0, 2.0))
    drawn = [source.sample(rng, heads, tails, model.nails, model.radii, frames) for frames in [0] * 40 + [30] * 3]
    angles = np.concatenate([pose[2] for pose in drawn])
    assert (angles >= LOW - 1e-6).all() and (angles <= HIGH + 1e-6).all()
    assert len({pose[3] for pose in drawn}) > 8, 'many gestures'
    for finger in LONG:
        pip, dip, mcp, spread = (angles[:, ANGLE[f'{finger}_{name}']] for name in ('pip', 'dip', 'mcp', 'spread'))
        assert (np.abs(dip - DIP_RATIO * pip) <= DIP_SLACK + 1e-6).all(), 'the end joints bend together'
        assert (np.abs(spread[mcp >= 89.9]) < 1e-3).all(), 'bent knuckles do not spread'
    wild = np.random.default_rng(1).uniform(-200, 200, (50, len(ANGLES)))
    np.testing.assert_allclose(constrain(constrain(wild)), constrain(wild))


def test_fingers_hardly_sink_into_each_other(shaped):
    _, heads, tails = shaped
    model, rng = hand_model(), np.random.default_rng(3)

    def sunk(source):
        turns = [source.sample(rng, heads, tails, model.nails, model.radii)[0][0] for _ in range(40)]
        both = forward_kinematics(np.stack(turns), *(np.repeat(x[None], 40, 0) for x in (heads, tails)), PARENTS)
        return 1000 * overlap(*both, model.radii)

    chosen = sunk(HandPoseSource(gesture_share=0.3))
    assert np.quantile(chosen, 0.9) < 4.1 and chosen.mean() < 1.5, 'mm, summed over all pairs of bones'


def test_gestures_are_what_their_names_say(shaped):
    names = ('fist', 'open', 'point', 'pinch', 'thumb_up')
    j = posed_joints(shaped, constrain(np.stack([GESTURES[name][0] for name in names])))

    def reach(finger):
        return dict(zip(names, np.linalg.norm(j[f'{finger}4'] - j['wrist'], axis=-1)))

    assert all(reach(f)['fist'] < 0.65 * reach(f)['open'] for f in LONG)
    assert reach('forefinger')['point'] > 0.95 * reach('forefinger')['open'] and reach('ring_finger')['point'] < 0.11
    gap = dict(zip(names, np.linalg.norm(j['thumb4'] - j['forefinger4'], axis=-1)))
    assert gap['pinch'] < 0.03 < gap['open']


def test_segment_distance_against_samples():
    a, b, c, d = np.random.default_rng(0).normal(size=(4, 30, 3))
    t = np.linspace(0, 1, 200)[:, None, None]
    first, second = a + t * (b - a), c + t * (d - c)
    slow = np.linalg.norm(first[:, None] - second[None], axis=-1).min((0, 1))
    np.testing.assert_allclose(segment_distance(a, b, c, d), slow, atol=0.02)


def test_bone_heat_gives_skin_to_the_bones_below():
    angle, height = np.meshgrid(np.arange(12) * np.pi / 6, np.linspace(0, 4, 21))
    tube = np.stack([0.3 * np.cos(angle), 0.3 * np.sin(angle), height], -1).reshape(-1, 3)
    grid = np.arange(21 * 12).reshape(21, 12)
    low, high = grid[:-1], grid[1:]
    first = np.stack([low, np.roll(low, -1, 1), high], -1)
    second = np.stack([np.roll(low, -1, 1), np.roll(high, -1, 1), high], -1)
    faces = np.concatenate([first, second]).reshape(-1, 3)
    start, middle, end = np.array([[0, 0, 0.0], [0, 0, 2], [0, 0, 4]])
    weights = bone_heat(tube, faces, [[(start, middle)], [(middle, end)]])
    np.testing.assert_allclose(weights.sum(1), 1)
    rings = weights[:, 0].reshape(21, 12)
    assert (rings[:4] > 0.99).all() and (rings[-4:] < 0.01).all(), 'far from the joint one bone alone moves the skin'
    np.testing.assert_allclose(rings[10], 0.5, atol=0.02)
    assert (np.diff(rings.mean(1)) <= 1e-9).all()


def test_projected_joints_are_the_keypoints(pictures):
    for s in pictures:
        x = s['keypoints_3d_cam'].astype(float)
        flat = x[:, :2] / x[:, 2:] * s['camera']['f'] + s['camera']['c']
        np.testing.assert_allclose(flat, s['keypoints'], atol=1e-3)
        assert (x[:, 2] > 100).all(), 'millimetres, before the camera'


def test_left_hands_are_mirrored_right_ones():
    right, left = (RenderedHands(size=64, seed=2, look=PLAIN, side=side).render(range(6)) for side in ('right', 'left'))
    for a, b in zip(right, left):
        assert (a['subject'].pop('side'), b['subject'].pop('side')) == ('right', 'left')
        assert a['subject'] == b['subject'] and a['pose_source'] == b['pose_source']
        np.testing.assert_allclose(b['keypoints'], a['keypoints'] * [-1, 1] + [63, 0], atol=1e-3)
        np.testing.assert_allclose(b['keypoints_3d_cam'], a['keypoints_3d_cam'] * [-1, 1, 1], atol=1e-2)
        np.testing.assert_array_equal(b['visibility'], a['visibility'])
        assert (b['part'][:, ::-1] != a['part']).mean() < 0.01


def test_a_right_palm_has_its_thumb_on_the_right():
    views = dict(frontal_share=1.0, frontal_spread=1.0, turned_share=0.0, roll=0.0, elevation=(0.0, 0.0))
    poses = dict(gestures=['open'], gesture_share=1.0, noise=(0.0, 0.1))
    hands = RenderedHands(size=64, look=dict(name='clean', views=views), poses=poses, side='right')
    for s in hands.render(range(4)):
        x, y = s['keypoints'].T
        at = {name: k for k, name in enumerate(hands.joint_names)}
        assert x[at['thumb4']] > x[at['middle_finger1']] > x[at['pinky_finger1']]
        assert y[at['middle_finger4']] < y[at['middle_finger1']] < y[at['wrist']]


def test_half_of_the_hands_are_left():
    hands = RenderedHands(size=32, seed=1)
    share = np.mean([hands.streams(i)['person'].random() < 0.5 for i in range(400)])
    sides = [hands._scene(i)['label']['subject']['side'] for i in range(20)]
    assert 0.4 < share < 0.6 and set(sides) == {'left', 'right'}


def test_hidden_joints_against_a_brute_force_ray_test(hands):
    renderer = hands.renderer
    scenes, drawing = hands._draw(range(5), [0] * 5)
    hidden = []
    for k, scene in enumerate(scenes):
        points = drawn_points(renderer, scene)
        for j, joint in enumerate(drawing.joints[k]):
            face, depth = brute_force_hit(points, renderer.hand.faces, joint)
            own = renderer._own_parts[j, renderer.hand.face_part[face]]
            expected = joint[2] - depth > (renderer.reach if own else renderer.margin)[j]
            assert drawing.hidden[k, j] == expected, (k, hands.joint_names[j])
            hidden.append(expected)
    assert 0.02 < np.mean(hidden) < 0.7


def test_finger_tips_are_seen_from_the_palm_and_hidden_behind_a_fist():
    views = dict(frontal_share=0.0, turned_share=0.0, elevation=(0.0, 0.0))
    for gesture, seen in (('open', 2), ('fist', 1)):
        poses = dict(gestures=[gesture], gesture_share=1.0, noise=(0.0, 0.1))
        hands = RenderedHands(size=32, look=dict(PLAIN, views=views), poses=poses)
        tips = [hands.joint_names.index(f'{finger}4') for finger in LONG]
        chosen = []
        for s in hands.render(range(40)):
            if (abs(s['view']['azimuth']) < 30) if seen == 2 else (abs(s['view']['azimuth']) > 150):
                chosen.append(s['visibility'][tips])
        assert len(chosen) > 3 and (np.array(chosen) == seen).all(), gesture


def test_picture_depends_on_seed_and_index_alone(pictures):
    check_seed_and_index(RenderedHands, pictures)


def test_mask_parts_and_box_fit(pictures):
    check_masks(pictures, largest=0.95)


def test_looks_differ_in_pictures_alone():
    assert set(HAND_LOOKS) == set(LOOKS)
    views = dict(name='shifted', views=dict(distance=(0.3, 1.5)))
    dark = RenderedHands(size=64, seed=3, look=views).render(range(6))
    clean = RenderedHands(size=64, seed=3, look='clean').render(range(6))
    assert [s['pose_source'] for s in dark] == [s['pose_source'] for s in clean]
    assert np.mean([s['img'].mean() for s in dark]) < 0.8 * np.mean([s['img'].mean() for s in clean])


def test_sequences_are_one_hand_in_smooth_motion():
    frames = 16
    hands = RenderedHands(size=64, seed=3, sequence=frames, look='clean')
    clip = hands.render(range(2 * frames))
    first = clip[:frames]
    assert {s['clip'] for s in first} == {0} and [s['frame'] for s in first] == list(range(frames))
    assert all(s['subject'] == first[0]['subject'] and s['view'] is first[0]['view'] for s in first)
    np.testing.assert_array_equal([s['camera']['c'] for s in first], [first[0]['camera']['c']] * frames)
    for shown in (first, clip[frames:]):
        joints = np.stack([s['keypoints_3d_cam'] for s in shown]).astype(float)
        step = np.diff(joints, axis=0)
        assert 5 < np.linalg.norm(step, axis=-1).max() < 60, 'mm: the hand moves, no joint jumps'
        assert np.linalg.norm(np.diff(step, axis=0), axis=-1).max() < 25
        at = [hands.joint_names.index(f'{finger}{k}') for finger in FINGERS for k in (2, 3, 4)]
        bones = np.linalg.norm(joints[:, at] - joints[:, np.subtract(at, 1)], axis=-1)
        assert np.ptp(bones, axis=0).max() < 0.01, 'bones keep their lengths'
    assert clip[frames]['subject'] != first[0]['subject']
    alone = RenderedHands(size=64, seed=3, sequence=frames, look='clean').render([frames + 5])[0]
    np.testing.assert_array_equal(alone['img'], clip[frames + 5]['img'])


def test_joint_sets_name_the_same_places():
    a, b = (RenderedHands(size=64, seed=4, joints=joints).render([1])[0] for joints in JOINT_SETS)
    for name in JOINT_SETS['hand21']:
        i, j = (JOINT_SETS[joints].index(name) for joints in JOINT_SETS)
        np.testing.assert_allclose(a['keypoints'][i], b['keypoints'][j], atol=1e-3)
        assert a['visibility'][i] == b['visibility'][j]
    assert BONE['thumb1'] != BONE['thumb2']


def test_bad_input_is_named(tmp_path):
    for change, message in (
        (dict(look='sunny'), 'unknown look'),
        (dict(side='middle'), "side must be 'left', 'right' or 'both', got 'middle'"),
        (dict(joints='h36m'), "unknown joint set 'h36m'"),
        (dict(size=8), 'at least 32'),
        (dict(sequence=-1), 'sequence'),
        (dict(poses=dict(gestures=['wave'])), r"unknown gestures \['wave'\]"),
        (dict(poses=dict(gestures=[])), 'gestures'),
        (dict(poses=dict(gesture_share=2)), r'gesture_share must lie in \[0, 1\], got 2'),
        (dict(poses=dict(candidates=0)), 'candidates'),
        (dict(look=dict(name='clean', views=dict(turned_share=3))), 'turned_share'),
    ):
        with pytest.raises(ValueError, match=message):
            RenderedHands(**change)
    with pytest.raises(FileNotFoundError, match='no pictures'):
        RenderedHands(backgrounds=tmp_path)
