"""The on-the-fly data set, and the tool's files in MMPose's own loader."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from figure_checks import check_workers

pytest.importorskip('anny', reason='rendered people need the extra synth (anny)')
pytest.importorskip('warp', reason='rendered people need the extra synth (warp-lang)')

from mmposeda.registry import DATASETS  # noqa: E402

CFG = dict(type='SyntheticBodyDataset', length=6, size=64, seed=4, look='clean')


def test_samples_run_through_mmposes_pipeline(top_down_pipeline):
    codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1)
    data = DATASETS.build(dict(CFG, pipeline=top_down_pipeline(codec=codec)))
    packed = data[2]
    assert packed['inputs'].shape == (3, 64, 64)
    assert packed['data_samples'].gt_fields.heatmaps.shape == (14, 16, 16)
    info = data.get_data_info(2)
    assert info['keypoints'].shape == (1, 14, 2) and info['keypoints_visible'].shape == (1, 14)
    assert info['keypoints_3d_cam'].shape == (1, 14, 3)
    np.testing.assert_array_equal(info['bbox'], [[0, 0, 64, 64]])


def test_workers_do_not_change_the_pictures():
    check_workers(CFG)


def test_bad_configs_fail_when_built():
    for change, message in (
        (dict(length=0), 'length'),
        (dict(box='hull'), 'box'),
        (dict(joints='coco'), 'unknown joint set'),
        (dict(metainfo=dict(from_file='configs/_base_/datasets/coco.py')), '14 joints'),
    ):
        with pytest.raises(ValueError, match=message):
            DATASETS.build(dict(CFG, **change))


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """Eight pictures written by the tool."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tools'))
    import render_people

    out = tmp_path_factory.mktemp('people')
    args = ['--out', str(out), '--num', '8', '--val', '2', '--size', '64', '--look', 'clean', '--masks', '--sheet']
    render_people.main(args)
    return out, args, render_people


def test_written_files_read_in_mmposes_own_loader(written):
    from mmpose.registry import DATASETS as MMPOSE

    from mmposeda.structures.skeleton import metainfo_path

    out, _, _ = written
    data = MMPOSE.build(
        dict(
            type='BaseCocoStyleDataset',
            data_root=str(out),
            ann_file='annotations/people.json',
            data_prefix=dict(img='images/'),
            metainfo=dict(from_file=metainfo_path('lsp')),
            pipeline=[dict(type='LoadImage')],
        )
    )
    assert len(data) == 8
    raw = json.loads((out / 'annotations' / 'people.json').read_text())['annotations']
    for i, entry in enumerate(raw):
        sample = data[i]
        assert sample['img'].shape == (64, 64, 3)
        v = np.reshape(entry['keypoints'], (14, 3))[:, 2]
        assert set(v) <= {0, 1, 2} and entry['num_keypoints'] == (v > 0).sum()
        np.testing.assert_array_equal(sample['keypoints_visible'][0], v > 0)
        flat = np.array(entry['joints_3d'])
        flat = flat[:, :2] / flat[:, 2:] * entry['camera']['f'] + entry['camera']['c']
        np.testing.assert_allclose(flat[v > 0], sample['keypoints'][0][v > 0], atol=0.01)
    assert len(json.loads((out / 'annotations' / 'val.json').read_text())['images']) == 2
    assert (out / 'sheet_joints.png').exists() and len(list((out / 'masks').iterdir())) == 8


def test_a_stopped_run_goes_on(written, capsys):
    out, args, tool = written
    before = {p: p.stat().st_mtime_ns for p in (out / 'images').iterdir()}
    tool.main(args)
    assert '8 of 8 pictures are there' in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (out / 'images').iterdir()} == before
    with pytest.raises(SystemExit, match='other settings'):
        tool.main([*args, '--seed', '9'])


@pytest.fixture(scope='module')
def sequences(tmp_path_factory, written):
    """Two sequences of six pictures, as folders of pictures and as videos of either kind."""
    tool, out = written[2], tmp_path_factory.mktemp('sequences')
    args = ['--num', '12', '--sequence', '6', '--size', '64', '--look', 'clean', '--joints', 'h36m', '--first', '6']
    tool.main([*args, '--out', str(out / 'folders'), '--masks', '--sheet'])
    for kind in ('avi', 'mp4'):
        tool.main([*args, '--out', str(out / kind), '--video', kind])
    return out


