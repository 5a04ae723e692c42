# Human3.6M as 2D-3D poses in data/h36m (docs/datasets.md), with the 16 joints of the lifting literature: every frame
# before every camera, as VideoPose3D's data_3d_h36m.npz has it, for training that of subjects 1, 5, 6, 7 and 8.
# Input is the projection of the 3D poses, or detections: keypoints_file=_base_.h36m_2d.cpn.
# Loaders have collate_fn=dict(type='take_batch'): these data sets give whole batches.
h36m_2d = dict(
    gt='data_2d_h36m_gt.npz',
    cpn='data_2d_h36m_cpn_ft_h36m_dbb.npz',
    det='data_2d_h36m_detectron_ft_h36m.npz',
    hr='data_2d_h36m_hr.npz',
)
h36m_lifting = dict(
    type='Human36mLiftingDataset',
    data_root='data/h36m/',
    ann_file='data_3d_h36m.npz',
    keypoints_file=h36m_2d['gt'],
)
h36m_lifting_train = dict(**h36m_lifting, split='train')
h36m_lifting_test = dict(**h36m_lifting, split='test', test_mode=True)

# the same from MMPose's files, every fifth frame with its 2D labels
h36m_fps10_train = dict(type='Human36mLiftingDataset', data_root='data/h36m/', split='train')
h36m_fps10_test = dict(type='Human36mLiftingDataset', data_root='data/h36m/', split='test', test_mode=True)
