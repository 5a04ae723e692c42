import json
import pickle
import shutil

import cv2
import numpy as np
import pytest
from body_miniatures import mpi_train_labels, write_dpw, write_humaneva, write_mpi_train, write_pictures
from lifting_samples import CAMERAS, People, lifting_poses
from miniatures import write_surreal

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.image_pose_3d import ImagePose3DDataset
from mmposeda.datasets.images import SampleError
from mmposeda.datasets.lifting_cameras import from_camera_param, project
from mmposeda.datasets.sequences import SequenceRule
from mmposeda.datasets.single import square_boxes
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import Skeleton

LIMBS = [
    f'{side}_{joint}' for side in ('right', 'left') for joint in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')
]
LABELS = ('keypoints', 'keypoints_3d_cam')


@pytest.fixture
def people(tmp_path):
    """Pictures of the small set of two subjects before two cameras, one of which distorts."""
    dataset = People(lifting_poses(keypoints=False), data_root=str(tmp_path), joints='h36m')
    return write_pictures(dataset, tmp_path / 'images')


def reprojected(info, size):
    """Pixels (K, 2) of a sample's 3D labels by its camera."""
    row = from_camera_param(info['camera'], size)[None]
    return project(info['keypoints_3d_cam'] / 1000, np.zeros(1, int), row)[0]


