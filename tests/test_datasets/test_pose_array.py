import shutil

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmpose.datasets.datasets.base import base_coco_style_dataset
from pose_samples import Making, People, pick, poses_of

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.difficulty import (
    PoseArray,
    fingerprint,
    load_pose_array,
    read_poses,
    sample_digests,
)
from mmposeda.registry import DATASETS


class TestReadPoses:
    def test_gives_what_the_data_set_gives_and_opens_no_picture(self, domain_pair):
        dataset = DATASETS.build(domain_pair['source'])
        shutil.rmtree(domain_pair['root'] / 'source' / 'images')
        poses = read_poses(dataset)
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            assert poses.ids[i] == info['id']
            np.testing.assert_array_equal(poses.keypoints[i], info['keypoints'][0])
            np.testing.assert_array_equal(poses.visible[i], info['keypoints_visible'][0])
            np.testing.assert_array_equal(poses.boxes[i], info['bbox'][0])
        assert [a.dtype for a in poses] == [np.int64, np.float32, np.float32, np.float32]

    def test_real_photos(self, shared_data):
        root = str(shared_data / 'lspet_subset')
        kwargs = dict(type='LSPDataset', data_root=root, ann_file='annotations/lspet_train.json')
        poses = read_poses(DATASETS.build(kwargs))
        assert poses.keypoints.shape == (2000, 14, 2)
        assert len(set(poses.ids.tolist())) == 2000

    def test_joints_that_do_not_count_are_zero(self):
        def blank(info):
            info['keypoints'][info['keypoints_visible'] == 0] = np.nan

        poses, plain = read_poses(People(change=blank)), read_poses(People())
        assert (poses.keypoints[poses.visible == 0] == 0).all()
        for field, other in zip(poses, plain):
            np.testing.assert_array_equal(field, other)

    def test_weights_beside_the_visibility(self):
        def stack(info):
            seen = info['keypoints_visible']
            info['keypoints_visible'] = np.stack([seen, np.full_like(seen, 0.5)], -1)

        np.testing.assert_array_equal(read_poses(People(change=stack)).visible, read_poses(People()).visible)

    @pytest.mark.parametrize('serialize', [True, False])
    def test_no_copy_of_the_joint_set_is_made(self, domain_pair, monkeypatch, serialize):
        dataset = DATASETS.build({**domain_pair['source'], 'serialize_data': serialize})
        monkeypatch.setattr(base_coco_style_dataset, 'deepcopy', None)
        assert len(read_poses(dataset).ids) == 6

    def test_what_the_class_makes_when_asked_counts(self):
        def mirror(info):
            info['keypoints'] = 100 - info['keypoints']

        want = read_poses(People())
        got = read_poses(Making(mirror))
        np.testing.assert_array_equal(got.keypoints[got.visible > 0], 100 - want.keypoints[want.visible > 0])

    def test_progress_is_told(self):
        told = []
        read_poses(ConcatDataset([People(count=1500), People(count=700, seed=1)]), lambda *args: told.append(args))
        assert told == [(1000, 2200), (2000, 2200), (2200, 2200)]

    def test_parts_of_a_joined_set(self, domain_pair):
        part = DATASETS.build(domain_pair['source'])
        poses = read_poses(ConcatDataset([part, part]))
        assert poses.ids.tolist() == [f'{i}/{j}' for i in (0, 1) for j in range(1, 7)]
        np.testing.assert_array_equal(poses.keypoints[6:], read_poses(part).keypoints)
        cfg = {**domain_pair['joined'], 'datasets': [domain_pair['source']] * 2}
        combined = read_poses(DATASETS.build(cfg))
        np.testing.assert_array_equal(combined.keypoints, poses.keypoints)
        with pytest.raises(TypeError, match='another sample behind an index'):
            read_poses(DATASETS.build({**cfg, 'sample_ratio_factor': [1.0, 0.5]}))

    def test_a_repeated_set_is_read_once(self):
        np.testing.assert_array_equal(read_poses(RepeatDataset(People(), 3)).ids, read_poses(People()).ids)


