# 2500 real sport photos with LSP's 14 joints: a COCO-style subset of LSP-extended in data/lspet_subset (or a link).
# Data sets without pipelines: a config adds its own with the codec and input size of its model, for instance
#   val_dataloader = dict(..., dataset=dict(**_base_.lsp_val, pipeline=val_pipeline))
# Settings are chosen on `lsp_val`, never on `lsp_test`. It is the end of the training file, whole blocks of
# neighbouring file numbers, as photos of one event lie side by side.
lsp_photos = dict(type='LSPDataset', data_root='data/lspet_subset/', data_prefix=dict(img='images/'))

# 1706 photos: the unlabelled target, inside UnlabeledDataset; with labels for the oracle
lsp_train = dict(**lsp_photos, ann_file='annotations/lspet_train.json', part='train')
# 294 photos
lsp_val = dict(**lsp_photos, ann_file='annotations/lspet_train.json', part='val', test_mode=True)
# all 2000, once settings are fixed
lsp_trainval = dict(**lsp_photos, ann_file='annotations/lspet_train.json')
# 500 photos of other blocks
lsp_test = dict(**lsp_photos, ann_file='annotations/lspet_test.json', test_mode=True)

val_evaluator = [
    dict(type='GroupedPCK', thr=(0.05, 0.1, 0.2)),
    dict(type='EvalPose', variants=('raw', 'centred')),
    dict(type='LeftRightSeparation'),
]
test_evaluator = val_evaluator
