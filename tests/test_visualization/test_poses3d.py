import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.patches import Rectangle, StepPatch
from scipy.spatial.transform import Rotation

from mmposeda.structures.body_angles import bone_angles, bone_triplets, view_angles
from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization import augmentation_sheet, distribution_figure

BODY = Skeleton.from_metainfo('body16_3d')
ROOT = BODY.index('root')


def poses(count=6, seed=0, joints=16):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.4, (count, joints, 3)) + np.array([0.2, 0.1, 5.0])


def examples(count=3, joints=16):
    """Bones of a source turned, made longer, moved, and seen."""
    source = poses(count, joints=joints)
    ba = poses(count, 1, joints)
    rt = 1.1 * ba + [0, 0, 2]
    bl = 1.1 * (ba - ba[:, :1]) + ba[:, :1]
    return dict(source=source, ba=ba, bl=bl, rt=rt, projected=rt[..., :2] / rt[..., 2:], aspect=np.full(count, 0.75))


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def limbs(axes):
    """Joints and colours of the links that are drawn, without their rims."""
    (drawn,) = (c for c in axes.collections if isinstance(c, LineCollection) and c.get_zorder() == 3)
    return np.array(drawn.get_segments())[1::2], drawn.get_colors()[1::2, :3]


def notes(axes):
    return [text.get_text() for text in axes.texts]


def test_every_row_shows_the_steps_and_the_frame():
    given = examples()
    figure = augmentation_sheet(given, 'body16_3d', title='a run')
    assert len(figure.axes) == 3 * 5
    assert [axes.get_title() for axes in figure.axes[:5]] == [
        'source', 'bone angles', 'bone lengths', 'rotation, translation', 'projection'
    ]  # fmt: skip
    assert [text.get_text() for text in figure.texts] == ['a run']
    for row in range(3):
        line = figure.axes[5 * row : 5 * row + 5]
        assert np.ptp([axes.get_xlim() for axes in line[:4]], 0) == pytest.approx(0)  # one scale
        for axes in line:
            box, (x, y) = axes.get_window_extent(), (np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim()))
            assert x / y == pytest.approx(box.width / box.height)
        drawn = limbs(line[4])[0].reshape(-1, 2)
        assert {tuple(point) for point in drawn.round(9)} == {tuple(p) for p in given['projected'][row].round(9)}
        (frame,) = (patch for patch in line[4].patches if isinstance(patch, Rectangle))
        assert frame.get_bbox().extents.tolist() == [-1, -0.75, 1, 0.75]
        assert line[4].get_ylim()[0] > line[4].get_ylim()[1]  # y goes down
    assert len(np.unique(pixels(figure).reshape(-1, 3), axis=0)) > 50


def test_lines_show_the_pose_upright_and_the_step_before_behind():
    given = examples(1)
    given['source'][0] -= given['source'][0, ROOT] * [1, 1, 0]
    given['source'][0, BODY.index('head')] = given['source'][0, ROOT] - [0, 3, 0]  # y is down
    figure = augmentation_sheet(given, 'body16_3d')
    joints = limbs(figure.axes[0])[0]
    assert joints[..., 1].max() > 1 and np.abs(joints[..., 1]).max() < max(figure.axes[0].get_ylim())
    lines = [len([c for c in axes.collections if isinstance(c, LineCollection)]) for axes in figure.axes]
    assert lines == [2, 3, 3, 2, 1]  # shadow, the pose before, pose


def test_steps_are_told_in_numbers():
    given = examples(1)
    turn = np.array([[np.cos(1), 0, np.sin(1)], [0, 1, 0], [-np.sin(1), 0, np.cos(1)]])
    source = given['source'][0] - given['source'][0, ROOT]
    source[:, 1] = 0  # so that the turn is the same for all bones
    given['source'][0] = source + [0.04, -0.01, 4]
    given['ba'][0] = source @ turn.T
    bl = given['ba'][0].copy()
    knee = BODY.index('left_knee')
    bl[[knee, BODY.index('left_foot')]] += 0.2 * (bl[knee] - bl[BODY.index('left_hip')])
    given['bl'][0] = bl
    given['projected'][0] = 0
    given['projected'][0, 3] = 0, -0.76
    axes = augmentation_sheet(given, 'body16_3d').axes
    assert notes(axes[0])[0] == 'root at (0.0, 0.0, 4.0) m'
    assert notes(axes[1])[0] == 'bones turned by 57°' and notes(axes[2]) == ['lengths +0 to +20 %']
    assert notes(axes[4]) == ['1 of 16 joints outside']
    assert notes(axes[0])[1:] == ['right', 'left']


