# InterHand2.6M, one hand: fingers from tip to palm, wrist last.
_base_ = ['mmpose::_base_/datasets/interhand2d.py']
from mmposeda.structures.hand_tree import HAND_TREE

dataset_info = dict(
    **HAND_TREE,
)
