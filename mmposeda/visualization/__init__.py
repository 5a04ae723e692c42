from .adaptation import DomainFeatures, HeadMaps, LabelledPictures, domain_maps, label_sheet, map_panel
from .difficulty import accuracy_bars, bin_examples, hardest_sheet, similarity_map
from .error_bars import error_by_action
from .interventions import feature_map, reconstruction_rows, sensitivity_figure
from .label_quality import quality_curves
from .panels import adaptation_panel, draw_skeleton, grid, to_uint8
from .poses3d import augmentation_sheet, distribution_figure
from .predictions import draw_pose, prediction_panel
from .reconstruction import reconstruction_panel
from .relations import RelationPairs, non_localness_figure, prediction_sheet, relation_sheet, walk_sheet

__all__ = [
    'DomainFeatures',
    'HeadMaps',
    'LabelledPictures',
    'RelationPairs',
    'accuracy_bars',
    'adaptation_panel',
    'augmentation_sheet',
    'bin_examples',
    'distribution_figure',
    'domain_maps',
    'draw_pose',
    'draw_skeleton',
    'error_by_action',
    'feature_map',
    'grid',
    'hardest_sheet',
    'label_sheet',
    'map_panel',
    'non_localness_figure',
    'prediction_panel',
    'prediction_sheet',
    'quality_curves',
    'reconstruction_panel',
    'reconstruction_rows',
    'relation_sheet',
    'sensitivity_figure',
    'similarity_map',
    'to_uint8',
    'walk_sheet',
]
