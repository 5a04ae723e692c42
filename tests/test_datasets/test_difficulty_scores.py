import json

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset
from pose_samples import Making, People, pick, poses_of, scores_of

from mmposeda.datasets.difficulty import (
    DifficultyScores,
    ScoreFileError,
    fingerprint,
    match_rows,
    read_poses,
)
from mmposeda.registry import DATASETS


class TestScoreFile:
    @pytest.mark.parametrize('words', [False, True])
    def test_round_trip(self, tmp_path, words):
        poses = poses_of(40)
        if words:
            poses = poses._replace(ids=np.array([f'é/{i}' for i in poses.ids]))
        values = np.random.default_rng(0).random(40)
        values[5] = np.nan
        made = DifficultyScores.of(poses, values, 7, 'abc', 'bbox')
        made.save(tmp_path / 'deep' / 'scores.npz')
        got = DifficultyScores.load(tmp_path / 'deep' / 'scores.npz')
        for name, value in vars(made).items():
            np.testing.assert_array_equal(getattr(got, name), value)
            assert getattr(got, name).__class__ is value.__class__
        assert [p.name for p in (tmp_path / 'deep').iterdir()] == ['scores.npz']
        assert (got.k, got.vae_hash, got.norm_mode, got.fingerprint) == (7, 'abc', 'bbox', fingerprint(poses))

    def test_a_failed_write_leaves_the_old_file(self, tmp_path, monkeypatch):
        path = tmp_path / 'scores.npz'
        scores_of(poses_of(5)).save(path)
        before = path.read_bytes()

        def fail(*args, **kwargs):
            raise OSError('disk full')

        monkeypatch.setattr(np, 'savez_compressed', fail)
        with pytest.raises(OSError, match='disk full'):
            scores_of(poses_of(9)).save(path)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ['scores.npz']

    def test_a_missing_file_says_how_to_make_it(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'scores\.npz does not exist.*tools/score_poses\.py'):
            DifficultyScores.load(tmp_path / 'scores.npz')

    @pytest.mark.parametrize(
        'change, message',
        [
            (dict(digests=None), 'has no digests'),
            (dict(scores=np.zeros(3, np.float32)), r'scores are float32 of shape \(3,\), expected \(20,\)'),
            (dict(scores=np.zeros(20, int)), 'scores are int64'),
            (dict(order=np.arange(20)[::-1]), 'do not follow'),
            (dict(bins=np.zeros(20, np.int16)), 'do not follow'),
            (dict(ids=np.zeros(20, int)), 'more than once'),
            (dict(k=np.arange(2)), 'k is a list'),
            (dict(k=2.5), 'another type'),
            (dict(k=0), '0 bins'),
            (dict(vae_hash=np.array({}, object)), 'no usable'),
        ],
    )
    def test_other_content_is_refused(self, tmp_path, change, message):
        values = {**vars(scores_of(poses_of(20))), **change}
        np.savez(tmp_path / 'a.npz', **{key: value for key, value in values.items() if value is not None})
        with pytest.raises(ScoreFileError, match=rf'a\.npz.*{message}'):
            DifficultyScores.load(tmp_path / 'a.npz')

    def test_a_truncated_file_is_named(self, tmp_path):
        scores_of(poses_of(20)).save(tmp_path / 'a.npz')
        content = (tmp_path / 'a.npz').read_bytes()
        for size in (0, 10, len(content) // 2, len(content) - 1):
            (tmp_path / 'a.npz').write_bytes(content[:size])
            with pytest.raises(ScoreFileError, match=r'a\.npz'):
                DifficultyScores.load(tmp_path / 'a.npz')


class TestRows:
    def test_a_filtered_and_reordered_set_finds_its_own(self):
        poses = poses_of(60)
        scores, rows = scores_of(poses), np.random.default_rng(0).permutation(60)[:17]
        np.testing.assert_array_equal(scores.rows(pick(poses, rows), 'f'), rows)

    def test_unknown_ids_are_refused(self):
        scores, other = scores_of(poses_of(10)), poses_of(12)
        with pytest.raises(ScoreFileError, match=r'f\.npz has no score for 2 of 12 samples, such as 10'):
            scores.rows(other, 'f.npz')
        words = other._replace(ids=other.ids.astype(str))
        with pytest.raises(ScoreFileError, match='made for other data'):
            scores.rows(words, 'f.npz')

    def test_changed_poses_are_refused(self):
        poses = poses_of(10)
        poses.visible[4] = 1
        scores = scores_of(poses)
        poses.keypoints[4, 2] += 1
        with pytest.raises(ScoreFileError, match=r'f\.npz does not fit: 1 of 10 poses .* that of 4\b.*anew'):
            scores.rows(poses, 'f.npz')

    def test_of_data_sets(self, domain_pair):
        dataset = People()
        scores = scores_of(read_poses(dataset))
        np.testing.assert_array_equal(match_rows(People(indices=[9, 2]), scores, 'f'), [9, 2])
        np.testing.assert_array_equal(match_rows(RepeatDataset(dataset, 2), scores, 'f'), range(30))
        with pytest.raises(ScoreFileError, match='30 of 30 poses'):
            match_rows(People(seed=1), scores, 'f')
        joined = ConcatDataset([People(), People(seed=1)])
        scores = scores_of(read_poses(joined))
        np.testing.assert_array_equal(match_rows(joined, scores, 'f'), range(60))

    def test_another_joint_set_is_refused(self, domain_pair):
        from mmposeda.structures.skeleton import metainfo_path

        scores = scores_of(read_poses(DATASETS.build(domain_pair['source'])))
        mpii = DATASETS.build({**domain_pair['source'], 'metainfo': dict(from_file=metainfo_path('mpii'))})
        with pytest.raises(ScoreFileError, match='joint set'):
            match_rows(mpii, scores, 'f')

    def test_edited_annotations_are_refused(self, domain_pair):
        scores = scores_of(read_poses(DATASETS.build(domain_pair['source'])))
        file = domain_pair['root'] / 'source' / 'ann.json'
        raw = json.loads(file.read_text())
        raw['annotations'] = raw['annotations'][2:]
        file.write_text(json.dumps(raw))
        np.testing.assert_array_equal(match_rows(DATASETS.build(domain_pair['source']), scores, 'f'), [2, 3, 4, 5])
        raw['annotations'][1]['keypoints'][0] += 0.5
        file.write_text(json.dumps(raw))
        with pytest.raises(ScoreFileError, match='1 of 4 poses'):
            match_rows(DATASETS.build(domain_pair['source']), scores, 'f')

    def test_poses_that_are_made_when_asked_for_are_checked_here_and_there(self):
        def made(seed=0, **kwargs):
            whole = People(400, seed).load_data_list()
            keys = ('keypoints', 'keypoints_visible', 'bbox')

            def give(info):
                info.update({key: whole[100 - info['id']][key] for key in keys})

            return Making(give, count=400, change=lambda info: [info.pop(key) for key in keys], **kwargs)

        scores = scores_of(read_poses(made()))
        dataset = made(indices=list(range(300)))
        np.testing.assert_array_equal(match_rows(dataset, scores, 'f'), range(300))
        assert len(dataset.asked) <= 32
        with pytest.raises(ScoreFileError, match='1 of 1 poses'):
            match_rows(made(seed=1), scores, 'f')
