"""The on-the-fly data set of hands, and the tool's files in MMPose's own loaders."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from figure_checks import check_workers

pytest.importorskip('anny', reason='rendered hands need the extra synth (anny)')
pytest.importorskip('warp', reason='rendered hands need the extra synth (warp-lang)')

from mmposeda.registry import DATASETS  # noqa: E402

CFG = dict(type='SyntheticHandDataset', length=6, size=64, seed=4, look='clean')


def test_samples_run_through_mmposes_pipeline(top_down_pipeline):
    codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
    data = DATASETS.build(dict(CFG, pipeline=top_down_pipeline(codec=codec, random=True)))
    packed = data[2]
    assert packed['inputs'].shape == (3, 64, 64)
    assert packed['data_samples'].gt_fields.heatmaps.shape == (21, 16, 16)
    info = data.get_data_info(2)
    assert info['keypoints'].shape == (1, 21, 2) and info['keypoints_visible'].shape == (1, 21)
    assert info['keypoints_3d_cam'].shape == (1, 21, 3) and info['keypoints_seen'].shape == (1, 21)
    assert info['hand_mask'].shape == info['part_map'].shape == (64, 64) and isinstance(info['gesture'], str)
    np.testing.assert_array_equal(info['bbox'], [[0, 0, 64, 64]])
    tight = DATASETS.build(dict(CFG, pipeline=[], box='hand')).get_data_info(2)['bbox'][0]
    assert tight[0] <= info['keypoints'][0, :, 0].min() and tight[3] >= info['keypoints'][0, :, 1].max()


def test_hands_are_mirrored_to_one_side():
    pipeline = [dict(type='MirrorHands', side='left')]
    data, own = (DATASETS.build(dict(CFG, pipeline=p, **kw)) for p, kw in ((pipeline, {}), ([], dict(side='left'))))
    raw = DATASETS.build(dict(CFG, pipeline=[]))
    assert {raw[i]['hand_side'] for i in range(6)} == {'left', 'right'}
    for i in range(6):
        assert data[i]['hand_side'] == own[i]['hand_side'] == 'left'
        np.testing.assert_allclose(data[i]['keypoints'], own[i]['keypoints'], atol=1e-3)


@pytest.mark.parametrize('sequence', [0, 4])
def test_workers_do_not_change_the_pictures(sequence):
    check_workers(dict(CFG, sequence=sequence))


def test_sequences_are_told_without_rendering():
    data = DATASETS.build(dict(CFG, pipeline=[], first=3, sequence=4))
    entries = data.load_data_list()
    assert [(e['sequence_id'], e['frame']) for e in entries] == [(0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0)]
    single = DATASETS.build(dict(CFG, pipeline=[])).load_data_list()
    assert [(e['sequence_id'], e['frame']) for e in single] == [(i, 0) for i in range(6)]


def test_bad_configs_fail_when_built():
    for change, message in (
        (dict(length=0), 'length'),
        (dict(box='person'), "box must be 'image' or 'hand', got 'person'"),
        (dict(joints='lsp'), 'unknown joint set'),
        (dict(side='up'), 'side must be'),
        (dict(metainfo=dict(from_file='configs/_base_/datasets/coco.py')), '21 joints'),
    ):
        with pytest.raises(ValueError, match=message):
            DATASETS.build(dict(CFG, **change))


@pytest.fixture(scope='module')
def tool():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))
    import render_people

    return render_people


@pytest.fixture(scope='module', params=['hand21', 'rhd2d'])
def written(tmp_path_factory, tool, request):
    """Six pictures, in clips of three, written by the tool, in one order of the joints."""
    out = tmp_path_factory.mktemp('hands')
    args = ['--what', 'hand', '--joints', request.param, '--out', str(out), '--num', '6', '--val', '2', '--size', '64']
    tool.main([*args, '--look', 'clean', '--sequence', '3', '--masks', '--sheet'])
    return out, request.param


def test_written_files_read_in_mmposes_own_loaders(written):
    from mmpose.registry import DATASETS as MMPOSE

    out, joints = written
    kind = {'hand21': 'OneHand10KDataset', 'rhd2d': 'Rhd2DDataset'}[joints]
    files = dict(data_root=str(out), ann_file='annotations/hands.json', data_prefix=dict(img='images/'))
    data = MMPOSE.build(dict(type=kind, **files, pipeline=[dict(type='LoadImage')]))
    assert len(data) == 6
    content = json.loads((out / 'annotations' / 'hands.json').read_text())
    (category,) = content['categories']
    assert category['name'] == 'hand'
    names = [data.metainfo['keypoint_id2name'][k] for k in range(21)]
    assert category['keypoints'] == names
    for i, entry in enumerate(content['annotations']):
        sample = data[i]
        assert sample['img'].shape == (64, 64, 3)
        v = np.reshape(entry['keypoints'], (21, 3))[:, 2]
        np.testing.assert_array_equal(sample['keypoints_visible'][0], v > 0)
        flat = np.array(entry['joints_3d'])
        flat = flat[:, :2] / flat[:, 2:] * entry['camera']['f'] + entry['camera']['c']
        np.testing.assert_allclose(flat[v > 0], sample['keypoints'][0][v > 0], atol=0.02)
        assert (entry['sequence_id'], entry['frame']) == divmod(i, 3) and entry['subject']['side'] in ('left', 'right')
    assert len(json.loads((out / 'annotations' / 'val.json').read_text())['images']) == 2
    assert (out / 'sheet_joints.png').exists() and len(list(out.glob('masks/*/*.png'))) == 6


def test_options_of_the_other_kind_are_refused(tool, tmp_path, capsys):
    for args, message in (
        (['--what', 'hand', '--mocap-share', '0.3'], '--mocap-share is for people only'),
        (['--side', 'left'], '--side is for hands only'),
        (['--what', 'foot'], 'invalid choice'),
    ):
        with pytest.raises(SystemExit):
            tool.main([*args, '--out', str(tmp_path)])
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
