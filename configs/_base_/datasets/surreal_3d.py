# SURREAL as pictures with 3D labels in data/surreal_processed (how to get it: mmposeda/datasets/surreal.py), with the
# 14 joints that all body sets have; joints='h36m' gives Human3.6M's 17. Shoulders are SMPL's, not its collars, as in
# the other sets.
surreal_3d = dict(type='SURREALDataset', data_root='data/surreal_processed/', joints='lsp', shoulder='shoulder')

surreal_3d_train = dict(**surreal_3d, split='train')
surreal_3d_val = dict(**surreal_3d, split='val', test_mode=True)
surreal_3d_test = dict(**surreal_3d, split='test', test_mode=True)