class TestSequences:
    def test_a_sequence_is_a_folder(self, sequences):
        out = sequences / 'folders'
        names = [f'{clip:07d}/{frame:07d}.jpg' for clip in (1, 2) for frame in range(6)]
        assert sorted(str(p.relative_to(out / 'images')) for p in out.glob('images/*/*')) == names
        assert len([*out.glob('masks/*/*.png')]) == len([*out.glob('parts/*/*.png')]) == 12
        content = json.loads((out / 'annotations' / 'people.json').read_text())
        assert [image['file_name'] for image in content['images']] == names
        assert (out / 'sheet_joints.png').exists()
        labelled = DATASETS.build(dict(type='RenderedDataset', data_root=str(out), joints='nlrd15'))
        infos = [labelled.get_data_info(n) for n in range(12)]
        assert [(i['sequence_id'], i['frame']) for i in infos] == [(c, f) for c in (1, 2) for f in range(6)]
        assert [i['img_path'].split('images/')[1] for i in infos] == names

    @pytest.mark.parametrize('kind', ['avi', 'mp4'])
    def test_a_sequence_is_a_video_of_the_same_frames(self, sequences, kind):
        import cv2

        out = sequences / kind
        assert sorted(p.name for p in (out / 'videos').iterdir()) == [f'0000001.{kind}', f'0000002.{kind}']
        for clip in (1, 2):
            capture = cv2.VideoCapture(str(out / 'videos' / f'{clip:07d}.{kind}'))
            assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(30)
            for frame in range(6):
                done, image = capture.read()
                want = cv2.imread(str(sequences / 'folders' / 'images' / f'{clip:07d}' / f'{frame:07d}.jpg'))
                assert done and np.abs(image.astype(int) - want).mean() < 8
            assert not capture.read()[0]

    @pytest.mark.parametrize('kind, folder', [('folders', 'images'), ('avi', 'videos'), ('mp4', 'videos')])
    def test_they_serve_as_unlabelled_videos_with_boxes(self, sequences, kind, folder, top_down_pipeline):
        root = sequences / kind / folder
        cfg = dict(type='UnlabeledVideoDataset', metainfo='nlrd15', data_root=str(root), frames=6)
        cfg.update(boxes='../annotations/people.json', pipeline=top_down_pipeline())
        dataset = DATASETS.build(cfg)
        entries = json.loads((sequences / kind / 'annotations' / 'people.json').read_text())['annotations']
        assert len(dataset) == 2 and not dataset.left_out.counts
        np.testing.assert_allclose(dataset.pieces[1].boxes[3, :2], entries[9]['bbox'][:2], atol=0.01)
        assert dataset[1]['inputs'].shape == (18, 64, 64)

    def test_a_stopped_run_of_videos_goes_on(self, sequences, written, capsys):
        args = ['--num', '12', '--sequence', '6', '--size', '64', '--look', 'clean', '--joints', 'h36m', '--first', '6']
        written[2].main([*args, '--out', str(sequences / 'avi'), '--video'])
        assert '12 of 12 pictures are there' in capsys.readouterr().out
        with pytest.raises(SystemExit, match='other settings'):
            written[2].main([*args, '--out', str(sequences / 'avi')])

    @pytest.mark.parametrize(
        'change, message',
        [
            ([], 'wants --sequence'),
            (['--sequence', '5'], 'multiples of 5'),
            (['--sequence', '6', '--masks'], 'neither masks nor sheets'),
            (['--sequence', '6', '--sheet'], 'neither masks nor sheets'),
        ],
    )
    def test_what_does_not_go_with_videos(self, written, tmp_path, capsys, change, message):
        with pytest.raises(SystemExit):
            written[2].main(['--num', '12', '--video', '--out', str(tmp_path), *change])
        assert message in capsys.readouterr().err
