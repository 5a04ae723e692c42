import numpy as np
import pytest
from hand_samples import check_hand, patches, random_hand, skeletons_agree

from mmposeda.datasets import GANeratedDataset
from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.images import SampleError
from mmposeda.registry import DATASETS

FOLDERS = ['noObject/0001', 'noObject/0002', 'noObject/0003', 'withObject/0001/1', 'withObject/0002/1']


def write_ganerated(root, frames=2, folders=FOLDERS):
    """Hands before the camera of 640 x 480, cut out around their middle. Returns joints in mm by stem."""
    rng, hands = np.random.default_rng(0), {}
    for folder in folders:
        for n in range(1, frames + 1):
            stem = root / 'data' / folder / f'{n:04d}'
            patches(stem.parent / f'{n:04d}_color_composed.png', (256, 256))
            hand = random_hand(rng, rng.uniform([-80, -60, 450], [80, 60, 550]), 50)
            pixels = hand[:, :2] / hand[:, 2:] * 617.173 + [315.453, 242.259]
            low, side = pixels.min(0) - 10, np.ptp(pixels, axis=0).max() + 20
            crop = [*low.round(), 256 / side]
            numbers = dict(joint_pos_global=hand, joint2D=(pixels - crop[:2]) * crop[2], crop_params=crop)
            for name, values in numbers.items():
                stem.parent.joinpath(f'{n:04d}_{name}.txt').write_text(
                    ','.join(f'{value:.5f}' for value in np.ravel(values)) + '\n'
                )
            hands[str(stem)] = hand
    return hands


@pytest.fixture
def root(tmp_path):
    write_ganerated(tmp_path)
    return tmp_path


def infos(root, **kwargs):
    dataset = GANeratedDataset(data_root=str(root), **kwargs)
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_labels_are_those_of_the_crop(tmp_path):
    hands = write_ganerated(tmp_path)
    found = infos(tmp_path)
    assert [i['img_path'].replace('_color_composed.png', '') for i in found] == list(hands)
    assert [i['id'] for i in found] == list(range(10))
    for info, hand in zip(found, hands.values()):
        check_hand(info, (256, 256))
        np.testing.assert_allclose(info['keypoints_3d_cam'][0], hand, atol=1e-2)
        assert info['hand_side'] == 'left' and info['bbox'].tolist() == [[0, 0, 256, 256]]
        assert info['num_keypoints'] == 21 and info['camera']['f'].dtype == np.float32
    assert skeletons_agree(GANeratedDataset(data_root=str(tmp_path)).metainfo)


def test_folders_split_train_from_test(root):
    def folders(**kwargs):
        return sorted({i['img_path'][len(str(root)) + 6 : -24] for i in infos(root, **kwargs)})

    assert folders() == folders(split='all', objects='all') == FOLDERS
    assert folders(split='train') == ['noObject/0001', 'noObject/0002', 'withObject/0001/1']
    assert folders(split='test') == ['noObject/0003', 'withObject/0002/1']
    assert folders(objects='without') == FOLDERS[:3] and folders(objects='with', split='test') == FOLDERS[-1:]
    assert folders(objects='without', split='test', test_share=0.5) == ['noObject/0002', 'noObject/0003']


def test_labels_are_read_with_their_sample_and_never_without(root, top_down_pipeline):
    for path in root.glob('data/**/*.txt'):
        path.write_text('nonsense')
    inner = dict(type='GANeratedDataset', data_root=str(root), pipeline=top_down_pipeline())
    plain = DATASETS.build(dict(type='UnlabeledDataset', dataset=inner))
    assert len(plain) == 10 and 'keypoints' not in plain[3]['data_samples'].gt_instances
    labelled = DATASETS.build(inner)
    with pytest.raises(AnnotationError, match='0001_joint2D.txt holds 1 values, but GANerated has 42'):
        labelled[0]


def test_a_labelled_sample_goes_through_a_pipeline(root, top_down_pipeline):
    codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1.5)
    dataset = GANeratedDataset(data_root=str(root), pipeline=top_down_pipeline(codec=codec))
    assert dataset[9]['data_samples'].gt_fields.heatmaps.shape == (21, 16, 16)


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('joint2D', '1,2,3', 'holds 3 values, but GANerated has 42'),
        ('joint2D', ','.join(['1'] * 41 + ['x']), 'holds no numbers'),
        ('joint2D', ','.join(['nan'] * 42), 'NaN, infinite or absurd'),
        ('joint_pos_global', ','.join(['1'] * 62), 'holds 62 values, but GANerated has 63'),
        ('joint_pos_global', ','.join(['-1'] * 63), 'joint behind the camera'),
        ('crop_params', '1,2,0', 'a crop without magnification'),
        ('crop_params', '', 'holds 0 values'),
    ],
)
def test_bad_label_files_are_named(root, name, content, message):
    (root / 'data' / 'noObject' / '0001' / f'0001_{name}.txt').write_text(content)
    with pytest.raises(AnnotationError, match=f'noObject/0001/0001_.*{message}'):
        infos(root)


def test_missing_files_and_wrong_arguments(root, tmp_path_factory):
    (root / 'data' / 'noObject' / '0001' / '0002_joint2D.txt').unlink()
    dataset = GANeratedDataset(data_root=str(root), pipeline=[dict(type='LoadImage')])
    with pytest.raises(FileNotFoundError, match='label file .*0002_joint2D.txt does not exist. GANerated'):
        dataset[1]
    picture = root / 'data' / 'noObject' / '0002' / '0001_color_composed.png'
    picture.write_bytes(b'junk')
    with pytest.raises(SampleError, match='0002/0001_color_composed.png'):
        dataset[2]
    with pytest.raises(FileNotFoundError, match=r'no \*_color_composed.png below .*noObject. GANerated'):
        GANeratedDataset(data_root=str(tmp_path_factory.mktemp('empty')))
    for kwargs, message in (
        (dict(split='val'), "split='val', expected one of all, train, test"),
        (dict(objects='none'), "objects='none', expected one of without, with, all"),
        (dict(test_share=0), 'test_share=0, expected a share'),
        (dict(split='train', objects='with', test_share=0.9), 'no folder of .* is left'),
    ):
        with pytest.raises(ValueError, match=message):
            infos(root, **kwargs)
