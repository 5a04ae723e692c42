# SURREAL to Human3.6M as published (RegDA, UDAPE).
_base_ = ['paper_256x256.py', '../datasets/surreal.py', '../datasets/h36m_2d.py']

train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(**_base_.surreal_train, pipeline=_base_.source_pipeline),
            dict(type='UnlabeledDataset', dataset=dict(**_base_.h36m_train, pipeline=_base_.augmented_target)),
        ]
    )
)
val_dataloader = dict(dataset=dict(**_base_.h36m_test, pipeline=_base_.target_pipeline))
test_dataloader = val_dataloader
