"""Which frames belong together, and every partner against a search over all pairs."""

import numpy as np
import pytest

from mmposeda.datasets.sequences import Partners, SequenceRule


@pytest.mark.parametrize(
    'rule, path, want',
    [
        ('folders', '/data/v1.2/walk/000012.jpg', ('/data/v1.2/walk', 12)),
        ('numbered', 'S1/S1_Eating_2.54138969/S1_Eating_2.54138969_000061.jpg', ('S1_Eating_2.54138969_', 61)),
        ('numbered', 'imageFiles/downtown_walk_00/image_00041.jpg', ('downtown_walk_00/image_', 41)),
        ('numbered', 'clip7/frame-0003.png', ('clip7/frame-', 3)),
        (
            r'(?P<sequence>[^/]+)/rgb/(?P<frame>\d+)_(?P<view>\d)\.jpg$',
            'mv/9-17-1-2/rgb/00042_3.jpg',
            ('9-17-1-2/3', 42),
        ),
    ],
)
def test_rules_on_the_names_of_known_data_sets(rule, path, want):
    name, frame = SequenceRule(rule)(dict(img_path=path))
    assert name.endswith(want[0]) and frame == want[1]


@pytest.mark.parametrize(
    'rule, files, want',
    [
        ('numbered', 'h36m/*/*/*.jpg', ('S8_WalkDog_1.55011271_', 26)),
        ('folders', 'jhmdb/*/*.png', ('Frisbee_catch_f_cm_np1_ri_med_0', 1)),
    ],
)
def test_rules_on_the_names_of_real_files(shared_data, rule, files, want):
    paths = list((shared_data / 'mmpose_samples').glob(files))
    if not paths:
        pytest.skip(f'no {files} in {shared_data / "mmpose_samples"}')
    found = [SequenceRule(rule)(dict(img_path=str(path))) for path in paths]
    assert len(set(found)) == len(paths)
    assert want in {(name.split('/')[-1], frame) for name, frame in found}


def test_fields_and_people():
    rule = SequenceRule('fields')
    assert rule(dict(sequence_id=3, frame=np.int64(7))) == ('3', 7)
    rule = SequenceRule('folders', person='track_id')
    own = rule(dict(img_path='a/1.jpg', track_id=4))
    assert own == rule(dict(img_path='a/1.jpg', raw_ann_info=dict(track_id=4)))
    assert own != rule(dict(img_path='a/1.jpg', track_id=5)) and own[1] == 1
    with pytest.raises(ValueError, match="a/1.jpg has no 'track_id'"):
        rule(dict(img_path='a/1.jpg'))


@pytest.mark.parametrize(
    'rule, message',
    [
        (r'(?P<sequence>.+)/\d+', 'lacks the named group frame'),
        (r'.+/\d+\.jpg', 'lacks the named group sequence and frame'),
        ('(?P<sequence>.+', 'nor a regular expression: missing'),
        ('folder', 'names of rules are fields, folders, numbered'),
    ],
)
def test_rules_that_are_none(rule, message):
    with pytest.raises(ValueError, match=message):
        SequenceRule(rule)


@pytest.mark.parametrize(
    'rule, entry, message',
    [
        ('folders', dict(img_path='lsp/im0001.jpg'), r'does not match lsp/im0001\.jpg'),
        ('folders', dict(img_path='', id=3), r'leaves empty \(it has id, img_path\)'),
        (r'(?P<sequence>\w+)/(?P<frame>\w+)', dict(img_path='a/b.jpg'), 'no whole number as the frame of a/b.jpg'),
        ('fields', dict(img_path='a/1.jpg', id=1), "a/1.jpg has no 'sequence_id', only id, img_path"),
    ],
)
def test_entries_that_do_not_fit_are_named(rule, entry, message):
    with pytest.raises(ValueError, match=message):
        SequenceRule(rule)(entry)


def brute(sequences, frames, low, high):
    return [
        sorted(
            j
            for j in range(len(frames))
            if sequences[i] == sequences[j] and low <= abs(int(frames[i]) - int(frames[j])) <= high
        )
        for i in range(len(frames))
    ]


@pytest.mark.parametrize('gap', [(1, 1), (2, 5), (5, 50), (40, 1000)])
def test_partners_equal_a_search_over_all_pairs(gap):
    rng = np.random.default_rng(0)
    frames = np.concatenate([rng.permutation(200)[:n] + shift for n, shift in ((40, 0), (1, 7), (60, 10**9), (3, 5))])
    sequences = np.repeat([0, 1, 2, 3], [40, 1, 60, 3])
    mixed = rng.permutation(len(frames))
    frames, sequences = frames[mixed], sequences[mixed]
    partners, want = Partners(sequences, frames, gap), brute(sequences, frames, *gap)
    assert [sorted(partners.of(i)) for i in range(len(frames))] == want
    assert partners.bases.tolist() == [i for i, found in enumerate(want) if found]
    base = int(partners.bases[0])
    drawn = {partners.draw(base) for _ in range(2000)}
    assert drawn == set(want[base])


def test_partners_are_equally_likely_on_both_sides():
    np.random.seed(0)  # noqa: NPY002  (draws are from the global generator)
    partners = Partners(np.zeros(100, int), np.arange(100), (5, 10))
    counts = np.bincount([partners.draw(50) for _ in range(6000)], minlength=100)
    assert set(np.flatnonzero(counts)) == {*range(40, 46), *range(55, 61)}
    assert (abs(counts[counts > 0] - 500) < 5 * 500**0.5).all()


def test_what_is_said_of_sets_without_pairs():
    partners = Partners(np.array([0, 0, 1]), np.array([3, 9, 4]), (7, 8))
    assert not len(partners.bases) and partners.distances == (6, 6) and partners.same is None
    assert Partners(np.arange(3), np.arange(3), (1, 2)).distances is None
    assert set(Partners(np.array([0, 1, 1, 1]), np.array([4, 4, 2, 4]), (1, 2)).same) == {1, 3}
    with pytest.raises(ValueError, match='cannot be handled'):
        Partners(np.array([0, 0]), np.array([0, 2**62]), (1, 2))


def test_a_million_frames_are_sorted_at_once():
    sequences, frames = np.divmod(np.arange(1_000_000), 1000)
    assert len(Partners(sequences, frames, (5, 50)).bases) == 1_000_000
