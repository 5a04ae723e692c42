"""Figures of relations, latent walks, predicted poses and distances in latent spaces."""

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from scipy.spatial.transform import Rotation

from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization import RelationPairs, non_localness_figure, prediction_sheet, relation_sheet, walk_sheet
from mmposeda.visualization.pose_sheet import ASIDE, Block, Picture, Row, Sticks, pose_sheet
from mmposeda.visualization.relations import _placed, _turns

BODY = Skeleton.from_metainfo('nlrd15')
LINKS = [(joint, parent) for joint, parent in enumerate(BODY.parents) if parent >= 0]


def poses(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 4, (*shape, 15, 3))


def pictures(n, size=(20, 24), seed=0):
    return np.random.default_rng(seed).integers(0, 255, (n, *size, 3), dtype=np.uint8)


def pairs(n, seed=0):
    return RelationPairs(pictures(n), pictures(n, seed=1), *(poses(n, seed=seed + i) for i in range(3)))


def limbs(axes):
    """Segments (L, 2, 2) of the links that are drawn, without their rims and those to joints that are not known."""
    drawn = [c for c in axes.collections if isinstance(c, LineCollection) and c.get_zorder() == 3]
    return np.array([s for s in drawn[0].get_segments()[1::2] if len(s) == 2]) if drawn else None


def lengths(segments):
    return np.sort(np.linalg.norm(segments[:, 0] - segments[:, 1], axis=-1))


def notes(axes):
    return ''.join(text.get_text() for text in axes.texts)


def texts(figure):
    return [text.get_text() for text in figure.texts]


def no_overlap(figure):
    """Whether no text of the figure lies over another or over an axes, and all are inside."""
    figure.canvas.draw()
    inner = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in (*figure.texts, *inner) if text.get_text()]
    axes = [axes.get_window_extent() for axes in figure.axes]
    every = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
    every += [(box.get_window_extent(), other) for box in figure.texts if box.get_text() for other in axes]
    inside = all(
        figure.bbox.x0 <= b.x0 and b.x1 <= figure.bbox.x1 and b.y0 >= 0 and b.y1 <= figure.bbox.y1 for b in boxes
    )
    return inside and not any(a.overlaps(b) for a, b in every)


class TestSheet:
    def test_eyes_see_two_sides_of_a_pose(self):
        pose = poses()
        figure = pose_sheet([Block('', (), [Row('', [Sticks(pose, (0, 0)), Sticks(pose, (90, 0))])])], 'nlrd15')
        for axes, (right, down) in zip(figure.axes, ((0, 1), (2, 1))):
            want = np.array([[pose[a, [right, down]], pose[b, [right, down]]] for a, b in LINKS])
            assert lengths(limbs(axes)) == pytest.approx(lengths(want))
            # to the right and up on the paper
            low, high = axes.get_xlim(), axes.get_ylim()
            assert low[0] < low[1] and high[0] < high[1]
        camera = limbs(figure.axes[0]).reshape(-1, 2)
        middle = (pose.min(0) + pose.max(0)) / 2
        want = {tuple(((p - middle)[:2] * (1, -1)).round(6)) for p in pose}
        assert {tuple(p.round(6)) for p in camera} == want

    def test_all_poses_have_one_scale(self):
        rows = [Row('a', [Sticks(poses()), Sticks(3 * poses(), ASIDE)]), Row('b', [Sticks(poses(seed=1))])]
        figure = pose_sheet([Block('one', (), rows[:1]), Block('two', (), rows[1:])], 'nlrd15')
        assert np.ptp([axes.get_xlim() for axes in figure.axes], 0) == pytest.approx(0)

    def test_names_heads_notes_and_sides_lie_apart(self):
        rows = [Row('left\nname', [Sticks(poses()), Picture(pictures(1)[0]), None], ['a note'])] * 2
        blocks = [Block('first', ['a', 'b', 'c'], rows), Block('second', (), rows[:1]), Block('', ['d'], rows[:1])]
        figure = pose_sheet(blocks, 'nlrd15', 'a title')
        wanted = ['a title', 'right', 'left', 'first', 'a', 'b', 'c', 'left\nname', 'second', 'd']
        assert set(wanted) == set(texts(figure)) - {''} and len(figure.axes) == 12
        assert [notes(axes) for axes in figure.axes[:3]] == ['a note', '', '']
        assert no_overlap(figure)

    def test_what_does_not_fit_is_refused(self):
        def draw(cell):
            pose_sheet([Block('', (), [Row('', [cell])])], 'nlrd15')

        with pytest.raises(ValueError, match=r"a pose to draw is \(14, 3\), expected \(15, 3\) for joint set 'nlrd15'"):
            draw(Sticks(poses()[1:]))
        with pytest.raises(ValueError, match=r'a picture to draw is \(20, 24, 3\) float64, expected \(h, w, 3\) uint8'):
            draw(Picture(pictures(1)[0] / 255))
        with pytest.raises(ValueError, match=r"joints over a picture are \(14, 2\), expected \(15, 2\) for 'nlrd15'"):
            draw(Picture(pictures(1)[0], np.zeros((14, 2))))
        with pytest.raises(ValueError, match='at least one picture or pose'):
            pose_sheet([Block('', (), [Row('', [None])])], 'nlrd15')


