import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from own_toy import REGRESSION, SIMCC, write_estimator, write_labels, write_pictures, write_source

from mmposeda.engine.own_config import METHODS
from mmposeda.engine.own_data import read_estimator
from mmposeda.structures.skeleton import Skeleton


class Page(HTMLParser):
    """Pictures, links to elsewhere, and tables of a page."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.elsewhere, self.tables, self.unclosed = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key in ('src', 'href', 'srcset', 'data'):
                (self.pictures if value.startswith('data:image/') else self.elsewhere).append(value)
        if tag == 'table':
            self.tables.append([])
        elif tag == 'tr':
            self.tables[-1].append(0)
        elif tag in ('td', 'th'):
            self.tables[-1][-1] += 1
        if tag not in ('img', 'meta', 'br'):
            self.unclosed.append(tag)

    def handle_endtag(self, tag):
        assert self.unclosed.pop() == tag


@pytest.fixture
def adapt(tool, tmp_path, monkeypatch):
    """Return a function that runs tools/adapt.py on the tiny estimator, its commands in this process."""

    def run(*arguments, kind=None, joints='lsp', target='pictures', source=None):
        module = tool('adapt')
        commands = []

        def inside(command, log, shorten):
            commands.append(command)
            tool(Path(command[0]).stem).main(command[1:])

        monkeypatch.setattr(module, 'run_tool', inside)
        given = write_estimator(tmp_path / 'given', joints, **(dict(kind=kind) if kind else {}))
        if not (tmp_path / 'pictures').exists():
            write_pictures(tmp_path / 'pictures')
        source = source or write_source(tmp_path / 'source', joints)
        sizes = ['--iterations', '2', '--batch', '4', '--workers', '0', '--samples', '4']
        where = ['--target', str(tmp_path / target), '--source', source, '--work-dir', str(tmp_path / 'run')]
        module.main([*given, *where, *sizes, *map(str, arguments)])
        return commands

    return run


def decoded(source):
    data = base64.b64decode(source.partition(',')[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_the_command_adapts_exports_and_reports(adapt, tmp_path, capsys):
    labels = write_labels(tmp_path / 'target.json', write_pictures(tmp_path / 'pictures'), seed=3)
    (tmp_path / 'pictures' / 'broken.jpg').write_bytes(b'no picture')
    assert [Path(c[0]).stem for c in adapt('--labels', labels)] == ['train', 'export']
    run = tmp_path / 'run'
    text = (run / 'report.html').read_text()
    page = Page(text)
    assert not page.elsewhere and not page.unclosed
    assert not re.search(r'https?://|url\(', text)
    # two galleries, two figures of curves, what the network saw
    assert len(page.pictures) == 2 + 2 + 2 + 1
    assert all(decoded(picture) is not None for picture in page.pictures)
    assert [len(set(table)) for table in page.tables] == [1] * len(page.tables)
    accuracy, movement, _, settings, joints, *_ = page.tables
    skeleton = Skeleton.from_metainfo('lsp')
    assert len(accuracy) == 1 + len(skeleton.groups) and len(movement) == len(joints) == 1 + 14
    for name in skeleton.joint_names:
        assert name.replace('_', ' ') in text
    for said in ('broken.jpg', 'udape', 'torch', 'adapt.py', 'exported', '6 pictures'):
        assert said in text
    assert 'PCK@0.1 before' in capsys.readouterr().out

    plain = torch.load(run / 'exported' / 'model.pth', weights_only=True)['state_dict']
    teacher = torch.load(run / 'adapt' / 'iter_2.pth', weights_only=False)['state_dict']
    assert plain and all(torch.equal(value, teacher[f'teacher.{key}']) for key, value in plain.items())
    again = read_estimator(str(run / 'exported' / 'model.py'), str(run / 'exported' / 'model.pth'))
    assert again.skeleton.same_joints(skeleton) and again.input_size == (32, 32)


def test_labels_of_the_target_do_not_reach_the_training(adapt, tmp_path):
    labels = write_labels(tmp_path / 'target.json', write_pictures(tmp_path / 'pictures'))
    adapt()
    weights = (tmp_path / 'run' / 'adapt' / 'iter_2.pth').read_bytes()
    config = (tmp_path / 'run' / 'adapt.py').read_text()
    adapt('--labels', labels)
    assert (tmp_path / 'run' / 'adapt.py').read_text() == config and 'target.json' not in config
    assert (tmp_path / 'run' / 'adapt' / 'iter_2.pth').read_bytes() == weights


def test_the_same_command_again_repeats_nothing(adapt, tmp_path):
    adapt()
    checkpoint = tmp_path / 'run' / 'adapt' / 'iter_2.pth'
    before = checkpoint.stat().st_mtime_ns
    adapt()
    assert checkpoint.stat().st_mtime_ns == before
    with pytest.raises(SystemExit, match="(?s)method 'udape', now 'dann'.*another --work-dir"):
        adapt('--method', 'dann')


def test_boxes_say_who_is_on_a_picture(adapt, tmp_path):
    boxes = {'0.jpg': [[0, 0, 20, 30], [20, 5, 20, 30]], '3.jpg': [[4, 4, 30, 30]]}
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    adapt('--boxes', tmp_path / 'boxes.json')
    text = (tmp_path / 'run' / 'report.html').read_text()
    assert 'Over 3 pictures' in text and text.count('<figcaption>0.jpg: joints moved') >= 2 and '5.jpg' not in text


def test_a_run_that_was_stopped_goes_on(adapt, tmp_path, monkeypatch):
    from mmposeda.engine import training

    whole = training._write_marker
    monkeypatch.setattr(training, '_write_marker', lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        adapt()
    assert not (tmp_path / 'run' / 'report.html').exists()
    monkeypatch.setattr(training, '_write_marker', whole)
    adapt()
    assert (tmp_path / 'run' / 'report.html').is_file() and (tmp_path / 'run' / 'exported' / 'model.pth').is_file()


@pytest.mark.parametrize('method', [m for m in METHODS if m not in ('udape', 'ddc', 'dan')])
def test_other_methods_run(adapt, tmp_path, method):
    adapt('--method', method)
    page = Page((tmp_path / 'run' / 'report.html').read_text())
    assert len(page.pictures) >= 5 and not page.elsewhere


def test_heads_without_heatmaps(adapt, tmp_path):
    with pytest.raises(SystemExit, match='--method udape does not fit.*heatmap.*source_only'):
        adapt(kind=SIMCC)
    # so that the next try may have the same place
    assert not (tmp_path / 'run').exists()
    adapt('--method', 'ddc', kind=SIMCC)
    assert (tmp_path / 'run' / 'exported' / 'model.pth').is_file()


def test_a_regression_head_by_the_features_of_its_backbone(adapt, tmp_path):
    adapt('--method', 'dan', kind=REGRESSION)
    assert "feat='backbone'" in (tmp_path / 'run' / 'adapt.py').read_text()
    assert (tmp_path / 'run' / 'exported' / 'model.pth').is_file()


def test_a_rendered_source(adapt, tmp_path):
    pytest.importorskip('anny')
    commands = adapt('--num', '4', '--workers', '1', joints='coco', source='rendered')
    assert [Path(c[0]).stem for c in commands] == ['render_people', 'train', 'export']
    text = (tmp_path / 'run' / 'report.html').read_text()
    assert 'the renderer has no label for nose, left_eye, right_eye, left_ear, right_ear' in text
    labelled = json.loads((tmp_path / 'run' / 'source' / 'annotations' / 'people.json').read_text())
    assert len(labelled['images']) == 4 and labelled['images'][0]['width'] == 48


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--target', 'nowhere'], 'target nowhere does not exist: give a folder of pictures, or a video'),
        (['--boxes', 'nowhere.json'], '--boxes nowhere.json does not exist'),
        (['--labels', 'nowhere.json'], '--labels nowhere.json does not exist'),
        (['--source', 'nowhere.py'], 'config nowhere.py does not exist'),
        (['--method', 'poseaug'], '--method poseaug lifts 2D poses.*choose one of udape'),
        (['--method', 'magic'], '--method magic is not known: choose one of udape'),
        (['--batch', '3'], '--batch even, got 2 and 3'),
        (['--joints', 'coco'], 'finds 14 joints, but of joint sets 17 by --joints'),
        (['--joints', 'nothing'], '--joints nothing: no meta file'),
    ],
)
def test_bad_arguments_end_in_one_line(adapt, arguments, message):
    with pytest.raises(SystemExit, match=f'(?s){message}'):
        adapt(*arguments)


def test_help_names_every_method(tool, capsys):
    with pytest.raises(SystemExit):
        tool('adapt').parse_args(['--help'])
    shown = capsys.readouterr().out
    assert all(method in shown for method in METHODS)
