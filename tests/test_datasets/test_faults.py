"""Checks of single data sets: no false alarm on real samples and miniatures, and faults of poses and videos."""

import time
from pathlib import Path

import numpy as np
import pytest
from body_miniatures import write_dpw
from figure_sets import body, hand, many, write_bodies
from lifting_samples import CAMERAS, People
from miniatures import write_h3d, write_h36m, write_lsp, write_rhd, write_surreal
from mmengine.config import Config
from scipy.spatial.transform import Rotation
from video_samples import write_folder, write_video

from mmposeda.datasets.faults import Finding, check_dataset
from mmposeda.datasets.faults.findings import first_of, spread
from mmposeda.datasets.faults.pictures import Folders
from mmposeda.datasets.faults.records import Labels, read_labels
from mmposeda.datasets.faults.skeletons import finger_chains, left_and_right, turned_fingers
from mmposeda.datasets.faults.spaces import behind_camera, off_projections, other_unit
from mmposeda.datasets.lifting_poses import LiftingPoses
from mmposeda.engine.run_data import RunData
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton, metainfo_path

COCO_STYLE = dict(
    CocoDataset=('coco', 'test_coco.json'),
    MpiiDataset=('mpii', 'test_mpii.json'),
    Rhd2DDataset=('rhd', 'test_rhd.json'),
    FreiHandDataset=('freihand', 'test_freihand.json'),
    PanopticHand2DDataset=('panoptic', 'test_panoptic.json'),
    ExlposeDataset=('exlpose', 'test_exlpose.json'),
    JhmdbDataset=('jhmdb', 'test_jhmdb_sub1.json'),
    CocoWholeBodyDataset=('coco', 'test_coco_wholebody.json'),
)


def found(dataset, **kwargs):
    dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
    return check_dataset(dataset, **kwargs).findings


@pytest.mark.parametrize('kind', COCO_STYLE)
def test_real_samples_have_no_fault(kind, shared_data):
    folder, ann_file = COCO_STYLE[kind]
    root = str(shared_data / 'mmpose_samples' / folder)
    assert found(dict(type=f'mmpose.{kind}', data_root=root, ann_file=ann_file, data_prefix=dict(img=''))) == []


def test_real_poses_and_photos_have_no_fault(shared_data):
    root = str(shared_data / 'mmpose_samples')
    files = dict(ann_file='test_h36m_body3d.npz', camera_file='cameras.pkl')
    poses = dict(type='Human36mLiftingDataset', data_root=f'{root}/h36m', **files)
    assert found(poses) == []
    name = '{subject}/{take}/{take}_{frame:06d}.jpg'
    pictures = dict(data_root=f'{root}/h36m', data_prefix=dict(img=''), picture_format=name)
    assert found(dict(type='ImagePose3DDataset', poses=poses, **pictures)) == []
    files = dict(ann_file='test_3dhp_test.npz', camera_file='cameras_test.pkl')
    assert found(dict(type='MPIINF3DHPDataset', data_root=f'{root}/mpi_inf_3dhp', split='test', **files)) == []
    images = dict(img='images/')
    photos = dict(type='LSPDataset', data_root=str(shared_data / 'lspet_subset'), data_prefix=images)
    assert found(dict(photos, ann_file='annotations/lspet_test.json')) == []
    official = str(shared_data / 'lsp_official_mini' / 'lspet')
    assert found(dict(photos, data_root=official, ann_file='joints.mat'), every_picture=True) == []


@pytest.mark.parametrize(
    ('write', 'cfg'),
    [
        (write_surreal, dict(type='SURREALDataset')),
        (write_lsp, dict(type='LSPDataset', ann_file='joints.mat', data_prefix=dict(img='images/'))),
        (write_h36m, dict(type='Human36m2DDataset')),
        (write_rhd, dict(type='RHDHandsDataset')),
        (write_h3d, dict(type='Hand3DStudioDataset')),
    ],
)
def test_miniatures_in_official_layout_have_no_fault(write, cfg, tmp_path):
    cfg = dict(cfg, data_root=str(write(tmp_path)))
    assert found(cfg) == []
    if write in (write_surreal, write_lsp):  # into MPII's joints, of which LSP lacks two
        assert found(dict(cfg, metainfo=dict(from_file=metainfo_path('mpii')))) == []


