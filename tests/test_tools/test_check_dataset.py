import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from fault_runs import config, faces, hands, write_config, write_run
from miniatures import write_h3d, write_mvhand, write_rhd
from planted_faults import FAULTS

from mmposeda.engine.run_data import RunPart

CONFIG = Path(__file__).resolve().parents[2] / 'configs/regda/rhd2h3d/regda_res101_1xb32-50k_rhd2h3d-256x256.py'


@pytest.fixture
def check(tool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tool('check_dataset').main


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp('run')
    write_run(root)
    return root


@pytest.fixture
def run(check, written, tmp_path, capsys):
    """Return a function that checks a config and returns its blocks, and the last line."""
    shutil.copytree(written, tmp_path / 'data')

    def checked(cfg, *flags):
        try:
            check([write_config(cfg), '--samples', '2', *flags])
            end = None
        except SystemExit as stop:
            end = str(stop)
        blocks, name = {}, None
        lines = [line for line in capsys.readouterr().out.splitlines() if ' - mmengine - ' not in line]
        for line in lines:
            if not line.startswith('    '):
                name = line.partition(': ')[0].partition(' (')[0].rstrip(':')
                blocks.setdefault(name, [])
            blocks[name].append(line)
        return blocks, lines[-1] if end is None else end

    return checked


@pytest.mark.parametrize('of', [config, faces, hands])
def test_a_run_without_a_fault_passes(run, of):
    blocks, end = run(of())
    assert end == 'config.py: 0 errors and 0 warnings'
    assert [len(lines) for lines in blocks.values()] == [1] * len(blocks)
    assert '24 pictures there, 24 decoded, 24 labels read' in blocks['train 0'][0]


@pytest.mark.parametrize('name', FAULTS)
def test_a_planted_fault_is_named(run, name):
    fault = FAULTS[name]
    cfg = fault.config()
    fault.plant(cfg)
    blocks, end = run(cfg)
    found = [line for line in blocks.get(fault.block, []) if f'{fault.level}: ' in line]
    assert any(all(text in line for text in fault.says) for line in found), blocks
    assert end.startswith('config.py: ') and end.endswith('it cannot be run as it is') == ('0 errors' not in end)
    assert ('0 errors' not in end) >= (fault.level == 'error')


def test_one_broken_set_does_not_hide_the_others(run):
    cfg = config()
    for name in ('missing_root', 'empty_picture', 'nobody', 'missing_weights'):
        FAULTS[name].plant(cfg)
    blocks, end = run(cfg)
    assert list(blocks) == ['train 0', 'train 1', 'val 0', 'config', 'samples drawn in work_dirs/config/data.jpg']
    assert end == 'config.py: 3 errors and 1 warning; it cannot be run as it is'


def test_stages_are_checked_together_or_alone(run):
    cfg = config()
    pretrain = dict(name='pretrain', train_dataloader=dict(sampler=dict(quotas=[8, 0])))
    cfg['stages'] = [pretrain, dict(name='adapt', load_from='{pretrain}', train_dataloader=dict(batch_size=9))]
    blocks, end = run(cfg)
    lines = [lines[0] for lines in blocks.values()]
    assert lines[0].startswith('train 0 (pretrain, adapt): RenderedDataset, 24 samples, labelled')
    assert blocks['adapt'][1].startswith('    error: batch_size is 9, the quotas [4, 4] add up to 8')
    assert '1 error and 0 warnings' in end
    blocks, end = run(cfg, '--stage', 'pretrain')
    assert '(pretrain): ' in blocks['train 0'][0] and end == 'config.py: 0 errors and 0 warnings'


def test_every_picture_is_decoded_if_asked_for(run, monkeypatch):
    monkeypatch.setattr('mmposeda.datasets.faults.dataset.DECODED', 2)
    FAULTS['truncated_picture'].plant(None)
    blocks, end = run(hands())
    assert '24 pictures there, 2 decoded' in blocks['train 0'][0] and '0 errors' in end
    blocks, _ = run(config(), '--samples', '1')
    assert not any('cut short' in line for line in blocks['train 0'])
    blocks, _ = run(config(), '--samples', '1', '--all')
    assert any('cut short: data/source/images/000007.jpg' in line for line in blocks['train 0'])


def test_says_and_draws_what_the_loaders_hold(check, tmp_path, capsys):
    write_rhd(tmp_path / 'data' / 'RHD_published_v2')
    write_h3d(tmp_path / 'data' / 'H3D_crop', count=30)
    flags = ['--samples', '3', '--out', 'sheet/data.png', '--cfg-options']
    check([str(CONFIG), *flags, 'model.estimator.backbone.init_cfg=None'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        'train 0 (pretrain, adapt): RHDHandsDataset, 48 samples, labelled, 21 joints of hand21; '
    )
    assert '24 pictures there, 24 decoded, 48 labels read' in lines[0]
    assert lines[1].startswith('train 1 (pretrain, adapt): Hand3DStudioDataset, 16 samples, without labels, 21 joints')
    assert [line for line in lines if line.startswith('val 0')][0].endswith('4 labels read')
    assert lines[-2] == 'samples drawn in sheet/data.png: look at it'
    sheet = cv2.imread('sheet/data.png')
    assert sheet.shape == (18 + 3 * 256, 3 * 256, 3)


def look(module, cfg, samples):
    part = RunPart(cfg, [('', 'train 0')], [[]])
    part.build(None)
    return module.look(part, samples)


def test_joints_are_drawn_where_they_are(tool, tmp_path):
    root = write_h3d(tmp_path / 'H3D_crop', count=10)
    module = tool('check_dataset')
    steps = ['LoadImage', 'GetBBoxCenterScale', 'TopdownAffine', 'PackPoseInputs']
    more = dict(GetBBoxCenterScale=dict(padding=1.0), TopdownAffine=dict(input_size=(100, 100)))
    cfg = dict(type='Hand3DStudioDataset', data_root=str(root), split='all', objects='all')
    cfg['pipeline'] = [dict(type=step, **more.get(step, {})) for step in steps]
    text, pictures = look(module, cfg, 2)
    assert '10 samples' in text and len(pictures) == 2 and 'pack_transformed' not in cfg['pipeline'][-1]
    plain = look(module, dict(type='UnlabeledDataset', dataset=cfg), 2)[1]
    raw = json.loads((root / 'annotation.json').read_text())
    x, y = (2 * np.array(raw[0]['keypoint2d'][4])).round().astype(int)
    changed = np.abs(pictures[0].astype(int) - plain[0]).sum(-1)
    assert changed[y, x] > 0 and changed[0, 0] == 0


def test_pairs_are_drawn_side_by_side(tool, tmp_path):
    module = tool('check_dataset')
    inner = dict(type='MVHandDataset', data_root=str(write_mvhand(tmp_path, {'a': 7})))
    steps = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=(64, 48))]
    inner['pipeline'] = [*steps, dict(type='PackPoseInputs')]
    cfg = dict(type='PairSequenceDataset', dataset=inner, sequence='fields')
    text, pictures = look(module, cfg, 3)
    assert text.startswith('MVHandDataset, 16 pairs, without labels, 21 joints of hand21')
    assert [picture.shape for picture in pictures] == [(48, 128, 3)] * 3
    module.save({'pairs': pictures, 'others': pictures[:1]}, str(tmp_path / 'sheet.png'))
    assert cv2.imread(str(tmp_path / 'sheet.png')).shape[1] == 256


