"""An adapter's checkpoint, exported and asked by MMPose in a process that has none of mmposeda's modules."""

import subprocess
import sys

import cv2
import numpy as np
import torch

from mmposeda.engine.export import export_plain

RUN = """
import sys
import mmposeda.compat
for name in ('models', 'registry', 'structures', 'codecs', 'engine'):
    sys.modules['mmposeda.' + name] = None  # as if it were not installed
from mmpose.apis import inference_topdown, init_model
import numpy as np
model = init_model(sys.argv[1], sys.argv[2], device='cpu')
assert type(model).__name__ == 'TopdownPoseEstimator'
assert {name for name, _ in model.named_children()} <= {'data_preprocessor', 'backbone', 'neck', 'head'}
found = inference_topdown(model, sys.argv[3])[0].pred_instances
np.savez(sys.argv[4], **{key: found[key] for key in ('keypoints', 'keypoint_scores', 'keypoints_3d') if key in found})
"""


def save(model, joint_set, joints, folder):
    """Checkpoint of an adapter, as a run leaves it."""
    meta = dict(dataset_meta=dict(dataset_name=joint_set, flip_indices=list(range(joints)), num_keypoints=joints))
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / 'adapter.pth')
    return folder / 'adapter.pth'


def asked(config, checkpoint, folder):
    """A picture as the estimator sees it (1, 3, 64, 64), and what the exported estimator says of it."""
    paths = export_plain(config, str(checkpoint), str(folder / 'out'))
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / 'picture.png'), picture)
    arguments = [str(p) for p in (*paths, folder / 'picture.png', folder / 'result.npz')]
    subprocess.run([sys.executable, '-c', RUN, *arguments], check=True)
    pixels = (torch.from_numpy(picture[..., ::-1].transpose(2, 0, 1).copy()).float() - 127) / 128
    return pixels[None], np.load(folder / 'result.npz')


def exported_weights(config, checkpoint, folder, estimator):
    """Weights of an export, which are all of the estimator's, and the text of all its Python files."""
    path, weights = export_plain(config, str(checkpoint), str(folder / 'out'))
    saved = torch.load(weights, weights_only=True)['state_dict']
    assert saved.keys() == estimator.state_dict().keys()
    assert all(torch.equal(value, estimator.state_dict()[key]) for key, value in saved.items())
    return weights, saved, ''.join(file.read_text() for file in path.parent.rglob('*.py'))