class TestIds:
    def test_annotation_ids_stay_when_others_are_left_out(self):
        whole, some = read_poses(People()), read_poses(People(indices=[20, 3, 5]))
        np.testing.assert_array_equal(some.ids, whole.ids[[20, 3, 5]])

    @pytest.mark.parametrize('value', [7, None, 1.5])
    def test_pictures_serve_where_annotation_ids_do_not(self, value):
        ids = read_poses(People(change=lambda info: info.update(id=value))).ids
        assert ids[:2].tolist() == ['images/000.jpg', 'images/001.jpg']

    def test_words_may_be_ids(self):
        ids = read_poses(People(change=lambda info: info.update(id=f'p{info["id"]}'))).ids
        assert ids[0] == 'p100'

    def test_samples_that_cannot_be_told_apart_are_refused(self):
        with pytest.raises(AnnotationError, match=r'People.*id 7 is there more than once'):
            read_poses(People(change=lambda info: info.update(id=7, img_path='data/a.jpg')))


class TestRefusals:
    def test_unlabelled_data(self, domain_pair):
        joined = DATASETS.build(domain_pair['joined'])
        with pytest.raises(AnnotationError, match='UnlabeledDataset has no joints'):
            read_poses(joined.datasets[1])

    def test_other_data(self):
        with pytest.raises(TypeError, match='list has no get_data_info'):
            read_poses([1, 2])

    def test_several_people_in_a_sample(self):
        with pytest.raises(AnnotationError, match=r'annotation 100 of People .*\(2, 5, 2\).*topdown'):
            read_poses(People(change=lambda info: info.update(keypoints=np.repeat(info['keypoints'], 2, 0))))

    def test_no_joints(self):
        with pytest.raises(AnnotationError, match='annotation 100 of People has no keypoints'):
            read_poses(People(change=lambda info: info.pop('keypoints')))

    def test_joint_counts_that_differ(self):
        def fewer(info):
            if info['id'] == 98:
                info.update(keypoints=info['keypoints'][:, :4], keypoints_visible=info['keypoints_visible'][:, :4])

        with pytest.raises(AnnotationError, match='annotation 98 of People.* has 4 joints, those before it have 5'):
            read_poses(People(change=fewer))

    def test_visible_joints_without_a_place(self):
        def lose(info):
            if info['id'] == 97:
                info.update(keypoints=np.full_like(info['keypoints'], np.nan), keypoints_visible=np.ones((1, 5)))

        with pytest.raises(AnnotationError, match='1 poses of Making have visible joints at NaN.*the first is 97'):
            read_poses(Making(lose))

    def test_an_empty_set(self):
        with pytest.raises(AnnotationError, match='People is empty'):
            read_poses(People(count=0))