def test_every_missing_set_is_named_with_where_to_get_it(check, tmp_path, capsys):
    write_h3d(tmp_path / 'data' / 'H3D_crop', count=30)
    with pytest.raises(SystemExit, match='it cannot be run as it is$'):
        check([str(CONFIG), '--samples', '1'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'train 0 (pretrain, adapt): RHDHandsDataset'
    assert 'anno_training.pickle does not exist. RHD is free for research' in lines[1]
    assert lines[2].startswith('train 1 (pretrain, adapt): Hand3DStudioDataset, 16 samples')
    start = '    error: model.estimator.backbone.init_cfg.checkpoint: checkpoint data/weights/'
    assert any(line.startswith(start) for line in lines)
    assert Path('work_dirs/regda_res101_1xb32-50k_rhd2h3d-256x256/data.jpg').is_file()


def test_flags_are_checked(check, capsys):
    with pytest.raises(SystemExit):
        check([str(CONFIG), '--samples', '0'])
    assert '--samples must be at least 1, got 0' in capsys.readouterr().err
    with pytest.raises(SystemExit, match='there is no stage'):
        check([str(CONFIG), '--stage', 'style'])


def test_poses_for_lifting_are_counted_and_drawn(check, tmp_path, capsys, shared_data):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'cmu_mocap').symlink_to(shared_data / 'cmu_mocap')
    base = CONFIG.parents[2] / '_base_/datasets/cmu_mocap.py'
    (tmp_path / 'config.py').write_text(f"""
_base_ = [{str(base)!r}]
train_dataloader = dict(dataset=dict(type='PoseStreams', dataset=_base_.cmu_test_run, real_2d=_base_.cmu_test_dance))
val_dataloader = dict(dataset=dict(
    type='LiftingSets', datasets=dict(dance=_base_.cmu_test_dance, none=None, acrobatics=_base_.cmu_test_acrobatics)
))
test_dataloader = dict(dataset=_base_.cmu_test_run)
""")
    check(['config.py', '--samples', '2', '--out', 'data.png'])
    lines = [line for line in capsys.readouterr().out.splitlines() if 'left out' not in line]
    start = 'train 0: CMUMocapDataset, 866 2D-3D poses, 16 joints of body16_3d, 1 subjects, 1 actions, 24 takes, 2.7'
    assert lines[0].startswith(start) and ' m away; read in ' in lines[0]
    assert [line.split(':')[0] for line in lines[:3]] == ['train 0', 'train 1', 'val 1'] and len(lines) == 5
    assert lines[4] == 'config.py: 0 errors and 0 warnings'
    assert cv2.imread('data.png').shape[1] == 3 * 512


def test_the_side_view_has_the_camera_on_its_left(tool, tmp_path):
    """Poses one of whose wrists alone is far away are drawn with it on the right."""
    module = tool('check_dataset')

    class Poses:
        cameras, camera = np.array([[0] * 9 + [1920, 1080]]), np.zeros(1, int)
        visible, keypoints = None, np.zeros((1, 16, 2)) + [960, 540]
        poses = np.zeros((1, 16, 3)) + [0, 0, 4]

    skeleton = module.Skeleton.from_metainfo('body16_3d')
    Poses.poses[0, skeleton.index('right_wrist'), 2] += 1
    picture = module.draw_pair(Poses, 0, skeleton)
    assert picture.shape == (256, 512, 3) and (picture[200, :256] == 128).all()
    red = (picture[:, 256:, 0] > 200) & (picture[:, 256:, 2] < 128)
    assert np.argwhere(red)[:, 1].max() > 230
    assert (picture[72, 128] != 255).any()  # all joints lie in the middle of the picture
