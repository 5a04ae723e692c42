# RHD_published_v2 in data/: each hand that is large, visible and free enough is a sample. Hand-21, wrist to tips.
rhd = dict(type='RHDHandsDataset', data_root='data/RHD_published_v2/')

rhd_train = dict(**rhd, split='train')
rhd_test = dict(**rhd, split='test', test_mode=True)
