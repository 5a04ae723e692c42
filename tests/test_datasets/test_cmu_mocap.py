import numpy as np
import pytest

from mmposeda.datasets.cmu_mocap import FOUR_CAMERAS, CMUMocapDataset, look_at
from mmposeda.datasets.mocap import JOINT_NAMES, read_pack
from mmposeda.datasets.mocap_files import find_motion
from mmposeda.registry import DATASETS

LEVEL = dict(azimuth=0, elevation=0, distance=5, focal=1.2)


@pytest.fixture(scope='module')
def packs(shared_data):
    folder = shared_data / 'cmu_mocap'
    if not (folder / 'cmu_h36m17_30fps.npz').is_file():
        pytest.skip(f'no motion packs in {folder}')
    return folder


def standing():
    """Someone who stands and faces +z, the left side at +x, 1.7 m tall; (17, 3) mm relative to the root."""
    at = dict(
        root=(0, 0), right_hip=(-100, 0), right_knee=(-110, -420), right_foot=(-110, -850), left_hip=(100, 0),
        left_knee=(110, -420), left_foot=(110, -850), spine=(0, 200), thorax=(0, 450), neck_base=(0, 520),
        head=(0, 700), left_shoulder=(180, 430), left_elbow=(300, 200), left_wrist=(350, 0),
        right_shoulder=(-180, 430), right_elbow=(-300, 200), right_wrist=(-350, 0),
    )  # fmt: skip
    return np.array([(*at[name], 0) for name in JOINT_NAMES], np.float32)


def write_pack(path, walk=(0, 0, 0), frames=9, names=('01_01', '02_01'), actions=('walk', 'run')):
    """Clips of someone standing upright, away from the origin, who is moved by ``walk`` mm a frame."""
    count = len(names)
    root = np.array([3000, 1000, -2000]) + np.arange(frames)[:, None] * np.array(walk)
    np.savez(
        path,
        poses=np.tile(standing(), (count * frames, 1, 1)),
        root=np.tile(root, (count, 1)).astype('f4'),
        clip_start=np.arange(count) * frames,
        clip_len=np.full(count, frames),
        clip_id=np.array(names),
        subject=np.array([name.split('_')[0] for name in names]),
        action=np.array(actions[:count]),
        fps=30,
        joint_names=np.array(JOINT_NAMES),
    )
    return str(path)


def build(path, **kwargs):
    return CMUMocapDataset(files=path, **{**dict(joints='h36m', cameras=[LEVEL]), **kwargs})


class TestViews:
    def test_a_level_front_view_in_numbers(self, tmp_path):
        dataset = build(write_pack(tmp_path / 'a.npz'))
        assert len(dataset) == 18 and dataset.frame.tolist() == [*range(9)] * 2
        pose, points = dataset.poses[0], dataset.keypoints[0]
        at = {name: number for number, name in enumerate(JOINT_NAMES)}
        np.testing.assert_allclose(pose[at['root']], [0, 0, 5], atol=1e-6)
        np.testing.assert_allclose(pose[at['right_hip']], [-0.1, 0, 5], atol=1e-6)
        np.testing.assert_allclose(pose[at['head']], [0, -0.7, 5], atol=1e-6)
        # 1200 pixels of focal length at 5 m: 240 pixels a metre about the middle of the picture
        np.testing.assert_allclose(points[at['right_hip']], [500 - 24, 500], atol=1e-3)
        np.testing.assert_allclose(points[at['left_wrist']], [500 + 84, 500], atol=1e-3)
        np.testing.assert_allclose(points[at['left_foot']], [500 + 26.4, 500 + 204], atol=1e-3)

    @pytest.mark.parametrize(
        'change, hip, head',
        [
            (dict(azimuth=180), (0.1, 0, 5), (0, -0.7, 5)),  # from behind the right is right
            (dict(azimuth=90), (0, 0, 5.1), (0, -0.7, 5)),  # from the left side the right hip is further away
            (dict(azimuth=-90), (0, 0, 4.9), (0, -0.7, 5)),
            (dict(elevation=90, distance=3), (-0.1, 0, 3), (0, 0, 2.3)),  # from above
            (dict(roll=90), (0, 0.1, 5), (-0.7, 0, 5)),  # a camera turned clockwise sees the world turned back
        ],
    )
    def test_other_views_in_numbers(self, tmp_path, change, hip, head):
        dataset = build(write_pack(tmp_path / 'a.npz'), cameras=[{**LEVEL, **change}])
        np.testing.assert_allclose(dataset.poses[0, JOINT_NAMES.index('right_hip')], hip, atol=1e-6)
        np.testing.assert_allclose(dataset.poses[0, JOINT_NAMES.index('head')], head, atol=1e-6)

    def test_views_are_rotations_that_keep_the_target_in_the_middle(self):
        rng = np.random.default_rng(0)
        for azimuth, elevation, distance, roll in rng.uniform([-360, -90, 1, -180], [360, 90, 9, 180], (20, 4)):
            target = rng.normal(0, 3, 3)
            turn, place = look_at(target, azimuth, elevation, distance, roll)
            np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(turn) == pytest.approx(1)
            np.testing.assert_allclose(turn @ (target - place), [0, 0, distance], atol=1e-9)
            assert place[1] - target[1] == pytest.approx(distance * np.sin(np.deg2rad(elevation)))

    def test_cameras_stand_still_at_the_middle_of_the_way(self, tmp_path):
        dataset = build(write_pack(tmp_path / 'a.npz', walk=(100, 0, 0)))
        np.testing.assert_allclose(dataset.poses[:9, 0, 0], (np.arange(9) - 4) * 0.1, atol=1e-6)

    def test_samples_that_leave_the_picture_are_left_out(self, tmp_path):
        wide = build(write_pack(tmp_path / 'a.npz', walk=(600, 0, 0)))
        # a half picture is 5 / 2.4 = 2.083 m wide at 5 m, wrists are 0.35 m from the root
        assert wide.frame.tolist() == [2, 3, 4, 5, 6] * 2
        near = build(write_pack(tmp_path / 'b.npz', walk=(0, 0, 900)), min_depth=3)
        assert near.frame.tolist() == [0, 1, 2, 3, 4, 5, 6] * 2  # 0.9 m nearer each time, from 8.6 m
        with pytest.raises(ValueError, match='all 18 views leave the picture'):
            build(write_pack(tmp_path / 'c.npz'), cameras=[{**LEVEL, 'focal': 9}])

    def test_the_picture_need_not_be_square(self, tmp_path):
        dataset = build(write_pack(tmp_path / 'a.npz'), cameras=[{**LEVEL, 'size': (1920, 1080)}])
        assert dataset.cameras[0].tolist() == [2304, 2304, 960, 540, 0, 0, 0, 0, 0, 1920, 1080]
        assert dataset[0]['inputs']['aspect'].item() == pytest.approx(1080 / 1920)
        # 0.86 of the width is 1.53 of the height, too long a lens for someone 1.55 m tall at 5 m
        with pytest.raises(ValueError, match='all 18 views'):
            build(write_pack(tmp_path / 'a.npz'), cameras=[{**LEVEL, 'size': (1920, 1080), 'focal': 2}])