class TestRelations:
    def test_a_block_a_relation_and_a_column_a_picture(self):
        given = {'flip': pairs(3), 'slow_backward': pairs(4, seed=7)}
        figure = relation_sheet(given, 'nlrd15', dict(slow_backward=['0', '5', '10', '15']), 'mine')
        assert len(figure.axes) == 5 * 3 + 5 * 4
        first = figure.axes[:15]
        for column in range(3):
            assert (first[column].images[0].get_array() == given['flip'].pictures[column]).all()
            assert (first[12 + column].images[0].get_array() == given['flip'].related[column]).all()
            assert all(len(limbs(axes)) == 14 for axes in first[3 + column : 12 : 3])
        assert [t for t in texts(figure) if t in ('mine', 'flip', 'slow_backward', '10')] == [
            'mine', 'flip', 'slow_backward', '10'
        ]  # fmt: skip
        assert no_overlap(figure)

    def test_notes_are_mean_turns_of_bones(self):
        pose = poses(2)
        turned = np.stack([Rotation.from_euler('z', angle, degrees=True).apply(pose[0]) for angle in (20, 90)])
        pair = pairs(2)._replace(poses=pose, by_network=pose[[0, 0]], by_pixels=turned)
        figure = relation_sheet(dict(flip=pair), 'nlrd15')
        off = _turns(BODY, turned, pose[[0, 0]])
        assert off[0] <= 20 + 1e-6 and 20 < off[1] <= 90
        assert [notes(axes) for axes in figure.axes[4:6]] == [f'{x:.0f}° off' for x in off]
        assert notes(figure.axes[6]) == f'{off[0]:.0f}° from G(x)'

    def test_as_many_of_everything_are_needed(self):
        with pytest.raises(ValueError, match=r'flip: pictures and poses are not as many, but \[3, 3, 2, 3, 3\]'):
            relation_sheet(dict(flip=pairs(3)._replace(poses=poses(2))), 'nlrd15')
        with pytest.raises(ValueError, match='at least one picture or pose'):
            relation_sheet({}, 'nlrd15')

    def test_tensors_are_drawn_as_arrays(self):
        given = pairs(2)
        tensors = RelationPairs(*(torch.tensor(part) for part in given))
        first, second = (relation_sheet(dict(flip=x), 'nlrd15') for x in (given, tensors))
        for figure in (first, second):
            figure.canvas.draw()
        assert bytes(first.canvas.buffer_rgba()) == bytes(second.canvas.buffer_rgba())


def test_walks_are_rows_of_poses_and_tell_their_steps():
    walks = {
        'between poses': {'1 to 2': poses(5), '2 to 3': poses(5, seed=1)},
        'motion': {'0.5': torch.tensor(poses(5))},
    }
    figure = walk_sheet(walks, 'nlrd15', dict.fromkeys(walks, '01234'), 'walks')
    assert len(figure.axes) == 15 and all(len(limbs(axes)) == 14 for axes in figure.axes)
    turn = _turns(BODY, poses(5)[1:], poses(5)[:-1]).mean()
    assert f'1 to 2\n{turn:.0f}° a step' in texts(figure) and texts(figure).count('4') == 2
    assert no_overlap(figure)
    assert '1\n0° a step' in texts(walk_sheet({'': {'1': poses(5)[[0, 0, 0]]}}, 'nlrd15'))
    assert 'only' in texts(walk_sheet({'': {'only': poses(1)}}, 'nlrd15'))