class TestSamples:
    def test_they_have_what_surreals_have(self, people, tmp_path):
        write_surreal(tmp_path / 'surreal', count=1)
        dataset = ImagePose3DDataset(people)
        info = dataset.get_data_info(0)
        surreal = DATASETS.build(dict(type='SURREALDataset', data_root=str(tmp_path / 'surreal'), split='val'))
        assert set(surreal.get_data_info(0)) - set(info) == {'intrinsic_matrix'}
        shapes = dict(keypoints=(1, 17, 2), keypoints_visible=(1, 17), keypoints_3d_cam=(1, 17, 3), bbox=(1, 4))
        for key, shape in shapes.items():
            assert info[key].shape == shape and info[key].dtype == np.float32
        np.testing.assert_allclose(info['keypoints_3d_cam'][0], 1000 * people.poses[0], rtol=1e-6)
        np.testing.assert_array_equal(info['keypoints'][0], people.keypoints[0])
        assert info['img_path'] == str(tmp_path / 'images' / 'A_walk.1_000000.jpg') and info['frame'] == 0
        assert (info['subject'], info['action']) == ('A', 'walk')

    def test_3d_labels_lie_on_2d_labels_by_the_samples_camera(self, people):
        dataset = ImagePose3DDataset(people)
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            size = (1000, 1000) if index < 20 else (1920, 1080)
            np.testing.assert_allclose(reprojected(info, size), info['keypoints'][0], atol=5e-3)
        assert set(dataset.get_data_info(0)['camera']) == {'f', 'c'}
        assert set(dataset.get_data_info(30)['camera']) == {'f', 'c', 'k', 'p'}

    def test_boxes_are_squares_around_the_joints(self, people):
        loose, tight = (ImagePose3DDataset(people, crop=crop) for crop in (1.5, 1.0))
        for index, size in ((0, (1000, 1000)), (39, (1920, 1080))):
            points = people.keypoints[index]
            x0, y0, x1, y1 = loose.get_data_info(index)['bbox'][0]
            assert x1 - x0 == y1 - y0 == min(round(1.5 * np.ptp(points, 0).max()), *size)
            assert x0 >= 0 and x1 <= size[0] and y0 >= 0 and y1 <= size[1]
            side = np.diff(tight.get_data_info(index)['bbox'][0][[0, 2]])[0]
            assert abs(side - np.ptp(points, 0).max()) <= 1
        whole = ImagePose3DDataset(people, bbox='image').get_data_info(39)['bbox']
        assert whole.tolist() == [[0, 0, 1920, 1080]]

    def test_boxes_are_the_published_ones_where_those_hold_the_crop(self):
        rng = np.random.default_rng(0)
        centers, sides = rng.uniform(0, 1000, (50, 2)), rng.uniform(10, 900, 50)
        published, lengths = square_boxes(centers, sides, (1000, 1200), 1.5)
        corners, longer = square_boxes(centers, sides, (1000, 1200), 1.5, within=False)
        fits = longer <= 1000
        np.testing.assert_array_equal(corners[fits], published[fits])
        assert (lengths[~fits] == 1000).all() and longer.max() == 1200 and (corners[~fits, 0] <= 0).all()
        assert (corners[~fits, 0] + longer[~fits] >= 1000).all()

    def test_changing_a_sample_changes_nothing_kept(self, people):
        dataset = ImagePose3DDataset(people)
        info = dataset.get_data_info(3)
        for key in (*LABELS, 'keypoints_visible', 'bbox'):
            info[key] += 7
        info['camera']['f'] *= 0
        again = dataset.get_data_info(3)
        assert all((info[key] - again[key] == 7).all() for key in ('keypoints_visible', 'bbox'))
        assert again['camera']['f'].min() > 0

    def test_every_nth_frame_of_each_sequence(self, people):
        dataset = ImagePose3DDataset(people, every=8)
        infos = [dataset.get_data_info(n) for n in range(len(dataset))]
        assert [info['frame'] for info in infos] == [0, 8, 16, 0, 8, 16]
        assert [info['img_id'] for info in infos] == [0, 8, 16, 20, 28, 36]

    def test_only_numbers_are_kept_a_sample(self, people):
        dataset = ImagePose3DDataset(people)
        assert dataset.data_bytes.nbytes < 100 * len(dataset)
        assert len(ImagePose3DDataset(people, indices=7)) == 7

    def test_sequences_and_pairs(self, people):
        dataset, rule = ImagePose3DDataset(people), SequenceRule('fields')
        found = {rule(dataset.get_data_info(n))[0] for n in range(len(dataset))}
        assert found == {'A_walk.1/A', 'B_run.2/A'}  # the set's first sample of each says who it is of

    def test_people_outside_of_the_picture_are_left_out(self, tmp_path):
        data = lifting_poses(keypoints=False)
        data.poses[5, :, 0] += 9  # some 80 degrees to the side
        data.poses[6, 3:, 0] += 9  # three joints are in the picture
        dataset = People(data, data_root=str(tmp_path), joints='h36m')
        found = ImagePose3DDataset(write_pictures(dataset, tmp_path / 'images'))
        assert len(found) == 39 and found.get_data_info(5)['img_id'] == 6
        assert found.get_data_info(5)['bbox'].tolist() == [[0, 0, 1000, 1000]]
        data.poses[:, :, 0] += 30
        with pytest.raises(AnnotationError, match='no one with a joint in the picture'):
            ImagePose3DDataset(People(data, data_root=str(tmp_path), joints='h36m'))

    def test_files_without_camera(self, tmp_path):
        cameras = CAMERAS.copy()
        cameras[:, :4] = np.nan
        data = lifting_poses(cameras=cameras)
        dataset = write_pictures(People(data, data_root=str(tmp_path), joints='h36m'), tmp_path / 'images')
        assert 'camera' not in ImagePose3DDataset(dataset).get_data_info(0)


