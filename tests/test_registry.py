"""Names resolve in both scopes, in a process that has imported nothing but the package."""

import subprocess
import sys

import pytest

BUILD = """
import mmposeda
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, VISUALIZERS, init_default_scope
init_default_scope({scope!r})
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=2)
head = dict(type='HeatmapHead', in_channels=512, out_channels=3, deconv_out_channels=(8, 8, 8), decoder=codec)
estimator = dict(type='TopdownPoseEstimator', backbone=dict(type='ResNet', depth=18), head=head)
style = dict(type='{prefix}StatisticsStyleTransfer')
model = MODELS.build(dict(type='{prefix}UDAPE', estimator=estimator, style=style))
HOOKS.build(dict(type='{prefix}MeanTeacherHook'))
METRICS.build(dict(type='{prefix}GroupedPCK'))
VISUALIZERS.build(dict(type='PoseLocalVisualizer', name='any'))
print(type(model).__name__, type(model.student).__name__)
"""


@pytest.mark.parametrize('scope, prefix', [('mmposeda', ''), ('mmpose', 'mmposeda.')])
def test_ours_and_mmpose_names_resolve(scope, prefix):
    code = BUILD.format(scope=scope, prefix=prefix)
    done = subprocess.run(
        [sys.executable, '-W', 'error::UserWarning:mmengine', '-c', code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-2:] == ['UDAPE', 'TopdownPoseEstimator']
    assert 'Failed to search registry' not in done.stdout + done.stderr
