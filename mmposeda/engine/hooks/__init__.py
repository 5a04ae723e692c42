from .adaptation_visualization_hook import AdaptationVisualizationHook
from .channels_last_hook import ChannelsLastHook
from .checkpoint_hook import CheckpointHook
from .collapse_warning_hook import CollapseWarningHook
from .difficulty_scoring_hook import DifficultyScoringHook
from .held_out_domain_hook import HeldOutDomainHook
from .intervention_hook import InterventionHook
from .mask_combiner_hook import MaskCombinerHook
from .mean_teacher_hook import MeanTeacherHook
from .non_finite_hook import NonFiniteHook
from .pose_augmentation_hook import PoseAugmentationVisualizationHook
from .pseudo_label_quality_hook import PseudoLabelQualityHook
from .pseudo_relabel_hook import PseudoRelabelHook
from .reconstruction_visualization_hook import ReconstructionVisualizationHook
from .schedule_hook import ScheduleHook

__all__ = [
    'AdaptationVisualizationHook',
    'ChannelsLastHook',
    'CheckpointHook',
    'CollapseWarningHook',
    'DifficultyScoringHook',
    'HeldOutDomainHook',
    'InterventionHook',
    'MaskCombinerHook',
    'MeanTeacherHook',
    'NonFiniteHook',
    'PoseAugmentationVisualizationHook',
    'PseudoLabelQualityHook',
    'PseudoRelabelHook',
    'ReconstructionVisualizationHook',
    'ScheduleHook',
]
