import json
import re

import cv2
import pytest
import torch

MINIATURE = """
_base_ = ['{root}/configs/demo/clean2shifted_96x96.py']
estimator = _base_.estimator
estimator.backbone.pretrained = False
model = dict(estimator=estimator)
renders = dict(
    target_test=dict(num=4, size=48), target_train=dict(num=4, size=48), source=dict(num=4, size=48)
)
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader = dict(batch_size=2, num_workers=0)
stages = _base_.stages
for stage in stages:
    stage.update(train_cfg=dict(type='IterBasedTrainLoop', max_iters=1, val_interval=1), param_scheduler=None)
stages[2].train_dataloader.update(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(_delete_=True, type='DomainSampler', quotas=[2, 2]),
)
default_hooks = dict(logger=dict(interval=1))
del stage
"""


@pytest.fixture
def demo(tool, tmp_path, pytestconfig, monkeypatch):
    pytest.importorskip('anny')
    (tmp_path / 'miniature.py').write_text(MINIATURE.format(root=pytestconfig.rootpath))
    monkeypatch.chdir(tmp_path)
    arguments = ['--config', 'miniature.py', '--work-dir', 'run', '--samples', '2', '--workers', '1']
    return tool('demo'), arguments


def test_demo_renders_trains_compares_and_does_not_repeat_itself(demo, tool, tmp_path, capsys):
    demo, arguments = demo
    demo.main(arguments)
    output, run = capsys.readouterr().out, tmp_path / 'run'
    assert (run / 'table.txt').read_text() in output
    table = (run / 'table.txt').read_text().splitlines()
    metrics = [json.loads((run / s / 'finished.json').read_text())['metrics'] for s in ('source_only', 'udape')]
    shown = [float(v) for v in re.findall(r'[+-]?\d+\.\d', table[-1])]
    expected = [metrics[1][f'PCK/all@{t}'] - metrics[0][f'PCK/all@{t}'] for t in ('0.05', '0.1', '0.2')]
    assert shown == pytest.approx(expected, abs=0.051)
    panel = cv2.imread(str(run / 'panel.png'))
    assert panel.shape[1] == 5 * 2 * 48 and panel.shape[0] > 2 * 2 * 48

    tool('export').main(['run/demo.py', 'run/udape/iter_1.pth', '--out', 'plain'])
    weights = torch.load(run / 'udape' / 'iter_1.pth', weights_only=True)['state_dict']
    for key, value in torch.load('plain/model.pth', weights_only=True)['state_dict'].items():
        assert torch.equal(value, weights[f'teacher.{key}'])

    before = {p: p.stat().st_mtime_ns for p in [*run.glob('data/*/images/*'), *run.glob('*/*.pth')]}
    assert len([p for p in before if p.suffix == '.pth']) == 3
    cfg, path = demo.prepare(demo.parse_args(arguments))
    cfg.renders = dict(source=cfg.renders.source)
    demo.render(cfg, 1, run / 'again.log')
    demo.train(cfg, path, run / 'again.log')
    output = capsys.readouterr().out
    assert '4 of 4 pictures are there' in output and output.count('is finished and skipped') == 3
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_a_failing_command_stops_the_demo_and_shows_why(tool, tmp_path):
    with pytest.raises(SystemExit, match='(?s)No such file.*all of its output is in'):
        tool('demo').run_tool([str(tmp_path / 'missing.py')], tmp_path / 'log', lambda line: None)
