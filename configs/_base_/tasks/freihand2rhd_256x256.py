# FreiHAND to RHD, real hands to rendered ones (the scripts of RegDA and UDAPE). Source hands are cut out and mirrored
# to left ones, before all four backgrounds. The target's labels do not tell the side of a hand in training.
_base_ = ['rhd2h3d_256x256.py', '../datasets/freihand.py']

train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(**_base_.freihand_train, crop=1.5, pipeline=_base_.source_pipeline),
            dict(type='UnlabeledDataset', dataset=dict(**_base_.rhd_train, pipeline=_base_.augmented_target)),
        ]
    )
)
test_pipeline = [*_base_.mirror, *_base_.target_pipeline[1:]]
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.rhd_test, pipeline=test_pipeline))
test_dataloader = val_dataloader