class TestDrawnCameras:
    RANGES = dict(num=3, azimuth=(-180, 180), elevation=(-5, 40), distance=(3, 6), focal=(1.0, 1.5), seed=4)

    def test_each_clip_has_its_own_within_the_ranges(self, tmp_path):
        dataset = build(write_pack(tmp_path / 'a.npz'), cameras=self.RANGES)
        assert len(dataset.cameras) == 6 and len(set(dataset.cameras[:, 0])) == 6
        assert (dataset.cameras[:, 0] >= 1000).all() and (dataset.cameras[:, 0] <= 1500).all()
        distance = np.linalg.norm(dataset.poses[:, 0], axis=1)
        assert (distance > 3).all() and (distance < 6).all()

    def test_they_follow_from_seed_and_clip_alone(self, tmp_path):
        path = write_pack(tmp_path / 'a.npz')
        both, one = build(path, cameras=self.RANGES), build(path, cameras=self.RANGES, clips=['02_01'])
        np.testing.assert_array_equal(both.poses[both.subject == 1], one.poses)
        turned = dict(reversed(list(self.RANGES.items())))
        np.testing.assert_array_equal(build(path, cameras=turned).poses, both.poses)
        other = build(path, cameras={**self.RANGES, 'seed': 5})
        assert other.poses.shape != both.poses.shape or not np.allclose(other.poses, both.poses)

    @pytest.mark.parametrize(
        'cameras, message',
        [
            ([], 'cameras is empty'),
            ([dict(azimuth=0, elevation=0, distance=5)], r"lacks \['focal'\]"),
            ([{**LEVEL, 'height': 3}], r"unknown \['height'\]"),
            ([{**LEVEL, 'focal': 0.5}], 'focal above 0.5 widths'),
            ([{**LEVEL, 'focal': 0.8, 'size': (1080, 1920)}], 'focal above 0.88'),
            ([{**LEVEL, 'distance': 0}], 'distance and size must be above 0'),
            (dict(LEVEL, num=0), 'num=0'),
            (dict(LEVEL, focal=(0.3, 1)), 'focal above 0.5'),
        ],
    )
    def test_impossible_cameras_are_named(self, tmp_path, cameras, message):
        with pytest.raises(ValueError, match=message):
            build(write_pack(tmp_path / 'a.npz'), cameras=cameras)


