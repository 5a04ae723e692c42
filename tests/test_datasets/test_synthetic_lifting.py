"""Rendered people as pairs for lifting: from the tool's files, and drawn when the data set is built."""

import json

import numpy as np
import pytest
import torch
from pose_augment_samples import RANDOM, build

from mmposeda.datasets import SyntheticPoseLiftingDataset
from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.lifting_cameras import camera_row, project
from mmposeda.structures.skeleton import Skeleton

H36M = Skeleton.from_metainfo('h36m')


def write(path, count=12, joints='h36m', cut=(3, 7), **changes):
    """Annotations as the tool writes them, of people cut out closely by cameras that stand far off."""
    rng, names = np.random.default_rng(0), Skeleton.from_metainfo(joints).joint_names
    images, annotations = [], []
    for n in range(count):
        pose = rng.normal(0, 0.25, (len(names), 3)) + [*rng.uniform(-1, 1, 2), rng.uniform(5, 10)]
        flat = pose[:, :2] / pose[:, 2:]
        focal = 90 / np.ptp(flat, axis=0).max()
        centre = 64 - focal * (flat.max(0) + flat.min(0)) / 2
        seen = np.full(len(names), 2)
        seen[5:7] = 0 if n in cut else 1
        points = np.c_[flat * focal + centre, seen] * (seen > 0)[:, None]
        images.append(dict(id=n, file_name=f'{n:07d}.jpg', width=128, height=128))
        annotations.append(
            dict(
                id=n + 1,
                image_id=n,
                category_id=1,
                keypoints=points.ravel().round(3).tolist(),
                joints_3d=(1000 * pose).round(2).tolist(),
                camera=dict(f=[focal, focal], c=centre.tolist()),
                pose_source='mocap' if n % 3 else 'limits',
            )
        )
    content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='person', keypoints=names)])
    path.write_text(json.dumps({**content, **changes}))
    return content


def read(folder, **kwargs):
    return SyntheticPoseLiftingDataset(data_root=str(folder), **{'ann_file': 'people.json', 'joints': 'h36m', **kwargs})


class TestFiles:
    def test_poses_points_and_cameras_are_those_of_the_file(self, tmp_path):
        content = write(tmp_path / 'people.json')
        dataset = read(tmp_path)
        kept = [n for n in range(12) if n not in (3, 7)]
        assert dataset.frame.tolist() == kept and dataset.visible is None and dataset.projectable
        for row, n in enumerate(kept):
            entry = content['annotations'][n]
            np.testing.assert_allclose(dataset.poses[row] * 1000, entry['joints_3d'], atol=1e-2)
            np.testing.assert_allclose(
                dataset.keypoints[row], np.reshape(entry['keypoints'], (17, 3))[:, :2], atol=0.02
            )
            camera = camera_row(entry['camera']['f'], entry['camera']['c'], (128, 128))
            np.testing.assert_allclose(dataset.cameras[dataset.camera[row]], camera, rtol=1e-6)
            assert dataset.metainfo['action_names'][dataset.action[row]] == entry['pose_source']
            assert dataset.picture(row) == f'rendered_people.0_{n:07d}.jpg'

    def test_other_joints_are_made_by_name(self, tmp_path):
        write(tmp_path / 'people.json')
        seventeen, sixteen = read(tmp_path), read(tmp_path, joints='body16_3d')
        wanted = H36M.map_to(sixteen.skeleton).apply(seventeen.poses)
        np.testing.assert_allclose(sixteen.poses, wanted, atol=1e-6)
        assert len(read(tmp_path, actions=['limits'])) == 3

    def test_joints_that_the_people_lack_are_named(self, tmp_path):
        write(tmp_path / 'people.json', joints='lsp', cut=())
        with pytest.raises(ValueError, match="joints of 'lsp', which do not give .*spine"):
            read(tmp_path)
        assert read(tmp_path, joints='lsp').poses.shape == (12, 14, 3)

    def test_pose_augment_keeps_more_in_the_picture_if_the_root_stays(self, tmp_path):
        write(tmp_path / 'people.json', count=40)
        dataset = read(tmp_path)
        shares = []
        for keep_root in (True, False):
            torch.manual_seed(0)
            transform, changed = build(RANDOM, keep_root=keep_root), []
            for n in range(len(dataset)):
                info = dataset.get_data_info(n)
                out = transform(info)
                changed.append(out is not info)
                if changed[-1]:
                    points = project(out['lifting_target'], dataset.camera[[n]], dataset.cameras)
                    np.testing.assert_array_equal(out['keypoints'], points)
                    assert (points >= 0).all() and (points <= 128).all()
            shares.append(np.mean(changed))
        assert shares[0] > 0.3 and shares[0] > 2 * shares[1]

    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            (dict(categories=[dict(keypoints=['a', 'b'])]), r"joints \['a', 'b'\] of none of h36m, mpii, lsp"),
            (dict(categories=[]), 'no annotation file of tools/render_people.py'),
            (dict(annotations=[]), 'holds no person'),
            (dict(annotations=[dict(image_id=0)]), "no 'joints_3d'"),
            (dict(images=[]), 'no annotation file of tools/render_people.py'),
            (dict(images=3), "expected lists 'images'"),
        ],
    )
    def test_other_files_are_refused(self, tmp_path, changes, message):
        write(tmp_path / 'people.json', **changes)
        with pytest.raises(AnnotationError, match=message):
            read(tmp_path)

    @pytest.mark.parametrize('pose', [np.zeros((16, 3)), np.full((17, 3), np.nan), 'abc'])
    def test_bad_poses_are_refused(self, tmp_path, pose):
        content = write(tmp_path / 'people.json')
        content['annotations'][2]['joints_3d'] = pose if isinstance(pose, str) else pose.tolist()
        (tmp_path / 'people.json').write_text(json.dumps(content))
        with pytest.raises(AnnotationError, match='people.json|samples are NaN'):
            read(tmp_path)

    def test_people_that_are_all_cut_are_refused(self, tmp_path):
        write(tmp_path / 'people.json', count=2, cut=(0, 1))
        with pytest.raises(AnnotationError, match='all 2 pictures cut a joint off'):
            read(tmp_path)

    def test_a_missing_file_says_how_it_is_made(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='tools/render_people.py --joints h36m'):
            read(tmp_path)

    def test_one_source_has_to_be_given(self, tmp_path):
        for kwargs in (dict(ann_file=None), dict(people=dict(length=2))):
            with pytest.raises(ValueError, match='an ann_file or people to draw, one of them'):
                read(tmp_path, **kwargs)


def test_drawn_people_are_those_of_the_pictures():
    pytest.importorskip('anny', reason='rendered people need the extra synth (anny)')
    pytest.importorskip('warp', reason='rendered people need the extra synth (warp-lang)')
    from mmposeda.registry import DATASETS

    people = dict(length=11, size=64, seed=4, look='clean', first=3)
    dataset = SyntheticPoseLiftingDataset(people=people, joints='h36m')
    pictures = DATASETS.build(dict(type='SyntheticBodyDataset', joints='h36m', pipeline=[], **people))
    assert len(dataset) > 5
    for row, frame in enumerate(dataset.frame):
        info = pictures.get_data_info(int(frame) - 3)
        assert info['img_id'] == frame and info['keypoints_visible'].all()
        np.testing.assert_allclose(dataset.poses[row], info['keypoints_3d_cam'][0] / 1000, rtol=1e-6)
        np.testing.assert_allclose(dataset.keypoints[row], info['keypoints'][0], atol=2e-3)
