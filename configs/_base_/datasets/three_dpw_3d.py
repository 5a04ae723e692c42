# 3DPW as pictures with 3D labels in data/3dpw (docs/datasets.md), with the 14 joints that all body sets have, here of
# SMPL's skeleton. The test is its official part of 24 sequences.
three_dpw_poses = dict(type='ThreeDPWDataset', data_root='data/3dpw/', scored='all')
three_dpw_3d = dict(type='ImagePose3DDataset', joints='lsp')

three_dpw_3d_train = dict(**three_dpw_3d, poses=dict(**three_dpw_poses, split='train'))
three_dpw_3d_val = dict(**three_dpw_3d, poses=dict(**three_dpw_poses, split='validation'), test_mode=True)
three_dpw_3d_test = dict(**three_dpw_3d, poses=dict(**three_dpw_poses, split='test'), test_mode=True)
