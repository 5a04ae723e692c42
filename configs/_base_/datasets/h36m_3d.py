# Human3.6M as pictures with 3D labels in data/h36m (docs/datasets.md), with the 14 joints that all body sets have;
# joints='h36m' gives its 17. The files are those of tools/dataset_converters/human36m.py, every fifth frame. The test
# is on every 64th frame of 50 Hz: here each 13th of these. Exactly 64 wants them at 50 Hz (--every 1), and
# ann_file='annotation_body3d/fps50/h36m_test.npz', every=64.
h36m_poses = dict(type='Human36mLiftingDataset', data_root='data/h36m/')
h36m_3d = dict(type='ImagePose3DDataset', joints='lsp')

h36m_3d_train = dict(**h36m_3d, poses=dict(**h36m_poses, split='train'))
h36m_3d_test = dict(**h36m_3d, poses=dict(**h36m_poses, split='test'), every=13, test_mode=True)
