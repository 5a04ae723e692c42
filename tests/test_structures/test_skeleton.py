import numpy as np
import pytest
from mmengine.config import Config

from mmposeda.structures.skeleton import METAINFO_DIR, JointMap, Skeleton, metainfo_path

OURS = sorted(p.stem for p in METAINFO_DIR.glob('[a-z0-9]*.py'))


def sk(name):
    return Skeleton.from_metainfo(name)


@pytest.mark.parametrize('name', OURS)
def test_every_meta_file_gives_a_whole_skeleton(name):
    skeleton = sk(name)
    assert skeleton.name == Config.fromfile(metainfo_path(name)).dataset_info.dataset_name
    assert skeleton.joint_set == skeleton.name
    assert sum(p == -1 for p in skeleton.parents) == 1
    assert 'all' in skeleton.groups
    for joint, flip in enumerate(skeleton.flip_indices):
        left = skeleton.joint_names[joint].startswith(('left_', 'right_'))
        assert (flip != joint) == left
    for own in skeleton.aliases:
        assert own in skeleton.joint_names


@pytest.mark.parametrize(
    'source, target, expected',
    [  # the tables of the dataset notes
        ('surreal', 'mpii', [7, 4, 1, 2, 5, 8, 0, 9, 12, 15, 20, 18, 13, 14, 19, 21]),
        ('surreal_shoulder', 'mpii', [7, 4, 1, 2, 5, 8, 0, 9, 12, 15, 20, 18, 16, 17, 19, 21]),
        ('smpl24', 'mpii', [8, 5, 2, 1, 4, 7, 0, 9, 12, 15, 21, 19, 17, 16, 18, 20]),
        ('lsp', 'mpii', [0, 1, 2, 3, 4, 5, -1, -1, 12, 13, 6, 7, 8, 9, 10, 11]),
        ('surreal', 'lsp', [7, 4, 1, 2, 5, 8, 20, 18, 13, 14, 19, 21, 12, 15]),
        ('mpi_inf_3dhp', 'h36m', [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]),
        ('spin19', 'body16_3d', [14, 2, 1, 0, 3, 4, 5, 16, 12, 18, 9, 10, 11, 8, 7, 6]),
        ('h36m', 'body16_3d', [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16]),
        ('rhd2d', 'hand21', [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17]),
        ('stb', 'hand21', [-1, 17, 18, 19, 20, 13, 14, 15, 16, 9, 10, 11, 12, 5, 6, 7, 8, 1, 2, 3, 4]),
        ('interhand2d', 'hand21', [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]),
        ('freihand2d', 'hand21', list(range(21))),
        ('panoptic_hand2d', 'freihand2d', list(range(21))),
    ],
)
def test_maps_follow_the_dataset_tables(source, target, expected):
    assert sk(source).map_to(sk(target)).indices.tolist() == expected


def test_h36m_thorax_is_the_middle_of_the_shoulders():
    to_mpii = sk('h36m').map_to(sk('mpii'))
    plain = [3, 2, 1, 4, 5, 6, 0, None, 8, 10, 16, 15, 14, 11, 12, 13]
    for k, index in enumerate(plain):
        used = np.flatnonzero(to_mpii.weights[k]).tolist()
        assert used == ([11, 14] if index is None else [index])
    with pytest.raises(ValueError, match='mid-points'):
        _ = to_mpii.indices
    assert sk('h36m').map_to(sk('mpii'), midpoints=False).indices[7] == -1


def test_maps_work_backwards_without_being_written_twice():
    assert sk('h36m').map_to(sk('nlrd17')).indices[1] == 8
    assert sk('h36m').map_to(sk('humaneva15')).indices[1] == 8
    assert sk('mpii').map_to(sk('lsp')).indices.tolist() == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 8, 9]


def test_apply_averages_coordinates_and_takes_the_least_visible():
    coco, mpii = sk('coco'), sk('mpii')
    joint_map = coco.map_to(mpii)
    keypoints = np.random.default_rng(0).normal(size=(2, 17, 2)).astype(np.float32)
    visible = np.ones((2, 17), np.float32)
    visible[0, coco.index('left_hip')] = 0
    keypoints[:, 0] = np.nan  # the nose is not asked for
    out, vis = joint_map.apply(keypoints, visible)
    hips = keypoints[:, [11, 12]].mean(1)
    np.testing.assert_allclose(out[:, mpii.index('pelvis')], hips, rtol=1e-6)
    assert vis[:, mpii.index('pelvis')].tolist() == [0, 1]
    assert not joint_map.mask[mpii.index('head_top')] and (vis[:, mpii.index('head_top')] == 0).all()


