# GANeratedHands_Release in data/: rendered left hands that were made to look real, 3D labels. There is no official
# split: the last tenth of the folders is the test's (our choice).
ganerated = dict(type='GANeratedDataset', data_root='data/GANeratedHands_Release/')

ganerated_train = dict(**ganerated, split='train')
ganerated_test = dict(**ganerated, split='test', test_mode=True)
