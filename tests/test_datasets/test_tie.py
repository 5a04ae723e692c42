"""Looks tied to poses: the tie itself, and what it does to rendered figures."""

from __future__ import annotations

import colorsys
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from mmposeda.datasets.synthetic.looks import LOOKS, build_look
from mmposeda.datasets.synthetic.photo import PhotoNoise
from mmposeda.datasets.synthetic.rotations import random_rotation
from mmposeda.datasets.synthetic.tie import Tie, measure, rank

DOMAINS = ('tied', 'untied', 'dusk', 'neon', 'print', 'studio')
VALUES = (np.arange(4000) + 0.5) / 4000


def hues(tie, seed=0):
    rng = np.random.default_rng(seed)
    return np.array([tie.hue(rng, value) for value in VALUES])


@pytest.mark.parametrize('rho', [0.9, 0.5, 0.0, -0.7])
def test_hue_has_the_wanted_correlation_and_is_uniform_whatever_it_is(rho):
    drawn = hues(Tie(rho=rho))
    assert abs(np.corrcoef(VALUES, drawn)[0, 1] - rho) < 0.03
    np.testing.assert_allclose(np.sort(drawn), 0.75 * VALUES, atol=0.02)


def test_full_correlation_is_a_monotone_ramp():
    np.testing.assert_allclose(hues(Tie(rho=1)), 0.75 * VALUES, atol=1e-6)
    np.testing.assert_allclose(hues(Tie(rho=-1)), 0.75 * (1 - VALUES), atol=1e-6)
    through_red = hues(Tie(rho=1, hues=(0.8, 1.2)))
    assert through_red[0] == pytest.approx(0.8, abs=1e-3) and through_red[-1] == pytest.approx(0.2, abs=1e-3)


def test_correlation_moves_no_other_chance():
    for seed in range(3):
        rngs = [np.random.default_rng(seed) for _ in range(2)]
        for rng, rho in zip(rngs, (0, 0.9)):
            Tie(rho=rho).hue(rng, 0.3)
        assert rngs[0].random() == rngs[1].random()


def test_arm_angles_of_simple_poses():
    names = ['left_shoulder', 'right_shoulder', 'left_hip', 'right_hip', 'left_elbow', 'right_elbow']
    body = np.array([[20, 0, 50], [-20, 0, 50], [10, 0, 0], [-10, 0, 0], [0, 0, 0], [-20, 0, 20]], float)
    ways = {0: (0, 0, -1), np.pi / 2: (1, 0, 0), np.pi: (0, 0, 1), 3 * np.pi / 4: (0, -1, 1)}
    poses = np.stack([body] * len(ways))
    poses[:, 4] = poses[:, 0] + 30 * np.array(list(ways.values()))
    turned = poses @ random_rotation(np.random.default_rng(0)).T * 0.01 + 5
    order = np.random.default_rng(1).permutation(len(names))
    for joints in (poses, turned):
        np.testing.assert_allclose(measure('left_arm', joints, names), list(ways), atol=1e-6)
        np.testing.assert_allclose(measure('right_arm', joints, names), 0, atol=1e-6)
    np.testing.assert_allclose(
        measure('left_arm', poses[:, order], [names[k] for k in order]), measure('left_arm', poses, names)
    )


def test_finger_angles_are_the_bends_of_three_joints():
    names = ['wrist', *(f'forefinger{k}' for k in (1, 2, 3, 4))]
    for bends in ((0, 0, 0), (0.3, 1.0, 0.5), (1.5, 1.7, 1.1)):
        way = np.cumsum([0, *bends])
        steps = np.stack([np.cos(way), np.sin(way), 0 * way], -1) * [[90], [40], [22], [20]]
        joints = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, 0)])
        assert measure('forefinger', joints, names) == pytest.approx(sum(bends), abs=1e-6)


def test_rank_is_the_place_among_known_angles():
    known = np.sort(np.random.default_rng(0).gamma(2, size=999))
    assert rank(np.median(known), known) == pytest.approx(0.5)
    assert 0 < rank(-1, known) < rank(known[0] + 1e-3, known) < rank(known[-1], known) <= rank(99, known) < 1


def test_paint_keeps_the_pattern_and_changes_the_palette():
    grey = np.random.default_rng(0).random((8, 9, 1)).astype(np.float32)
    out = Tie(saturation=(0.5, 0.5), brightness=(0.4, 0.8)).paint(np.repeat(grey, 3, 2), 0.4)
    hsv = np.array([[colorsys.rgb_to_hsv(*map(float, p)) for p in row] for row in out])
    np.testing.assert_allclose(hsv[..., 0], 0.4, atol=1e-4)
    np.testing.assert_allclose(hsv[..., 1], 0.5, atol=1e-4)
    np.testing.assert_allclose(hsv[..., 2], 0.4 + 0.4 * grey[..., 0], atol=1e-5)
    colors = np.random.default_rng(1).random((20, 20, 3)).astype(np.float32)
    near = np.array([[colorsys.rgb_to_hsv(*map(float, p))[0] for p in row] for row in Tie().paint(colors, 0.0)])
    assert np.abs((near + 0.5) % 1 - 0.5).max() <= 0.03 + 1e-4, 'things differ by half the spread at most'