def test_all_pictures_of_a_large_set_are_looked_for_quickly(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    names = [str(folder / f'{n}.jpg') for n in range(100_000)]
    Path(names[5]).touch()
    start = time.perf_counter()
    assert len(Folders().missing(names)) == 99_999
    assert time.perf_counter() - start < 5


def standing(count=40, **changes):
    """People around before a camera, as a reader gives them."""
    rows = np.arange(count)
    arrays = dict(
        poses=(many(body(Skeleton.from_metainfo('lsp')), count, 4500) / 1000).astype('f4'),
        keypoints=None,
        camera=0 * rows,
        cameras=CAMERAS,
        sequence=rows // 20,
        sequence_names=['walk_{:06d}.jpg', 'run_{:06d}.jpg'],
        frame=rows % 20,
        action=0 * rows,
        action_names=['walk'],
        subject=0 * rows,
        subject_names=['A'],
        joints='lsp',
    )
    return People(LiftingPoses(**{**arrays, **changes}), joints='lsp')


def test_poses_without_a_fault_pass():
    assert found(standing()) == []
    projected = standing().keypoints
    assert found(standing(keypoints=projected + np.random.default_rng(0).normal(0, 4, projected.shape))) == []


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        (dict(frame=np.r_[np.arange(20), np.arange(20)[::-1]]), 'frames of 1 takes are not in order: run_000018'),
        (dict(keypoints=np.roll(standing().keypoints, 7, axis=0)), '28 of 40 samples do not project onto their 2D'),
        (dict(poses=standing().poses * np.float32([-1, 1, 1])), 'whole bodies are swapped'),
        (dict(poses=standing().poses * np.float32([1, 1, -1])), '40 of 40 samples have 3D joints behind the camera'),
        (dict(poses=standing().poses * np.float32(3)), 'the median torso is 14'),
        (dict(poses=np.repeat(standing().poses[::10], 10, axis=0)), '36 samples are there more than once: walk_000001'),
    ],
)
def test_faults_of_poses_are_named(changes, says):
    assert any(says in finding.text for finding in found(standing(**changes))), found(standing(**changes))


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        (dict(poses=np.full((40, 14, 3), np.nan, 'f4')), 'poses of 40 samples are NaN'),
        (dict(poses=(1000 * standing().poses)), 'another unit'),
        (dict(keypoints=standing().keypoints[:39]), 'keypoints have shape (39, 14, 2), expected (40, 14, 2)'),
    ],
)
def test_poses_that_no_reader_gives_are_refused_by_name(changes, says):
    with pytest.raises(ValueError, match='People') as refused:
        standing(**changes)
    assert says in str(refused.value)


def test_joints_that_files_lack_are_no_fault(tmp_path):
    poses = dict(type='ThreeDPWDataset', data_root=str(write_dpw(tmp_path)), joints=None)
    assert not any('shows' in finding.text for finding in found(poses))


def video_set(root, **kwargs):
    steps = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=(48, 32))]
    pipeline = [*steps, dict(type='PackPoseInputs')]
    return dict(
        type='UnlabeledVideoDataset', metainfo='lsp', data_root=str(root), frames=8, pipeline=pipeline, **kwargs
    )


def test_videos_that_give_no_clip_are_named(tmp_path):
    write_video(tmp_path / 'walk.avi', range(20))
    assert found(video_set(tmp_path)) == []
    (tmp_path / 'broken.avi').write_bytes(b'RIFF' + bytes(500))
    write_folder(tmp_path / 'short', range(3))
    first, second = found(video_set(tmp_path))
    assert first.level == 'warning' and '1 unreadable videos, 1 pieces too short' in first.text
    assert '2 of 3 videos give no clip of 8 frames: ' in second.text and 'broken' in second.text


def test_a_folder_without_a_clip_is_an_error(tmp_path):
    write_video(tmp_path / 'walk.avi', range(5))
    run = run_of(video_set(tmp_path))
    part = next(run.check())
    assert part.dataset is None and 'no clip of 8 frames' in part.check.findings[0].text


def run_of(dataset):
    return RunData(Config(dict(train_dataloader=dict(batch_size=1, dataset=dataset))))


