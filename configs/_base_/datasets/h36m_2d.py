# Human3.6M as tools/dataset_converters/human36m.py writes it, in data/h36m: every fifth frame, with MPII's 16 joints.
# The test is 3200 frames of subjects 9 and 11; split='test' takes all.
h36m = dict(type='Human36m2DDataset', data_root='data/h36m/')

h36m_train = dict(**h36m, split='train')
h36m_test = dict(**h36m, split='reference_test', test_mode=True)
