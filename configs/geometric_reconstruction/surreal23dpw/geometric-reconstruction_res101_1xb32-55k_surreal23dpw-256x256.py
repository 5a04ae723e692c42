# SURREAL to 3DPW; pairs are frames of one person and sequence, at most a third of a second apart, as the camera moves.
_base_ = [
    '../surreal2h36m/geometric-reconstruction_res101_1xb32-55k_surreal2h36m-256x256.py',
    '../../_base_/datasets/three_dpw_3d.py',
]

photos = dict(_base_.three_dpw_3d_train, joints='mpii', pipeline=_base_.target_pipeline)
train_dataloader = dict(
    dataset=dict(
        datasets=[
            _base_.source,
            dict(type='UnlabeledDataset', dataset=photos),
            dict(type='PairSequenceDataset', dataset=photos, sequence='fields', gap=(2, 10)),
        ]
    )
)
test = dict(_base_.three_dpw_3d_test, joints='mpii', pipeline=_base_.target_pipeline)
val_dataloader = dict(dataset=dict(_delete_=True, **test))
test_dataloader = val_dataloader