def labels(joints, poses, **changes):
    """Labels of poses (n, K, 3) in mm before a camera."""
    skeleton = Skeleton.from_metainfo(joints)
    count = len(poses)
    camera = np.array([250, 250, 80, 60, 0, 0, 0, 0, 0, 1, 1], float)
    arrays = dict(
        skeleton=skeleton,
        names=[f'sample {n}' for n in range(count)],
        counts=np.full(count, skeleton.num_joints),
        points=poses[..., :2] / poses[..., 2:] * 250 + (80, 60),
        visible=np.ones(poses.shape[:2], bool),
        boxes=np.full((count, 4), np.nan),
        space=poses,
        cameras=np.tile(camera, (count, 1)),
    )
    return Labels(**{**arrays, **changes})


def test_turned_heads_over_heels_bodies_keep_left_and_right():
    """The signs do not depend on the view: upside down, lying, from behind."""
    template = body(Skeleton.from_metainfo('lsp'))
    turns = Rotation.random(200, random_state=0).as_matrix()
    space = np.einsum('nij,kj->nki', turns, template) + (0, 0, 4500)
    assert left_and_right(labels('lsp', space)) == []
    mirrored = labels('lsp', space * (-1, 1, 1))
    assert '100% of 400 knees and feet' in left_and_right(mirrored)[0].text
    # in 2D alone a mirrored body without a face is a body
    assert left_and_right(labels('lsp', space * (-1, 1, 1), space=None)) == []


def test_fists_are_no_turned_fingers():
    skeleton = Skeleton.from_metainfo('hand21')
    space = many(hand(skeleton), 40, 600)
    for finger in ('forefinger', 'middle_finger', 'ring_finger', 'pinky_finger'):
        mcp, pip, dip, tip = (skeleton.index(f'{finger}{n}') for n in range(1, 5))
        back = (space[:, skeleton.index('wrist')] - space[:, mcp]) / 92
        space[:, pip] = space[:, mcp] + (0, 0, -44)
        space[:, dip] = space[:, pip] + 27 * back
        space[:, tip] = space[:, dip] + 22 * back
    assert turned_fingers(labels('hand21', space)) == []
    assert len(finger_chains(skeleton)) == 5 and finger_chains(Skeleton.from_metainfo('coco')) == []


@pytest.mark.parametrize(('factor', 'unit'), [(1e-3, 'metres'), (0.1, 'centimetres'), (1e3, 'micrometres')])
def test_units_are_told_from_bones(factor, unit):
    for joints, template, depth in (('lsp', body, 4500), ('hand21', hand, 600), ('coco', body, 4500)):
        space = many(template(Skeleton.from_metainfo(joints)), 5, depth)
        assert other_unit(labels(joints, space)) == []
        assert unit in other_unit(labels(joints, factor * space))[0].text


def test_few_wrong_samples_are_a_warning_and_relative_poses_none():
    space = many(hand(Skeleton.from_metainfo('hand21')), 40, 600)
    some = labels('hand21', space)
    assert off_projections(some) == [] == behind_camera(some)
    some.points[3] += 60
    finding = off_projections(some)[0]
    assert str(finding).startswith('warning: 3D joints of 1 of 40 samples') and 'sample 3' in finding.text
    relative = labels('hand21', space - space[:, :1], cameras=np.full((40, 11), np.nan))
    assert off_projections(relative) == [] == behind_camera(relative)


def test_labels_of_an_unlabelled_target_are_not_read(tmp_path):
    write_bodies(tmp_path, count=3)
    steps = [dict(type='LoadImage'), dict(type='PackPoseInputs')]
    inner = dict(type='RenderedDataset', data_root=str(tmp_path), pipeline=steps)
    dataset = DATASETS.build(dict(type='UnlabeledDataset', dataset=inner))
    given = read_labels(dataset)
    assert given.points is None and given.space is None and len(given) == 3
    assert 'labels read' not in check_dataset(dataset).looked


def test_samples_are_spread_evenly_and_names_cut_short():
    assert spread(5, 10).tolist() == [0, 1, 2, 3, 4] and spread(9, 3).tolist() == [0, 4, 8] and not len(spread(0, 3))
    assert first_of(['a', 'b', 'c', 'd', 'e']) == 'a, b, c and 2 more' and first_of(['a']) == 'a'
    assert str(Finding('error', 'text')) == 'error: text'
