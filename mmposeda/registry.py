"""Child registries of MMPose's, with the scope ``mmposeda``.

A name that is not found here is searched in MMPose and then in MMEngine, so that MMPose's own names need no prefix in a
config with ``default_scope = 'mmposeda'``. From an MMPose-scoped config ours are reachable as ``mmposeda.NAME``. A node
with ``locations`` imports them at its first look-up, so nobody has to remember an import; the nodes without are there
because MMEngine warns at every look-up in a scope that lacks the node.
"""

from mmengine.registry import Registry
from mmpose import registry as mmpose


def _child(parent: Registry, *locations: str) -> Registry:
    # MMEngine goes on to the parent at a look-up, but without filling it: so the parent's locations are ours too.
    locations = [*parent._locations, *locations]
    return Registry(parent.name, parent=parent, scope='mmposeda', locations=locations)


DATASETS = _child(mmpose.DATASETS, 'mmposeda.datasets')
DATA_SAMPLERS = _child(mmpose.DATA_SAMPLERS, 'mmposeda.datasets.samplers')
TRANSFORMS = _child(mmpose.TRANSFORMS, 'mmposeda.datasets.transforms')
MODELS = _child(mmpose.MODELS, 'mmposeda.models')
HOOKS = _child(mmpose.HOOKS, 'mmposeda.engine.hooks')
LOOPS = _child(mmpose.LOOPS, 'mmposeda.engine.loops', 'mmposeda.engine.pose_aug_loop')
METRICS = _child(mmpose.METRICS, 'mmposeda.evaluation')
PARAM_SCHEDULERS = _child(mmpose.PARAM_SCHEDULERS, 'mmposeda.engine.schedulers')

BATCH_AUGMENTS = _child(mmpose.BATCH_AUGMENTS)
EVALUATORS = _child(mmpose.EVALUATORS)
INFERENCERS = _child(mmpose.INFERENCERS)
KEYPOINT_CODECS = _child(mmpose.KEYPOINT_CODECS, 'mmposeda.codecs')
LOG_PROCESSORS = _child(mmpose.LOG_PROCESSORS)
MODEL_WRAPPERS = _child(mmpose.MODEL_WRAPPERS, 'mmposeda.models.parallel')
OPTIMIZERS = _child(mmpose.OPTIMIZERS)
OPTIM_WRAPPERS = _child(mmpose.OPTIM_WRAPPERS, 'mmposeda.engine.optimizers')
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmpose.OPTIM_WRAPPER_CONSTRUCTORS, 'mmposeda.engine.optimizers')
RUNNERS = _child(mmpose.RUNNERS)
RUNNER_CONSTRUCTORS = _child(mmpose.RUNNER_CONSTRUCTORS)
TASK_UTILS = _child(mmpose.TASK_UTILS)
VISBACKENDS = _child(mmpose.VISBACKENDS)
VISUALIZERS = _child(mmpose.VISUALIZERS, 'mmposeda.visualization')
WEIGHT_INITIALIZERS = _child(mmpose.WEIGHT_INITIALIZERS)
