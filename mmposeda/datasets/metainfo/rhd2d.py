# RHD, one hand: each finger runs from the tip to the palm. Index k is not the same joint as in Hand-21.
_base_ = ['mmpose::_base_/datasets/rhd2d.py']
from mmposeda.structures.hand_tree import HAND_TREE

dataset_info = dict(
    **HAND_TREE,
)