class TestPipeline:
    def test_of_a_source_and_an_unlabelled_target(self, people, top_down_pipeline):
        codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
        cfg = dict(type='ImagePose3DDataset', poses=people)
        source = dict(cfg, pipeline=top_down_pipeline(codec=codec))
        target = dict(type='UnlabeledDataset', dataset=dict(cfg, pipeline=top_down_pipeline()))
        both = DATASETS.build(dict(type='CombinedDataset', datasets=[source, target]))
        assert len(both) == 80 and both.metainfo['dataset_name'] == 'h36m'
        assert both[0]['data_samples'].gt_fields.heatmaps.shape == (17, 16, 16)
        assert set(both[40]['data_samples'].gt_instances.keys()) <= {'bboxes', 'bbox_scores', 'bbox_scales'}
        assert len(pickle.dumps(both[0])) < 100_000

    def test_without_labels_nothing_but_box_and_picture_remain(self, people, top_down_pipeline):
        cfg = dict(type='ImagePose3DDataset', poses=people, pipeline=top_down_pipeline())
        plain, wrapped = DATASETS.build(cfg), DATASETS.build(dict(type='UnlabeledDataset', dataset=cfg))
        assert wrapped.dataset._labels is None
        inner, info = wrapped.dataset.get_data_info(9), wrapped.get_data_info(9)
        assert all((inner[key] == 0).all() for key in (*LABELS, 'keypoints_visible'))
        assert 'camera' not in info and 'keypoints_3d_cam' not in info
        np.testing.assert_array_equal(info['bbox'], plain.get_data_info(9)['bbox'])
        assert info['img_path'] == plain.get_data_info(9)['img_path']

    def test_shuffled_labels_change_no_unlabelled_sample_with_the_whole_picture(self, people, top_down_pipeline):
        cfg = dict(type='ImagePose3DDataset', poses=people, bbox='image', pipeline=top_down_pipeline())
        wrap = dict(type='UnlabeledDataset', dataset=cfg)
        before = DATASETS.build(wrap)[2]
        people.poses[:], people.keypoints[:] = people.poses[::-1].copy(), people.keypoints[::-1].copy()
        after = DATASETS.build(wrap)[2]
        assert (before['inputs'] == after['inputs']).all()
        assert (before['data_samples'].gt_instances.bboxes == after['data_samples'].gt_instances.bboxes).all()


class TestRealSamples:
    def test_human36m(self, shared_data, top_down_pipeline):
        folder = shared_data / 'mmpose_samples' / 'h36m'
        poses = dict(type='Human36mLiftingDataset', data_root=str(folder), camera_file='cameras.pkl')
        poses['ann_file'] = 'test_h36m_body3d.npz'
        pipeline = top_down_pipeline(
            codec=dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
        )
        dataset = ImagePose3DDataset(poses, data_prefix=dict(img=''), pipeline=pipeline)
        raw = np.load(folder / 'test_h36m_body3d.npz')
        for index in range(4):
            info = dataset.get_data_info(index)
            assert info['img_path'].endswith(str(raw['imgname'][index]))
            np.testing.assert_allclose(info['keypoints_3d_cam'][0], 1000 * raw['S'][index, :, :3], rtol=1e-5)
            height, width = cv2.imread(info['img_path']).shape[:2]
            np.testing.assert_allclose(reprojected(info, (width, height)), info['keypoints'][0], atol=1e-2)
            assert dataset[index]['inputs'].shape == (3, 64, 64)
        assert info['sequence_id'] == 'S8/S8_WalkDog_1.55011271/S8_WalkDog_1.55011271/S8' and info['frame'] == 26

    def test_the_official_layout_is_the_default(self, shared_data, tmp_path):
        folder = shared_data / 'mmpose_samples' / 'h36m'
        (tmp_path / 'images').symlink_to(folder)
        poses = dict(type='Human36mLiftingDataset', data_root=str(tmp_path))
        poses.update(ann_file='images/test_h36m_body3d.npz', camera_file='images/cameras.pkl')
        info = ImagePose3DDataset(poses, joints='lsp', every=1).get_data_info(1)
        name = 'S5_SittingDown.54138969'
        assert info['img_path'] == str(tmp_path / 'images' / 'S5' / name / f'{name}_002061.jpg')

    @pytest.mark.parametrize('split', ['train', 'test'])
    def test_mpi_inf_3dhp(self, shared_data, split, top_down_pipeline):
        folder = shared_data / 'mmpose_samples' / 'mpi_inf_3dhp'
        poses = dict(type='MPIINF3DHPDataset', data_root=str(folder), split=split)
        poses.update(ann_file=f'test_3dhp_{split}.npz', camera_file=f'cameras_{split}.pkl')
        dataset = ImagePose3DDataset(poses, 'lsp', data_prefix=dict(img=''), pipeline=top_down_pipeline())
        for index in range(2):
            info = dataset.get_data_info(index)
            assert np.abs(reprojected(info, (2048, 2048)) - info['keypoints'][0]).max() < 2
            assert info['keypoints_visible'].all() and dataset[index]['inputs'].shape == (3, 64, 64)


