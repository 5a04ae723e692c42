from .binned_metric import BinnedMetric
from .eval_pose import EvalPose
from .grouped_pck import GroupedPCK
from .intervention_numbers import cluster_numbers, domain_accuracy, interventional_distances, pose_leak
from .interventions import DomainProbe, InterventionalError
from .left_right import LeftRightSeparation
from .lifting_metric import LiftingMetric

__all__ = [
    'BinnedMetric',
    'DomainProbe',
    'EvalPose',
    'GroupedPCK',
    'InterventionalError',
    'LeftRightSeparation',
    'LiftingMetric',
    'cluster_numbers',
    'domain_accuracy',
    'interventional_distances',
    'pose_leak',
]
