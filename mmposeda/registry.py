"""Child registries of MMPose's, with the scope ``mmposeda``.

A name that is not found here is searched in MMPose and then in MMEngine, so that MMPose's own names need no prefix in a
config with ``default_scope = 'mmposeda'``. From an MMPose-scoped config ours are reachable as ``mmposeda.NAME``. Every
node names the modules that fill it, so nobody has to import them before the first look-up.
"""

from mmengine.registry import Registry
from mmpose import registry as mmpose

DATASETS = Registry('dataset', parent=mmpose.DATASETS, scope='mmposeda', locations=['mmposeda.datasets'])
DATA_SAMPLERS = Registry(
    'data sampler', parent=mmpose.DATA_SAMPLERS, scope='mmposeda', locations=['mmposeda.datasets.samplers']
)
TRANSFORMS = Registry(
    'transform', parent=mmpose.TRANSFORMS, scope='mmposeda', locations=['mmposeda.datasets.transforms']
)
MODELS = Registry('model', parent=mmpose.MODELS, scope='mmposeda', locations=['mmposeda.models'])
HOOKS = Registry('hook', parent=mmpose.HOOKS, scope='mmposeda', locations=['mmposeda.engine.hooks'])
METRICS = Registry('metric', parent=mmpose.METRICS, scope='mmposeda', locations=['mmposeda.evaluation'])
