from .alignment import DAN, DANN, DDC, FeatureAlignment
from .base import DomainAdapter, MeanTeacherAdapter
from .causal_intervention import CausalIntervention
from .cc_ssl import CCSSL
from .geometric_reconstruction import GeometricReconstruction
from .image_vae_training import ImageVAETraining
from .lifting import LiftingAdapter, SupervisedLifter
from .pose_aug import PoseAug
from .pose_embedding import PoseEmbeddingTraining
from .regda import RegDA
from .relation_distillation import RelationDistillation
from .relation_pretraining import MotionEmbeddingTraining, RelationTraining
from .source_only import SourceOnly
from .style_training import StyleTraining
from .udape import UDAPE

__all__ = [
    'CCSSL',
    'CausalIntervention',
    'DAN',
    'DANN',
    'DDC',
    'DomainAdapter',
    'FeatureAlignment',
    'GeometricReconstruction',
    'ImageVAETraining',
    'LiftingAdapter',
    'MeanTeacherAdapter',
    'MotionEmbeddingTraining',
    'PoseAug',
    'PoseEmbeddingTraining',
    'RegDA',
    'RelationDistillation',
    'RelationTraining',
    'SourceOnly',
    'StyleTraining',
    'SupervisedLifter',
    'UDAPE',
]
