# Hand-21: wrist, then each finger from palm to tip (FreiHAND, Panoptic, GANerated, OneHand10K, Hand-3D-Studio).
# MCP, PIP, DIP and Fin are positions 1 to 4 of each finger (for the thumb: CMC, MCP, IP, tip).
_base_ = ['mmpose::_base_/datasets/freihand2d.py']
from mmposeda.structures.hand_tree import HAND_TREE

dataset_info = dict(
    dataset_name='hand21',
    **HAND_TREE,
)
