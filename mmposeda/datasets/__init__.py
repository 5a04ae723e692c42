from . import samplers, transforms
from .cmu_mocap import CMUMocapDataset
from .combined import CombinedDataset
from .freihand import FreiHANDDataset
from .ganerated import GANeratedDataset
from .hand_3d_studio import Hand3DStudioDataset
from .human36m import Human36m2DDataset
from .human36m_lifting import Human36mLiftingDataset
from .humaneva import HumanEvaDataset
from .image_pose_3d import ImagePose3DDataset
from .lifting import LiftingDataset, LiftingPoses, take_batch
from .lifting_sets import LiftingSets
from .lifting_streams import PoseStreams
from .lsp import LSPDataset
from .motion import MocapMotionDataset
from .mpi_inf_3dhp import MPIINF3DHPDataset
from .mvhand import MVHandDataset
from .pairs import PairSequenceDataset, SelfPairDataset
from .panoptic_hand import PanopticHand3DDataset
from .rendered import RenderedDataset
from .rhd import RHDHandsDataset
from .stb import STBDataset
from .surreal import SURREALDataset
from .synthetic_body import SyntheticBodyDataset
from .synthetic_hand import SyntheticHandDataset
from .synthetic_lifting import SyntheticPoseLiftingDataset
from .three_dpw import ThreeDPWDataset
from .unlabeled import UnlabeledDataset, UnlabeledImageDataset
from .video import UnlabeledVideoDataset

__all__ = [
    'CMUMocapDataset',
    'CombinedDataset',
    'FreiHANDDataset',
    'GANeratedDataset',
    'Hand3DStudioDataset',
    'Human36m2DDataset',
    'Human36mLiftingDataset',
    'HumanEvaDataset',
    'ImagePose3DDataset',
    'LSPDataset',
    'LiftingDataset',
    'LiftingPoses',
    'LiftingSets',
    'MPIINF3DHPDataset',
    'MVHandDataset',
    'MocapMotionDataset',
    'PairSequenceDataset',
    'PanopticHand3DDataset',
    'PoseStreams',
    'RHDHandsDataset',
    'RenderedDataset',
    'STBDataset',
    'SURREALDataset',
    'SelfPairDataset',
    'SyntheticBodyDataset',
    'SyntheticHandDataset',
    'SyntheticPoseLiftingDataset',
    'ThreeDPWDataset',
    'UnlabeledDataset',
    'UnlabeledImageDataset',
    'UnlabeledVideoDataset',
    'samplers',
    'take_batch',
    'transforms',
]
