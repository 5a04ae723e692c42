import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from miniatures import write_h3d, write_rhd

CONFIG = Path(__file__).resolve().parents[2] / 'configs/regda/rhd2h3d/regda_res101_1xb32-50k_rhd2h3d-256x256.py'


@pytest.fixture
def check(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tool('check_data').main


def test_says_and_draws_what_the_loaders_hold(check, tmp_path, capsys):
    write_rhd(tmp_path / 'data' / 'RHD_published_v2')
    write_h3d(tmp_path / 'data' / 'H3D_crop', count=30)
    check([str(CONFIG), '--samples', '3', '--out', 'sheet/data.png'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('train 0: RHDHandsDataset, 48 samples, labelled, 21 joints of hand21; read in ')
    assert lines[1].startswith('train 1: Hand3DStudioDataset, 16 samples, without labels, 21 joints')
    assert lines[2].startswith('val 0: Hand3DStudioDataset, 4 samples, labelled')
    assert lines[3] == 'samples drawn in sheet/data.png: look at it' and len(lines) == 4
    sheet = cv2.imread('sheet/data.png')
    assert sheet.shape == (18 + 3 * 256, 3 * 256, 3)


def test_joints_are_drawn_where_they_are(tool, tmp_path):
    root = write_h3d(tmp_path / 'H3D_crop', count=10)
    module = tool('check_data')
    steps = ['LoadImage', 'GetBBoxCenterScale', 'TopdownAffine', 'PackPoseInputs']
    more = dict(GetBBoxCenterScale=dict(padding=1.0), TopdownAffine=dict(input_size=(100, 100)))
    cfg = dict(type='Hand3DStudioDataset', data_root=str(root), split='all', objects='all')
    cfg['pipeline'] = [dict(type=step, **more.get(step, {})) for step in steps]
    text, pictures = module.look(cfg, 2)
    assert '10 samples' in text and len(pictures) == 2 and 'pack_transformed' not in cfg['pipeline'][-1]
    plain = module.look(dict(type='UnlabeledDataset', dataset=cfg), 2)[1]
    raw = json.loads((root / 'annotation.json').read_text())
    x, y = (2 * np.array(raw[0]['keypoint2d'][4])).round().astype(int)
    changed = np.abs(pictures[0].astype(int) - plain[0]).sum(-1)
    assert changed[y, x] > 0 and changed[0, 0] == 0


def test_every_missing_set_is_named_with_where_to_get_it(check, tmp_path, capsys):
    write_h3d(tmp_path / 'data' / 'H3D_crop', count=30)
    with pytest.raises(SystemExit, match='cannot be run as it is, see train 0$'):
        check([str(CONFIG), '--samples', '1'])
    lines = capsys.readouterr().out.splitlines()
    assert 'anno_training.pickle does not exist. RHD is free for research' in lines[0]
    assert lines[1].startswith('train 1: Hand3DStudioDataset, 16 samples')
    assert Path('work_dirs/regda_res101_1xb32-50k_rhd2h3d-256x256/data.jpg').is_file()


def test_flags_are_checked(check, capsys):
    with pytest.raises(SystemExit):
        check([str(CONFIG), '--samples', '0'])
    assert '--samples must be at least 1, got 0' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='there is no stage'):
        check([str(CONFIG), '--stage', 'style'])
