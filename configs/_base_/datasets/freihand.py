# FreiHAND_pub_v2 in data/: real right hands, 3D labels; 32560 hands before four backgrounds train. The labels of the
# test are a download of their own. crop=1.5 takes the hand in place of the whole picture.
freihand = dict(type='FreiHANDDataset', data_root='data/FreiHAND_pub_v2/')

freihand_train = dict(**freihand, split='train')
freihand_test = dict(**freihand, split='test', test_mode=True)