class TestLayouts:
    def test_three_dpw(self, tmp_path):
        cfg = dict(type='ThreeDPWDataset', data_root=str(write_dpw(tmp_path, people=2)), scored='all')
        write_pictures(DATASETS.build(cfg), tmp_path)
        dataset = ImagePose3DDataset(cfg, joints='lsp')
        infos = [dataset.get_data_info(n) for n in range(8)]
        assert [info['frame'] for info in infos] == [0, 1, 3, 4] * 2
        assert infos[0]['img_path'] == infos[4]['img_path']
        assert {info['sequence_id'] for info in infos} == {
            f'imageFiles/downtown_walk_00/image/person{n}' for n in (0, 1)
        }
        for info in infos:  # taller than the picture is wide: the box holds all of its width
            x0, y0, x1, y1 = info['bbox'][0]
            assert x1 - x0 == y1 - y0 > 1080 and x0 <= 0 and x1 >= 1080 and y0 >= 0 and y1 <= 1920
        for info in infos:
            np.testing.assert_allclose(reprojected(info, (1080, 1920)), info['keypoints'][0], atol=5e-3)

    def test_video_pose_3ds_human36m(self, tmp_path, shared_data):
        """Its files name takes as MMPose's pictures are named."""
        shutil.copy(shared_data / 'mmpose_samples' / 'h36m' / 'cameras.pkl', tmp_path)
        world = np.random.default_rng(0).uniform(-0.5, 0.5, (7, 17, 3)) + [0, 0, 0.9]
        np.savez(tmp_path / 'data_3d_h36m.npz', positions_3d=dict(S9={'Directions 1': world}))
        cfg = dict(type='Human36mLiftingDataset', data_root=str(tmp_path), split='test', camera_file='cameras.pkl')
        cfg.update(ann_file='data_3d_h36m.npz', stride=5)
        name = '{0}/{1}/{1}_{2:06d}.jpg'
        write_pictures(
            DATASETS.build(cfg),
            tmp_path / 'images',
            lambda d, n: name.format('S9', d.picture(n).rsplit('_', 1)[0], d.frame[n]),
        )
        dataset = ImagePose3DDataset(cfg)
        assert len(dataset) == 8 and dataset.get_data_info(1)['frame'] == 6
        dataset.get_data_info(7)
        assert all((tmp_path / 'images').joinpath(dataset._path(row)).is_file() for row in range(8))

    def test_mpi_inf_3dhps_training_set(self, tmp_path):
        write_mpi_train(tmp_path / 'train', frames=3)
        cfg = dict(type='MPIINF3DHPDataset', split='train', data_root=str(tmp_path), subjects=['S1'], camera_ids=[0, 4])
        official = write_pictures(DATASETS.build(dict(cfg, stride=3)), tmp_path / 'images')
        dataset = ImagePose3DDataset(dict(cfg, stride=3))
        assert len(dataset) == 4 and dataset.get_data_info(1)['img_path'].endswith('images/S1_Seq1_Cam4_000001.jpg')
        poses, _ = mpi_train_labels(3, 4)
        assert np.abs(dataset.get_data_info(1)['keypoints_3d_cam'][0] - poses[0, :, None]).max(-1).min(0).max() < 0.1
        # frames of the videos in folders of their own
        form = '{subject}/{action}/{take}/{frame}.jpg'
        write_pictures(
            official,
            tmp_path / 'frames',
            lambda d, n: f'S1/{d.metainfo["action_names"][d.action[n]]}/{d.picture(n)[:-11]}/1.jpg',
        )
        other = ImagePose3DDataset(dict(cfg, stride=3), picture_format=form, data_prefix=dict(img='frames'))
        assert other.get_data_info(1)['img_path'] == str(tmp_path / 'frames/S1/Seq1/S1_Seq1_Cam4/1.jpg')

    def test_humaneva(self, tmp_path):
        write_humaneva(tmp_path)
        cfg = dict(type='HumanEvaDataset', data_root=str(tmp_path), ann_file='converted_15j', camera_ids=['C1', 'BW1'])
        write_pictures(DATASETS.build(dict(cfg, joints=None)), tmp_path)
        info = ImagePose3DDataset(cfg, joints='lsp').get_data_info(0)
        assert info['img_path'] == str(tmp_path / 'S1/Image_Data/Box_1_(C1)/000086.jpg')
        with pytest.raises(
            FileNotFoundError, match=r"picture .*chunk0.C1.* does not exist.*ann_file='converted_15j'.*video_frames"
        ):
            ImagePose3DDataset(dict(cfg, ann_file='data_3d_humaneva15.npz'), joints='lsp')


