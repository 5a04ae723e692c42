# MPI-INF-3DHP as pictures with 3D labels in data/mpi_inf_3dhp (docs/datasets.md), with the 14 joints that all body sets
# have. The training set is what tools/dataset_converters/mpi_inf_3dhp.py writes, people in their size, eight cameras;
# every fifth frame is taken for training, as neighbours differ little. The test set is that of MMPose's
# preprocess_mpi_inf_3dhp.py, run in data/mpi_inf_3dhp. The official one itself: poses=dict(type='MPIINF3DHPDataset',
# data_root='data/mpi_inf_3dhp/', split='test', annotation='annot3').
mpi_inf_3dhp_poses = dict(type='MPIINF3DHPDataset', data_root='data/mpi_inf_3dhp/')
mpi_inf_3dhp_3d = dict(type='ImagePose3DDataset', joints='lsp')

mpi_inf_3dhp_3d_train = dict(
    **mpi_inf_3dhp_3d,
    poses=dict(**mpi_inf_3dhp_poses, split='train', ann_file='annotations/mpi_inf_3dhp_train.npz'),
    every=5,
)
mpi_inf_3dhp_3d_test = dict(
    **mpi_inf_3dhp_3d,
    poses=dict(**mpi_inf_3dhp_poses, split='test', ann_file='annotations/mpi_inf_3dhp_test_valid.npz'),
    test_mode=True,
)
