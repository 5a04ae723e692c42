# STB in data/stb: real left hands, 3D labels; backgrounds 2 to 6 train, background 1 tests. Hand-21, the wrist made
# from palm and middle finger. views=['BB_left', 'BB_right'] are the stereo pair's pictures.
stb = dict(type='STBDataset', data_root='data/stb/')

stb_train = dict(**stb, split='train')
stb_test = dict(**stb, split='test', test_mode=True)