class TestChoice:
    def test_clips_subjects_and_actions(self, tmp_path):
        path = write_pack(tmp_path / 'a.npz', names=('01_01', '02_01', '02_02'), actions=('walk', 'run', 'walk'))
        assert build(path, actions=['walk']).metainfo['subject_names'] == ('01', '02')
        assert len(build(path, actions=['walk'], subjects=['02'])) == len(build(path, clips=['02_02'])) == 9
        assert build(path).picture(9) == '02_run.02_01-0_000000.jpg'
        for kwargs in (dict(clips=['9']), dict(actions=['fly']), dict(subjects=['3'])):
            with pytest.raises(ValueError, match='expected a list of .*0[12].*|walk'):
                build(path, **kwargs)
        with pytest.raises(ValueError, match='no clip of clips=None, subjects=.*together'):
            build(path, subjects=['01'], actions=['run'])

    def test_missing_files_say_where_the_data_is(self, tmp_path):
        with pytest.raises(FileNotFoundError, match='gone.npz does not exist.*mocap.cs.cmu.edu'):
            CMUMocapDataset(data_root=str(tmp_path), files='gone.npz')
        with pytest.raises(ValueError, match='no .npz, .bvh or .amc'):
            CMUMocapDataset(data_root=str(tmp_path), files='')


class TestRealMotion:
    def test_walkers_seen_from_the_front_have_their_right_on_the_left(self, packs):
        pack = read_pack(packs / 'cmu_h36m17_30fps.npz')
        clip = pack.names.index('02_01')
        way = pack.root[pack.starts[clip] : pack.starts[clip] + pack.lengths[clip]]
        ahead = (way[-1] - way[0])[[0, 2]]
        assert np.linalg.norm(ahead) > 1000  # mm
        azimuth = float(np.rad2deg(np.arctan2(*ahead)))
        for side, sign in ((0, 1), (180, -1)):
            camera = {**LEVEL, 'azimuth': azimuth + side, 'distance': 8}
            dataset = CMUMocapDataset(data_root=str(packs), clips=['02_01'], cameras=[camera])
            points = dataset.keypoints
            index = dataset.skeleton.index
            for joint in ('hip', 'shoulder'):
                across = points[:, index(f'left_{joint}'), 0] - points[:, index(f'right_{joint}'), 0]
                assert (sign * across > 0).all()
            assert (points[:, index('head'), 1] < points[:, index('root'), 1]).all()
            assert (points[:, index('left_foot'), 1] > points[:, index('root'), 1]).all()
            nearer = dataset.poses[:, 0, 2]
            assert sign * (nearer[0] - nearer[-1]) > 1

    def test_poses_are_those_of_the_pack(self, packs):
        dataset = CMUMocapDataset(data_root=str(packs), actions=['dance'], joints='h36m')
        pack = read_pack(packs / 'cmu_h36m17_30fps.npz')
        clip = pack.names.index('05_06')
        for row in (0, len(dataset) // 2, len(dataset) - 1):
            theirs = pack.poses[pack.starts[clip] + dataset.frame[row]] / 1000
            apart = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (dataset.poses[row], theirs)]
            np.testing.assert_allclose(*apart, atol=1e-5)

    def test_the_default_cameras_see_nearly_all_of_it(self, packs):
        dataset = DATASETS.build(dict(type='CMUMocapDataset', data_root=str(packs), stride=20, actions=['walk', 'run']))
        assert dataset.metainfo['action_names'] == ('run', 'walk') and len(dataset) > 0.9 * 4 * (13675 + 252) / 20
        assert np.abs(dataset.__getitems__(range(len(dataset)))['inputs']['keypoints'].numpy()).max() <= 1
        assert len(FOUR_CAMERAS) == 4

    def test_acclaim_files_and_folders(self, packs, tmp_path):
        pair = [('raw/01.asf', 'raw/01_01_first600.amc')]
        dataset = CMUMocapDataset(data_root=str(packs), files=pair, cameras=[{**LEVEL, 'distance': 8}])
        assert dataset.metainfo['subject_names'] == ('01',) and dataset.metainfo['action_names'] == ('unknown',)
        assert len(dataset) == 150  # 5 seconds
        (tmp_path / 'subjects' / '01').mkdir(parents=True)
        for name in pair[0]:
            (tmp_path / 'subjects' / '01' / name[4:]).symlink_to(packs / name)
        again = CMUMocapDataset(data_root=str(tmp_path), files='subjects', cameras=[{**LEVEL, 'distance': 8}])
        np.testing.assert_array_equal(again.poses, dataset.poses)
        (tmp_path / 'subjects' / '01' / '01.asf').unlink()
        with pytest.raises(ValueError, match='no ASF file 01.asf beside it'):
            find_motion(tmp_path)

    def test_bvh_files(self, packs):
        pytest.importorskip('pybvh', reason='reading BVH needs the extra synth (pybvh)')
        dataset = CMUMocapDataset(data_root=str(packs), files='raw/02_01.bvh', cameras=[{**LEVEL, 'distance': 8}])
        pack = CMUMocapDataset(data_root=str(packs), clips=['02_01'], cameras=[{**LEVEL, 'distance': 8}])
        count = min(len(dataset), len(pack))
        assert count > 50
        for part in (dataset, pack):
            part.poses -= part.poses[:, :1]
        np.testing.assert_allclose(dataset.poses[:count], pack.poses[:count], atol=2e-4)
