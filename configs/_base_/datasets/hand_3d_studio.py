# Hand-3D-Studio, cropped for the published task, in data/H3D_crop: bare hands, drawn at random for the test. Views of
# one moment are on both sides; split='train' and 'test' keep the folders part1 to part5 apart.
h3d = dict(type='Hand3DStudioDataset', data_root='data/H3D_crop/')

h3d_train = dict(**h3d, split='reference')
h3d_test = dict(**h3d, split='reference_test', test_mode=True)
