# HumanEva-I as pictures with 3D labels in data/humaneva (docs/datasets.md), with the 14 joints that all body sets have.
# The test is its validation part, before the three colour cameras; the four grey ones are
# camera_ids=['BW1', 'BW2', 'BW3', 'BW4'].
humaneva_poses = dict(type='HumanEvaDataset', data_root='data/humaneva/', ann_file='converted_15j')
humaneva_3d = dict(type='ImagePose3DDataset', joints='lsp')

humaneva_3d_train = dict(**humaneva_3d, poses=dict(**humaneva_poses, split='train'))
humaneva_3d_test = dict(**humaneva_3d, poses=dict(**humaneva_poses, split='test'), test_mode=True)
