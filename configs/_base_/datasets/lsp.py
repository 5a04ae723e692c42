# Leeds Sports Pose in data/lsp (joints.mat, images/) with MPII's 16 joints, as in the published tasks: the same 2000
# photos, without labels for training and with them for the test. Coordinates count from 1 there.
lsp_reference = dict(
    type='LSPDataset',
    data_root='data/lsp/',
    ann_file='joints.mat',
    data_prefix=dict(img='images/'),
    part='reference',
    one_based=False,
    metainfo=dict(from_file='configs/_base_/datasets/mpii.py'),
)
lsp_reference_test = dict(**lsp_reference, test_mode=True)
