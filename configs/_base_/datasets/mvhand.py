# MVHand as its authors publish it, in data/mvhand: real hands before four cameras, a recording of each of four people.
# The last recording is the test's (our choice). Pairs are of one recording and camera: sequence='fields'.
mvhand = dict(type='MVHandDataset', data_root='data/mvhand/')

mvhand_train = dict(**mvhand, split='train')
mvhand_test = dict(**mvhand, split='test', test_mode=True)
