# SURREAL to 3DPW in 2D (geometric reconstruction), with the joints of SMPL's skeleton.
_base_ = ['paper_256x256.py', '../datasets/surreal.py', '../datasets/three_dpw_3d.py']

target = dict(_base_.three_dpw_3d_train, joints='mpii', pipeline=_base_.augmented_target)
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(**_base_.surreal_train, pipeline=_base_.source_pipeline),
            dict(type='UnlabeledDataset', dataset=target),
        ]
    )
)
val_dataloader = dict(dataset=dict(_base_.three_dpw_3d_test, joints='mpii', pipeline=_base_.target_pipeline))
test_dataloader = val_dataloader