def test_tint_colours_the_lights_by_their_share():
    def lights():
        return {name: np.full(3, 0.6) for name in ('key', 'sky', 'ground')}

    plain, red = lights(), lights()
    Tie().tint(plain, 0.0)
    Tie(light=0.4).tint(red, 0.0)
    np.testing.assert_array_equal(plain['key'], 0.6)
    np.testing.assert_allclose(red['sky'], 0.6 * np.array([1.8, 0.6, 0.6]))
    np.testing.assert_allclose([x.mean() for x in red.values()], 0.6)


def test_bad_ties_are_named():
    for change, message in (
        (dict(rho=1.2), 'rho of a tie is a correlation from -1 to 1, got 1.2'),
        (dict(angle='nose'), "unknown angle 'nose' of a tie; choose one of .*left_arm"),
        (dict(hues=(0.0, 1.0)), 'less than 1 apart'),
        (dict(hues=(0.5, 0.2)), 'rising'),
        (dict(brightness=(0.5, 1.5)), 'brightness of a tie'),
        (dict(light=2), 'light of a tie'),
    ):
        with pytest.raises(ValueError, match=message):
            build_look('tied', tie=change)
    with pytest.raises(ValueError, match="unknown wall 'brick'; choose one of .*plaster"):
        build_look('untied', wall='brick')
    assert build_look('tied', tie=False).tie is None and build_look('clean', tie=dict(rho=0.2)).tie.rho == 0.2


def test_domains_share_cameras_and_only_the_source_is_tied():
    built = {name: build_look(name) for name in DOMAINS}
    assert all(look.views == built['tied'].views for look in built.values())
    assert {name: look.tie.rho for name, look in built.items()} == {name: 0.9 * (name == 'tied') for name in DOMAINS}
    for look in built.values():
        assert look.occluder_share == look.other_share == look.letterbox_share == 0


def test_halftone_darkens_what_is_dark_and_leaves_the_mean():
    ramp = np.repeat(np.linspace(0, 1, 96, dtype=np.float32)[None, :, None], 96, 0).repeat(3, 2)
    still = dict(gamma=(1, 1), contrast=(1, 1), saturation=(1, 1), cast=0, blur_share=0, motion_share=0, grain=0)
    still.update(low_resolution_share=0, jpeg_share=0, vignette=0, grey_share=0)
    flat, dots = (
        PhotoNoise(**still, halftone=k)(np.random.default_rng(0), ramp).astype(float) / 255 for k in (0.0, 1.0)
    )
    np.testing.assert_allclose(flat, ramp, atol=0.01)
    smooth = [np.convolve(x[..., 0].mean(0), np.ones(12) / 12, 'valid') for x in (dots, ramp)]
    np.testing.assert_allclose(*smooth, atol=0.06)
    assert dots[:, 40:56].std() > 0.15, 'dots in the greys'


@pytest.fixture(scope='module', params=['people', 'hands'])
def kind(request):
    pytest.importorskip('anny', reason='rendered figures need the extra synth (anny)')
    pytest.importorskip('warp', reason='rendered figures need the extra synth (warp-lang)')
    from mmposeda.datasets.synthetic.hands import RenderedHands
    from mmposeda.datasets.synthetic.people import RenderedPeople

    return {'people': RenderedPeople, 'hands': RenderedHands}[request.param]


def test_poses_tell_the_hue_in_the_source_alone(kind):
    found = {}
    for name in ('tied', 'untied'):
        figures = kind(size=32, seed=3, look=name)
        found[name] = np.array([[figures.tie(i)[k] for k in ('angle', 'value', 'hue')] for i in range(150)])
    tied, untied = found['tied'], found['untied']
    np.testing.assert_array_equal(tied[:, :2], untied[:, :2])
    assert abs(np.corrcoef(tied[:, 1:].T)[0, 1] - 0.9) < 0.05
    assert np.corrcoef(tied[:, [0, 2]].T)[0, 1] > 0.75
    assert abs(np.corrcoef(untied[:, 1:].T)[0, 1]) < 0.25
    even = (np.arange(150) + 0.5) / 150
    for column in (tied[:, 1], tied[:, 2] / 0.75, untied[:, 2] / 0.75):
        assert np.abs(np.sort(column) - even).max() < 0.12, 'about uniform'