def test_colours_are_those_of_the_meta_file():
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    from mmposeda.structures.skeleton import metainfo_path

    info = parse_pose_metainfo(dict(from_file=metainfo_path('h36m')))
    info['skeleton_link_colors'] = info['skeleton_link_colors'].copy()
    info['skeleton_link_colors'][3] = 90, 10, 60
    given = examples(1, joints=17)
    drawn = [limbs(augmentation_sheet(given, what).axes[4])[1] for what in (info, 'h36m')]
    assert drawn[0][3] == pytest.approx(np.array([90, 10, 60]) / 255)
    shown = [tuple(color) for color in drawn[1].round(6)]
    wanted = [tuple(color) for color in info['skeleton_link_colors']]
    same = {(a, b) for a, b in zip(wanted, shown) if wanted.index(a) != 3}
    assert len(same) == len({a for a, _ in same}) == len({b for _, b in same})  # one for one
    assert (drawn[1] ** 2.2 @ [0.2126, 0.7152, 0.0722]).max() < 0.31  # readable on white


def test_tensors_and_fewer_rows_are_taken():
    given = {key: torch.tensor(value).float() for key, value in examples(6).items()}
    assert len(augmentation_sheet(given, 'body16_3d', count=2).axes) == 10


def test_poses_that_are_not_finite_or_have_no_extent_are_left_white():
    given = examples(2)
    given['rt'][0], given['projected'][0] = np.nan, np.nan
    given['bl'][1, 4] = np.inf
    given['ba'][1] = given['ba'][1, :1]
    figure = augmentation_sheet(given, 'body16_3d')
    pixels(figure)
    assert notes(figure.axes[4]) == ['16 of 16 joints outside']
    for key in ('source', 'ba', 'bl', 'rt', 'projected'):
        given[key][:] = np.nan
    pixels(augmentation_sheet(given, 'body16_3d'))


def test_examples_that_do_not_fit_are_named():
    given = examples()
    with pytest.raises(ValueError, match='lack rt, aspect; they have source, ba'):
        augmentation_sheet({k: v for k, v in given.items() if k not in ('rt', 'aspect')}, 'body16_3d')
    with pytest.raises(ValueError, match=r"source is \(3, 16, 3\), expected \(3, 17, 3\) .* joint set 'h36m'"):
        augmentation_sheet(given, 'h36m')
    with pytest.raises(ValueError, match='at least one pose'):
        augmentation_sheet({k: v[:0] for k, v in given.items()}, 'body16_3d')
    info = dict(dataset_name='bare', keypoint_info={0: dict(name='a', id=0), 1: dict(name='b', id=1)}, skeleton_info={})
    two = {k: v[:, :2] if v.ndim == 3 else v for k, v in given.items()}
    with pytest.raises(ValueError, match="'bare' has no `skeleton_info`"):
        augmentation_sheet(two, dict(info, joint_weights=[1, 1], sigmas=[]))


def maps(figure):
    """Maps of views, rows from below."""
    found = (c for axes in figure.axes if axes.name == 'mollweide' for c in axes.collections)
    return [np.ma.filled(mesh.get_array(), 0) for mesh in found if isinstance(mesh, QuadMesh)]


def test_views_fall_into_their_cells_and_even_ones_into_all():
    even = (poses(1)[0] - poses(1)[0, ROOT]) @ Rotation.random(40000, random_state=0).as_matrix()
    one = poses(1)
    figure = distribution_figure(dict(one=np.repeat(one, 50, 0), even=even), BODY, cells=12)
    first, second = maps(figure)
    assert first.shape == (6, 12) and first.max() == 72 == first.sum()
    (row,), (column,) = np.nonzero(first)
    azimuth, elevation = view_angles(one, BODY)[0]
    assert column == int((azimuth + np.pi) / (2 * np.pi) * 12) and row == int((np.sin(elevation) + 1) * 3)
    assert second.mean() == pytest.approx(1) and second.min() > 0.8 and second.max() < 1.2
    written = [text.get_text() for text in figure.texts]
    assert written[:4] == ['one', '50 poses', 'even', '40,000 poses']
    pixels(figure)