class TestCommonJoints:
    """Every body set gives the 14 joints of evaluation, and the 17 of Human3.6M as far as it has them."""

    @pytest.fixture
    def sets(self, tmp_path, shared_data):
        """Each set in a given joint set, and the names of its own joints with their 3D places in mm."""
        write_dpw(tmp_path / 'dpw')
        write_mpi_train(tmp_path / 'mpi', frames=1)
        write_humaneva(tmp_path / 'eva', subjects=['S1'])
        write_surreal(tmp_path / 'surreal', count=1)
        h36m = shared_data / 'mmpose_samples' / 'h36m'
        configs = dict(
            three_dpw=dict(type='ThreeDPWDataset', data_root=str(tmp_path / 'dpw'), scored='all'),
            mpi_inf_3dhp=dict(
                type='MPIINF3DHPDataset',
                split='train',
                data_root=str(tmp_path / 'mpi'),
                subjects=['S1'],
                camera_ids=[0],
            ),
            humaneva=dict(type='HumanEvaDataset', data_root=str(tmp_path / 'eva'), ann_file='converted_15j'),
            h36m=dict(
                type='Human36mLiftingDataset',
                data_root=str(h36m),
                ann_file='test_h36m_body3d.npz',
                camera_file='cameras.pkl',
            ),
        )

        def build(name, joints):
            if name == 'surreal':
                cfg = dict(type='SURREALDataset', data_root=str(tmp_path / 'surreal'), split='val', shoulder='shoulder')
                entry = json.loads((tmp_path / 'surreal' / 'val' / 'run0.json').read_text())[0]
                own = Skeleton.from_metainfo('surreal_shoulder').joint_names
                return DATASETS.build(dict(cfg, joints=joints)), own, 1000 * np.array(entry['keypoint3d'])
            poses = DATASETS.build(dict(configs[name], joints=None))
            prefix = dict()
            if name == 'h36m':
                prefix = dict(data_prefix=dict(img=''))
            else:
                root = tmp_path / dict(three_dpw='dpw', mpi_inf_3dhp='mpi/images', humaneva='eva')[name]
                write_pictures(poses, root)
            return ImagePose3DDataset(poses, joints, **prefix), poses.skeleton.joint_names, 1000 * poses.poses[0]

        return build

    @pytest.mark.parametrize(
        'name, neck, head',
        [
            ('surreal', 'neck', 'head'),
            ('three_dpw', 'neck', 'head'),
            ('mpi_inf_3dhp', 'neck', 'head_top'),
            ('humaneva', 'thorax', 'head'),
            ('h36m', 'thorax', 'head'),
        ],
    )
    def test_fourteen(self, sets, name, neck, head):
        dataset, own, space = sets(name, 'lsp')
        info, names = dataset.get_data_info(0), Skeleton.from_metainfo(dataset.metainfo).joint_names
        assert info['keypoints_visible'].all() and len(names) == 14
        assert set(names) == {*LIMBS, 'neck', 'head_top'}
        for joint, place in zip(names, info['keypoints_3d_cam'][0]):
            theirs = dict(neck=neck, head_top=head).get(joint, joint)
            if theirs not in own:
                theirs = theirs.replace('ankle', 'foot')  # Human3.6M's word
            np.testing.assert_allclose(place, space[own.index(theirs)], rtol=1e-4, atol=1e-3)

    @pytest.mark.parametrize(
        'name, missing',
        [
            ('surreal', []),
            ('three_dpw', []),
            ('mpi_inf_3dhp', []),
            ('humaneva', ['spine', 'neck_base']),
            ('h36m', []),
        ],
    )
    def test_seventeen(self, sets, name, missing):
        dataset, own, space = sets(name, 'h36m')
        info, skeleton = dataset.get_data_info(0), Skeleton.from_metainfo('h36m')
        hidden = [joint for joint, seen in zip(skeleton.joint_names, info['keypoints_visible'][0]) if not seen]
        assert hidden == missing
        rows = list(skeleton.index_all(missing))
        assert not info['keypoints'][0, rows].any() and not info['keypoints_3d_cam'][0, rows].any()
        root = 'pelvis' if 'pelvis' in own else 'root'
        np.testing.assert_allclose(info['keypoints_3d_cam'][0, 0], space[own.index(root)], rtol=1e-4, atol=1e-3)