class TestPoseFiles:
    def test_npz_of_all_fields(self, tmp_path):
        poses = poses_of()
        np.savez(tmp_path / 'a.npz', **poses._asdict())
        for got, want in zip(load_pose_array(tmp_path / 'a.npz'), poses):
            np.testing.assert_array_equal(got, want)

    def test_what_may_be_left_out(self, tmp_path):
        poses = poses_of()
        np.save(tmp_path / 'a.npy', np.concatenate([poses.keypoints, poses.visible[..., None]], -1))
        unknown = np.where(poses.visible[..., None] > 0, poses.keypoints, np.nan).astype(np.float64)
        np.savez(tmp_path / 'b.npz', keypoints=unknown, ids=np.array([f'n{i}' for i in range(12)]))
        for name in ('a.npy', 'b.npz'):
            got = load_pose_array(tmp_path / name)
            np.testing.assert_array_equal(got.keypoints, poses.keypoints)
            np.testing.assert_array_equal(got.visible, poses.visible)
            for points, seen, box in zip(got.keypoints, got.visible > 0, got.boxes):
                want = [*points[seen].min(0), *points[seen].max(0)] if seen.any() else [np.nan] * 4
                np.testing.assert_array_equal(box, want)
        assert load_pose_array(tmp_path / 'a.npy').ids.tolist() == list(range(12))
        assert load_pose_array(tmp_path / 'b.npz').ids[3] == 'n3'

    @pytest.mark.parametrize(
        'arrays, message',
        [
            (dict(points=np.zeros((3, 4, 2))), r'a\.npz holds the arrays points'),
            (dict(keypoints=np.zeros((3, 4, 2)), other=np.zeros(2)), 'keypoints, other'),
            (dict(keypoints=np.zeros((3, 8))), r'shape \(3, 8\)'),
            (dict(keypoints=np.zeros((0, 4, 2))), r'shape \(0, 4, 2\)'),
            (dict(keypoints=np.zeros((3, 4, 2), complex)), 'complex'),
            (dict(keypoints=np.zeros((3, 4, 2)), ids=np.arange(4)), r'ids of shape \(4,\)'),
            (dict(keypoints=np.zeros((3, 4, 2)), ids=np.array([1, 2, 1])), 'id 1 more than once'),
            (dict(keypoints=np.zeros((3, 4, 2)), visible=np.ones((3, 5))), 'visible of shape'),
            (dict(keypoints=np.full((3, 4, 2), np.inf), visible=np.ones((3, 4))), '3 poses of .*NaN or infinite'),
            (dict(keypoints=np.array([None, {}])), r'a\.npz is no usable npz file'),
        ],
    )
    def test_other_arrays_are_refused(self, tmp_path, arrays, message):
        np.savez(tmp_path / 'a.npz', **arrays)
        with pytest.raises(AnnotationError, match=message):
            load_pose_array(tmp_path / 'a.npz')

    @pytest.mark.parametrize('name', ['a.npz', 'a.npy'])
    def test_damaged_and_missing_files_are_named(self, tmp_path, name):
        with pytest.raises(FileNotFoundError, match=name):
            load_pose_array(tmp_path / name)
        (tmp_path / name).write_bytes(b'nothing of the kind')
        with pytest.raises(AnnotationError, match=name):
            load_pose_array(tmp_path / name)


class TestDigests:
    def test_only_the_changed_sample_differs(self):
        poses = poses_of(200, 16)
        base = sample_digests(poses)
        assert base.dtype == np.uint64
        assert len(set(base.tolist())) == 200
        for joint in range(16):
            row = int(np.argmax(poses.visible[:, joint]))
            moved = poses._replace(keypoints=poses.keypoints.copy())
            moved.keypoints[row, joint, 1] = np.nextafter(moved.keypoints[row, joint, 1], np.float32(9e9))
            assert np.flatnonzero(sample_digests(moved) != base).tolist() == [row]
            hidden = poses._replace(visible=poses.visible.copy())
            hidden.visible[row, joint] = 0
            assert np.flatnonzero(sample_digests(hidden) != base).tolist() == [row]
            assert fingerprint(moved) != fingerprint(poses) != fingerprint(hidden)

    def test_what_does_not_count_does_not_matter(self):
        poses = poses_of(50)
        other = poses._replace(keypoints=np.where(poses.visible[..., None] > 0, poses.keypoints, np.nan))
        minus = poses._replace(keypoints=poses.keypoints * np.where(poses.keypoints == 0, -1, 1).astype(np.float32))
        for changed in (other, minus, poses._replace(boxes=poses.boxes + 1)):
            np.testing.assert_array_equal(sample_digests(changed), sample_digests(poses))
            assert fingerprint(changed) == fingerprint(poses)

    def test_follow_the_samples(self):
        poses, rows = poses_of(50), np.random.default_rng(0).permutation(50)
        np.testing.assert_array_equal(sample_digests(pick(poses, rows)), sample_digests(poses)[rows])
        assert fingerprint(pick(poses, rows)) != fingerprint(poses)
        assert fingerprint(poses._replace(ids=poses.ids + 1)) != fingerprint(poses)

    def test_many_alike_poses_do_not_collide(self):
        count = 200_000
        points = np.zeros((count, 2, 2), np.float32)
        points[:, 0, 0], points[:, 1, 1] = np.arange(count) % 500, np.arange(count) // 500
        poses = PoseArray(np.arange(count), points, np.ones((count, 2), np.float32), np.zeros((count, 4)))
        assert len(np.unique(sample_digests(poses))) == count