def test_converter_does_the_same_as_the_map():
    from mmpose.registry import TRANSFORMS

    for source, target in (('surreal', 'lsp'), ('coco', 'mpii')):
        joint_map = sk(source).map_to(sk(target))
        keypoints = np.random.default_rng(0).normal(size=(1, sk(source).num_joints, 2))
        visible = np.ones(keypoints.shape[:2])
        result = TRANSFORMS.build(joint_map.converter())(dict(keypoints=keypoints.copy(), keypoints_visible=visible))
        np.testing.assert_allclose(result['keypoints'], joint_map.apply(keypoints), atol=1e-6)
        np.testing.assert_array_equal(result['keypoints_visible'][0, :, 0], joint_map.mask)


def test_stb_wrist_lies_beyond_the_palm():
    joint_map = sk('stb_wrist').map_to(sk('hand21'))
    keypoints = np.zeros((21, 2))
    keypoints[sk('stb').index('middle_finger1')] = 0, 10
    keypoints[0] = 0, 15
    np.testing.assert_allclose(joint_map.apply(keypoints)[0], [0, 20])
    with pytest.raises(ValueError, match='middle of two'):
        joint_map.converter()


def test_no_common_joint_is_an_error_that_lists_both():
    with pytest.raises(ValueError, match='share no joint.*right_ankle.*forefinger1.*maps'):
        sk('lsp').map_to(sk('hand21'))
    assert sk('lsp').common_joints(sk('hand21')) == ()
    assert sk('lsp').common_joints(sk('h36m'))[0] == 'root'


def test_parsed_metainfo_of_a_dataset_finds_its_groups_again():
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    parsed = parse_pose_metainfo(dict(from_file=metainfo_path('lsp')))
    again = Skeleton.from_metainfo(parsed)
    assert again.groups == sk('lsp').groups and again.parents == sk('lsp').parents
    np.testing.assert_allclose(again.sigmas, sk('lsp').sigmas, rtol=1e-6)
    assert again.same_joints(sk('lsp')) and again.maps == sk('lsp').maps
    assert sk('freihand2d').joint_set == 'hand21' and sk('freihand2d').groups['Fin'] == (4, 8, 12, 16, 20)


def test_unknown_sets_get_groups_and_a_tree_from_mmpose():
    exlpose = sk('exlpose')
    assert exlpose.groups['shoulder'] == (0, 1)
    assert sum(p == -1 for p in exlpose.parents) == 1


@pytest.mark.parametrize('name', OURS)
def test_bones_lead_from_each_parent_to_its_child(name):
    skeleton = sk(name)
    assert len(skeleton.bones) == skeleton.num_joints - 1
    assert all(skeleton.parents[child] == parent for parent, child in skeleton.bones)
    assert sorted(child for _, child in skeleton.bones) == [k for k, p in enumerate(skeleton.parents) if p != -1]


def test_joints_are_found_one_or_several_at_a_time():
    lsp = sk('lsp')
    assert lsp.index_all('left_hip') == (lsp.index('left_hip'),) == (3,)
    assert lsp.index_all(['right_hip', 'left_hip']) == (2, 3)
    assert lsp.index_all(iter(('upper_neck',))) == (12,), 'an alias, and any iterable'
    with pytest.raises(KeyError, match="no joint 'tail'"):
        lsp.index_all(('left_hip', 'tail'))


def test_groups_all_is_the_twelve_limb_joints():
    lsp = sk('lsp')
    assert sorted(lsp.groups['all']) == list(range(12))
    assert sorted(sk('mpii').groups['all']) == [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(parents=(1, 0, -1)), 'no tree'),
        (dict(flip_indices=(1, 2, 0)), 'flip_indices'),
        (dict(groups=dict(a=(3,))), 'group'),
        (dict(joint_names=('a', 'a', 'b')), 'repeat'),
        (dict(angle_triplets=((0, 1, 1),)), 'triplet'),
        (dict(sigmas=(0.1,)), 'sigmas'),
        (dict(parts=dict(limb=())), 'part'),
        (dict(parts=dict(limb=(0, 1))), 'holds the root'),
    ],
)
def test_contradictions_are_refused(change, message):
    good = dict(
        name='x', joint_names=('a', 'b', 'c'), parents=(-1, 0, 1), flip_indices=(0, 2, 1), groups=dict(all=(0, 1, 2))
    )
    Skeleton(**good)
    with pytest.raises(ValueError, match=message):
        Skeleton(**{**good, **change})


def test_errors_name_what_there_is():
    with pytest.raises(FileNotFoundError, match='hand21'):
        sk('no_such_set')
    with pytest.raises(KeyError, match='right_ankle'):
        sk('lsp').index('tail')
    assert sk('lsp').index('upper_neck') == 12
    assert isinstance(sk('lsp').map_to(sk('mpii')), JointMap)
