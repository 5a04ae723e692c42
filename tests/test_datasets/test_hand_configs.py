import numpy as np
import pytest
from hand_samples import random_hand
from mmengine.config import Config
from test_freihand import write_freihand
from test_ganerated import write_ganerated
from test_panoptic_hand import person, write_sequence
from test_stb import write_stb

from mmposeda.registry import DATASETS


def write_panoptic(root):
    rng = np.random.default_rng(0)
    for name in ('171204_pose1', '171204_pose3'):
        write_sequence(root, name, {0: [person(0, random_hand(rng, (0, 0, 0), 8))]})


WRITE = dict(
    stb=(write_stb, 'stb', (30, 6)),
    freihand=(write_freihand, 'FreiHAND_pub_v2', (12, 3)),
    panoptic_hand=(write_panoptic, 'panoptic', (2, 2)),
    ganerated=(write_ganerated, 'GANeratedHands_Release', (6, 4)),
)


@pytest.mark.parametrize('name', WRITE)
def test_train_and_test_are_different_pictures_of_the_same_joints(name, tmp_path, pytestconfig, monkeypatch):
    write, folder, lengths = WRITE[name]
    write(tmp_path / 'data' / folder)
    monkeypatch.chdir(tmp_path)
    config = Config.fromfile(pytestconfig.rootpath / 'configs' / '_base_' / 'datasets' / f'{name}.py')
    built = [DATASETS.build(config[f'{name}_{part}']) for part in ('train', 'test')]
    assert tuple(map(len, built)) == lengths
    assert [d.test_mode for d in built] == [False, True]
    train, test = ({d.get_data_info(i)['img_path'] for i in range(len(d))} for d in built)
    assert not train & test
    assert {d.metainfo['dataset_name'] for d in built} == {'hand21'}
