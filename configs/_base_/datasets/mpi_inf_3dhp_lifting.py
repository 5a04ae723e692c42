# MPI-INF-3DHP as 2D-3D poses in data/mpi_inf_3dhp (docs/datasets.md), with the 16 joints of the lifting literature.
# Loaders have collate_fn=dict(type='take_batch'): these data sets give whole batches.
mpi_inf_3dhp = dict(type='MPIINF3DHPDataset', data_root='data/mpi_inf_3dhp/', domain='target')

# SPIN's file of the test set, on which PoseAug reports: 2929 frames with 2D labels, all people scaled to one skeleton
mpi_inf_3dhp_test = dict(**mpi_inf_3dhp, split='test', ann_file='mpi_inf_3dhp_valid.npz', test_mode=True)
# the official files: people in their size with cameras, and actions; needs h5py
mpi_inf_3dhp_official_test = dict(**mpi_inf_3dhp, split='test', annotation='annot3', test_mode=True)
mpi_inf_3dhp_official_train = dict(**mpi_inf_3dhp, split='train')
