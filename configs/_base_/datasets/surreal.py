# SURREAL, re-packed for the published tasks (how to get it: mmposeda/datasets/surreal.py), in data/surreal_processed;
# MPII's 16 joints. shoulder='shoulder' takes SMPL's shoulders in place of its collars.
surreal = dict(type='SURREALDataset', data_root='data/surreal_processed/')

surreal_train = dict(**surreal, split='reference')
surreal_test = dict(**surreal, split='reference_test', test_mode=True)
