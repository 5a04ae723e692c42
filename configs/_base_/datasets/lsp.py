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

# The published tables count on the heatmap's grid; our own number beside them
val_evaluator = [
    dict(type='GroupedPCK', thr=(0.05, 0.1, 0.2)),
    dict(type='GroupedPCK', thr=0.05, mode='reference', prefix='PCK_reference'),
]
test_evaluator = val_evaluator