def test_domains_differ_in_look_alone(kind):
    drawn = {name: kind(size=48, seed=4, look=name).render(range(4)) for name in DOMAINS}
    for name in DOMAINS[1:]:
        for a, b in zip(drawn['tied'], drawn[name]):
            for key in ('keypoints', 'keypoints_3d_cam'):
                np.testing.assert_array_equal(a[key], b[key], err_msg=name)
            np.testing.assert_array_equal(a['visibility'] > 0, b['visibility'] > 0)
            assert (a['tie']['angle'], a['tie']['value']) == (b['tie']['angle'], b['tie']['value'])
    images = {name: np.stack([s['img'] for s in shown]).astype(float) for name, shown in drawn.items()}
    for k, name in enumerate(DOMAINS):
        for other in DOMAINS[k + 1 :]:
            assert np.abs(images[name] - images[other]).mean() > 15, (name, other)


def test_a_tie_changes_the_background_alone(kind):
    plain, tied = (kind(size=64, seed=2, look=dict(name='clean', tie=t)).render(range(4)) for t in (False, dict(rho=1)))
    for a, b in zip(plain, tied):
        assert 'tie' not in a and b['tie']['hue'] == pytest.approx(0.75 * b['tie']['value'])
        np.testing.assert_array_equal(a['part'], b['part'])
        inside, outside = a['part'] > 0, a['mask'] == 0
        assert np.abs(a['img'][inside].astype(int) - b['img'][inside]).mean() < 6, 'but for blended edges'
        corner = b['img'][outside][0][::-1] / 255.0
        off = colorsys.rgb_to_hsv(*corner)[0] - b['tie']['hue']
        assert abs((off + 0.5) % 1 - 0.5) < 0.04, 'the hue that the label says'


def test_tie_depends_on_seed_and_index_alone(kind):
    figures = kind(size=48, seed=6, look='tied')
    drawn = figures.render([5, 9])
    again = pickle.loads(pickle.dumps(figures))
    for sample in drawn:
        index = sample['index']
        assert kind(size=48, seed=6, look='tied').tie(index) == sample['tie'] == again.tie(index)
    assert drawn[0]['tie'] != kind(size=48, seed=7, look='tied').tie(5)
    assert kind(size=48, seed=6, look='clean').tie(5) is None


def test_a_clip_has_one_hue(kind):
    clip = kind(size=48, seed=6, look='tied', sequence=3).render(range(6))
    assert clip[0]['tie'] == clip[1]['tie'] == clip[2]['tie'] != clip[3]['tie']


def test_light_may_take_the_hue_too(kind):
    plain, lit = (kind(size=48, seed=2, look=dict(name='tied', tie=dict(light=x))).render([1])[0] for x in (0, 0.8))
    assert plain['tie'] == lit['tie']
    color = np.array(colorsys.hsv_to_rgb(plain['tie']['hue'], 1, 1))[::-1]
    inside = plain['part'] > 0
    change = (lit['img'][inside].astype(float) - plain['img'][inside]).mean(0)
    assert change[color.argmax()] > change[color.argmin()] + 10


def test_foreign_angles_are_refused(kind):
    foreign = 'forefinger' if kind.__name__ == 'RenderedPeople' else 'left_arm'
    with pytest.raises(ValueError, match=f'{kind.__name__} has no angle {foreign!r}; choose one of'):
        kind(size=48, look=dict(name='tied', tie=dict(angle=foreign)))
    kind(size=48, look=dict(name='tied', tie=dict(angle=kind.angles[1])))


def test_samples_and_files_hold_the_tie(kind, tmp_path):
    from mmposeda.registry import DATASETS

    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))
    import render_people

    assert set(render_people.LOOKS) == set(LOOKS)
    what, file = {'RenderedPeople': ('person', 'people'), 'RenderedHands': ('hand', 'hands')}[kind.__name__]
    args = ['--what', what, '--look', 'tied', '--size', '48', '--num', '2', '--seed', '5']
    render_people.main([*args, '--out', str(tmp_path / 'tied')])
    render_people.main([*args, '--out', str(tmp_path / 'rho'), '--rho', '1'])
    files = dict(ann_file=f'annotations/{file}.json', joints={'person': 'lsp', 'hand': 'hand21'}[what])

    def build(name):
        return DATASETS.build(dict(type='RenderedDataset', data_root=str(tmp_path / name), **files))

    read = {name: build(name) for name in ('tied', 'rho')}
    synthetic = 'SyntheticBodyDataset' if what == 'person' else 'SyntheticHandDataset'
    drawn = DATASETS.build(dict(type=synthetic, length=2, size=48, seed=5, look='tied', pipeline=[]))
    for i in range(2):
        tie = drawn.get_data_info(i)['tie']
        assert read['tied'].get_data_info(i)['tie'] == pytest.approx(tie)
        full = read['rho'].get_data_info(i)['tie']
        assert full['angle'] == pytest.approx(tie['angle']) and full['hue'] == pytest.approx(0.75 * full['value'])
    path = tmp_path / 'tied' / 'annotations' / f'{file}.json'
    content = json.loads(path.read_text())
    content['annotations'][1]['tie'] = {'angle': None}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='angle of tie of annotation 2'):
        build('tied')