def panels(figure):
    """Panels of angles, from left to right and down."""
    return [axes for axes in figure.axes if any(isinstance(patch, StepPatch) for patch in axes.patches)]


def steps(axes):
    """Heights of what is drawn in a panel: the filled ones first."""
    return [patch.get_data().values for patch in axes.patches if isinstance(patch, StepPatch)]


def test_angles_have_a_column_for_each_joint_left_and_right_together():
    body = poses(500)
    figure = distribution_figure(dict(a=body, b=2 * body), BODY, bins=36, title='angles')
    names = ['hip', 'knee', 'spine', 'thorax to head', 'thorax to shoulder', 'shoulder', 'elbow']
    written = [text.get_text() for text in figure.texts]
    assert [name for name in written if name in names] == names and 'angles' in written
    assert len(panels(figure)) == 2 * 7
    both = [i for i, joint in enumerate(bone_triplets(BODY)[:, 2]) if BODY.joint_names[joint].endswith('_foot')]
    want = np.histogram(np.degrees(bone_angles(body, BODY)[:, both]), 36, (0, 180), density=True)[0]
    for knee in panels(figure)[1::7]:
        assert len(steps(knee)) == 1 and steps(knee)[0] == pytest.approx(want)
    other = distribution_figure(dict(a=poses(joints=17)), Skeleton.from_metainfo('h36m'))
    assert 'neck base' in [text.get_text() for text in other.texts]
    pixels(other)


def test_the_reference_is_a_line_in_the_other_rows_at_one_scale():
    sets = dict(a=poses(300), b=poses(300, 1), c=poses(300, 2))
    sets['c'][:, BODY.index('left_foot')] = np.nan  # of a joint that cannot be seen
    sets['c'][:, BODY.index('head')] = np.nan
    figure = distribution_figure(sets, BODY, 'b')
    rows = [panels(figure)[7 * row : 7 * row + 7] for row in range(3)]
    for column in range(7):
        assert [len(steps(row[column])) for row in rows] == [2, 1, 2]
        assert all((steps(row[column])[1] == steps(rows[1][column])[0]).all() for row in (rows[0], rows[2]))
        assert len({row[column].get_ylim() for row in rows}) == 1
        assert all(values.max() < row[column].get_ylim()[1] for row in rows for values in steps(row[column]))
    assert not steps(rows[2][3])[0].any()  # thorax to head
    assert figure.texts[-1].get_text().endswith('black line: b')
    pixels(figure)
    with pytest.raises(ValueError, match="no set 'd' to refer to, but a, b, c"):
        distribution_figure(sets, BODY, 'd')


def test_what_is_written_does_not_overlap():
    sets = {name: poses(50) for name in ('source', 'augmented', 'walk', 'run', 'dance', 'sport', 'acrobatics')}
    figure = distribution_figure(sets, BODY, 'augmented', title='a title of a run')
    pixels(figure)
    boxes = [text.get_window_extent() for text in figure.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    frame = figure.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 for box in boxes)


def test_sets_without_a_view_or_of_another_skeleton_are_named():
    with pytest.raises(ValueError, match="none of the 2 poses of 'flat' tells where"):
        distribution_figure(dict(flat=np.zeros((2, 16, 3))), BODY)
    with pytest.raises(ValueError, match=r'got poses \(6, 17, 3\), expected \(N, 16, 3\)'):
        distribution_figure(dict(a=poses(joints=17)), BODY)
    with pytest.raises(ValueError, match='expected 1 to 8 sets of poses, got 0'):
        distribution_figure({}, BODY)


def test_figures_of_real_motion_are_drawn(shared_data):
    from mmposeda.datasets.mocap import read_pack

    pack = read_pack(str(shared_data / 'cmu_mocap' / 'deepmimic_h36m17_30fps.npz'))
    body = pack.poses[::10] / 1000 * [1, -1, -1] + [0, 0, 4]
    skeleton = Skeleton.from_metainfo('h36m')
    figure = distribution_figure(dict(acrobatics=body), skeleton)
    level = maps(figure)[0]
    assert level[7:11].sum() > level.sum() / 3 and (level > 0).any(1).sum() > 10  # mostly upright, some upside down
    pixels(figure)