class TestPredictions:
    def test_pictures_two_views_and_the_truth(self):
        truth = poses(3, seed=1)
        truth[1], truth[2, 4] = np.nan, np.nan
        figure = prediction_sheet(pictures(3), poses(3), 'nlrd15', truth, names=['a', 'b', 'c'], title='mine')
        assert len(figure.axes) == 15
        rows = [figure.axes[5 * i : 5 * i + 5] for i in range(3)]
        assert all((row[0].images[0].get_array() == picture).all() for row, picture in zip(rows, pictures(3)))
        assert all(len(limbs(axes)) == 14 for axes in (*rows[0], *rows[1][:3]))
        assert limbs(rows[1][3]) is None
        assert len(limbs(rows[2][3])) == 14 - sum(4 in link for link in LINKS)
        wanted = [f'{x:.0f}° off' for x in _turns(BODY, poses(3), truth)[[0, 2]]]
        assert [notes(row[1]) for row in rows] == [wanted[0], '', wanted[1]]
        assert no_overlap(figure)

    def test_without_a_truth_there_are_no_columns_for_it(self):
        figure = prediction_sheet(torch.tensor(pictures(2)), torch.tensor(poses(2)), 'nlrd15')
        assert len(figure.axes) == 6 and 'true' not in texts(figure) and not any(map(notes, figure.axes))

    def test_a_pose_is_put_onto_known_points(self):
        pose = poses()[:, :2]
        points = 2.5 * pose + [40, 30]
        assert _placed(pose, points, (100, 80)) == pytest.approx(points)
        spotty = points.copy()
        spotty[3:9] = np.nan
        assert _placed(pose, spotty, (100, 80)) == pytest.approx(points)

    @pytest.mark.parametrize('points', [np.full((15, 2), np.nan), -poses()[:, :2]])
    def test_a_pose_without_a_place_is_put_into_the_middle(self, points):
        placed = _placed(poses()[:, :2], points, (100, 80))
        low, high = placed.min(0), placed.max(0)
        assert (low + high) / 2 == pytest.approx([49.5, 39.5])
        assert max((high - low) / [100, 80]) == pytest.approx(0.8)

    def test_what_does_not_fit_is_refused(self):
        with pytest.raises(ValueError, match=r'poses \(3, 15, 3\) for pictures \(2, 20, 24, 3\), true poses'):
            prediction_sheet(pictures(2), poses(3), 'nlrd15')
        with pytest.raises(ValueError, match=r'and points \(2, 14, 2\) do not fit'):
            prediction_sheet(pictures(2), poses(2), 'nlrd15', points=np.zeros((2, 14, 2)))


class TestNonLocalness:
    DISTANCES = {
        'inplane(25)': 0.3, 'inplane(5)': 0.1, 'flip': 0.6, 'flip_inplane(25)': 0.7,
        'flip_backward': 0.5, 'flip_inplane_backward(50)': 0.9, 'slow_backward': 0.4,
    }  # fmt: skip

    @staticmethod
    def lines(axes):
        found = {line.get_label(): np.column_stack(line.get_data()).tolist() for line in axes.lines}
        return {label: line for label, line in found.items() if not label.startswith('_')}

    def test_a_panel_a_level_and_a_line_a_kind(self):
        used, predicted = ['flip_inplane(25)', 'slow_backward'], {'slow_backward': 0.2, 'flip': 0.3}
        figure = non_localness_figure(self.DISTANCES, used, predicted, 'mine')
        pose, motion = figure.axes
        assert [axes.get_title() for axes in figure.axes] == ['relations of poses', 'relations of motions']
        assert self.lines(pose) == {
            'turned': [[5, 0.1], [25, 0.3]],
            'turned and mirrored': [[0, 0.6], [25, 0.7]],
            'used': [[25, 0.7]],
            'used, on predictions': [[0, 0.3]],
        }
        lines = self.lines(motion)
        assert lines['backward, turned and mirrored'] == [[0, 0.5], [50, 0.9]]
        assert [y for _, y in lines['backward, at half the speed']] == [0.4, 0.4]
        assert lines['used'] == [[50, 0.4]] and lines['used, on predictions'] == [[50, 0.2]]
        assert pose.get_ylim()[0] == 0 and pose.get_ylim() == motion.get_ylim()
        figure.canvas.draw()
        assert np.asarray(figure.canvas.buffer_rgba())[..., :3].std() > 5

    def test_one_level_is_one_panel(self):
        (axes,) = non_localness_figure({'flip': 0.5}).axes
        assert self.lines(axes) == {'turned and mirrored': [[0, 0.5]]}

    def test_what_is_no_relation_is_refused(self):
        with pytest.raises(ValueError, match="relation 'tilt' is none of"):
            non_localness_figure({'tilt': 0.5})
        with pytest.raises(ValueError, match='there is no relation to draw'):
            non_localness_figure({})
