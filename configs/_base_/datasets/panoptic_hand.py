# Sequences of the Panoptic Studio with hands, in data/panoptic: both hands of everybody before the HD cameras whose
# pictures are there, every tenth frame. 171204_pose3 is the test's.
panoptic_hand = dict(type='PanopticHand3DDataset', data_root='data/panoptic/')

panoptic_hand_train = dict(**panoptic_hand, split='train')
panoptic_hand_test = dict(**panoptic_hand, split='test', test_mode=True)