class TestFaults:
    def test_wrong_arguments(self, people, tmp_path):
        for kwargs, message in (
            (dict(every=0), 'every=0, expected a whole number'),
            (dict(crop=0), 'crop=0, expected a positive'),
            (dict(bbox='person'), "bbox='person', expected one of joints, image"),
            (dict(picture_format='{camera}/{frame}.jpg'), "other fields than name, take.*KeyError\\('camera'"),
            (dict(joints='hand21'), 'share no joint'),
        ):
            with pytest.raises(ValueError, match=message):
                ImagePose3DDataset(people, **kwargs)
        write_surreal(tmp_path / 'surreal', count=1)
        surreal = dict(type='SURREALDataset', data_root=str(tmp_path / 'surreal'), split='val', _scope_='mmposeda')
        with pytest.raises(TypeError, match='joints|got SURREALDataset, expected a data set for lifting'):
            ImagePose3DDataset(surreal | dict(joints='lsp'))

    def test_missing_pictures(self, people, tmp_path):
        (tmp_path / 'images' / 'A_walk.1_000001.jpg').unlink()
        dataset = ImagePose3DDataset(people, pipeline=[dict(type='LoadImage')])
        with pytest.raises(SampleError, match='sample 1 .*A_walk.1_000001.jpg'):
            dataset[1]
        (tmp_path / 'images' / 'A_walk.1_000000.jpg').unlink()
        with pytest.raises(FileNotFoundError, match=r'_000000.jpg does not exist. .*data_prefix.*picture_format'):
            ImagePose3DDataset(people)

    def test_sets_say_where_their_pictures_are_had(self, tmp_path):
        cfg = dict(type='ThreeDPWDataset', data_root=str(write_dpw(tmp_path)))
        with pytest.raises(FileNotFoundError, match='image_00000.jpg does not exist. Unpack imageFiles.zip'):
            ImagePose3DDataset(cfg)

    def test_pictures_of_another_size(self, people, tmp_path):
        cv2.imwrite(str(tmp_path / 'images' / 'A_walk.1_000000.jpg'), np.zeros((500, 500, 3), np.uint8))
        with pytest.raises(AnnotationError, match='of 500 x 500 pixels, but its labels are of 1000 x 1000'):
            ImagePose3DDataset(people)

    def test_pictures_outside_of_the_data_folder(self, people):
        people.sequence_names[1] = '../../{:06d}.jpg'
        with pytest.raises(AnnotationError, match='names a picture outside the data folder'):
            ImagePose3DDataset(people)
