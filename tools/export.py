"""Turn an adapter's checkpoint into a plain MMPose config and checkpoint."""

import argparse
import subprocess
import sys

from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmposeda  # noqa: F401  (makes MMPose importable)
from mmposeda.engine.export import export_plain
from mmposeda.engine.failures import one_line
from mmposeda.engine.stages import stage_config, stage_names

_CHECK = """
import sys
try:
    import mmposeda.compat  # only so that MMPose imports on machines that lack its dependencies
except ImportError:
    pass
from mmpose.apis import inference_topdown, init_model
model = init_model(sys.argv[1], sys.argv[2], device='cpu')
result = inference_topdown(model, sys.argv[3])[0].pred_instances
assert not any(name.startswith('mmposeda.models') for name in sys.modules)
print('MMPose finds', result.keypoints.shape[1], 'joints, mean score %.3f' % result.keypoint_scores.mean())
"""


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the adapter')
    parser.add_argument('checkpoint', help='checkpoint of the adapter')
    parser.add_argument('--out', required=True, help='folder for model.py and model.pth')
    parser.add_argument('--stage', metavar='NAME', help='stage that wrote the checkpoint (default: the last)')
    parser.add_argument('--check', metavar='IMAGE', help="run MMPose's inference_topdown on this picture afterwards")
    return parser.parse_args(argv)


def main(argv=None):
    """Export, and check if asked to."""
    args = parse_args(argv)
    config = Config.fromfile(args.config)
    with one_line(args.config):
        # a stage's model may predict with other weights than the whole config's
        config = stage_config(config, args.stage or stage_names(config)[-1])
        init_default_scope(config.get('default_scope', 'mmposeda'))
        paths = [str(path) for path in export_plain(config, args.checkpoint, args.out)]
    print('Wrote', *paths)
    if args.check:
        subprocess.run([sys.executable, '-c', _CHECK, *paths, args.check], check=True)


if __name__ == '__main__':
    main()
