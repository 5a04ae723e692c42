# 3DPW as 2D-3D poses in data/3dpw (docs/datasets.md), with the 16 joints of the lifting literature, of which limbs,
# neck and head count. 2D poses are the projected 3D poses.
# Loaders have collate_fn=dict(type='take_batch'): these data sets give whole batches.
three_dpw = dict(type='ThreeDPWDataset', data_root='data/3dpw/', domain='target')

three_dpw_train = dict(**three_dpw, split='train')
three_dpw_val = dict(**three_dpw, split='validation', test_mode=True)
three_dpw_test = dict(**three_dpw, split='test', test_mode=True)
