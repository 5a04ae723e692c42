# CMU's motion capture in data/cmu_mocap (docs/datasets.md) as 2D-3D poses before virtual cameras, with the 16 joints of
# the lifting literature. Training sees people walk, from four low cameras as Human3.6M's. The tests show others who
# run, dance, play and tumble, four cameras a clip: of other heights, distances and focal lengths, from all around.
# Loaders have collate_fn=dict(type='take_batch'): these data sets give whole batches.
cmu_low_cameras = [
    dict(azimuth=azimuth, elevation=10, distance=5.2, focal=1.145, size=(1000, 1000)) for azimuth in (45, 135, 225, 315)
]
cmu_other_cameras = dict(
    num=4, azimuth=(-180, 180), elevation=(-10, 40), distance=(3.5, 6), focal=(0.9, 1.6), size=(1000, 1000), seed=0
)
cmu = dict(type='CMUMocapDataset', data_root='data/cmu_mocap/', files=['cmu_h36m17_30fps.npz'])
cmu_walk = dict(**cmu, actions=['walk'], cameras=cmu_low_cameras)
cmu_tests = dict(**cmu, cameras=cmu_other_cameras, domain='target', test_mode=True)

# 25 people; the shared skeleton of the clips without a subject is kept for the tests
cmu_train = dict(
    **cmu_walk,
    subjects=[
        *('02', '06', '08', '10', '12', '26', '27', '29', '32', '35', '38', '39', '43', '45', '46', '47', '49', '55'),
        *('113', '114', '133', '136', '141', '143', '144'),
    ],
)
# two others who walk, before the same cameras: settings are chosen here
cmu_val = dict(**cmu_walk, subjects=['07', '16'], test_mode=True)

cmu_test_run = dict(**cmu_tests, actions=['run'])
cmu_test_dance = dict(**cmu_tests, actions=['dance'])
cmu_test_sport = dict(**cmu_tests, actions=['basketball', 'soccer', 'jump'])
# one stylised skeleton, of the repository DeepMimic
cmu_test_acrobatics = dict(
    type='CMUMocapDataset',
    data_root='data/cmu_mocap/',
    files=['deepmimic_h36m17_30fps.npz'],
    actions=[
        *('backflip', 'cartwheel', 'sideflip', 'roll', 'spin', 'spinkick', 'kick', 'punch', 'jump'),
        *('crawl', 'getup_facedown', 'getup_faceup'),
    ],
    cameras=cmu_other_cameras,
    domain='target',
    test_mode=True,
)
