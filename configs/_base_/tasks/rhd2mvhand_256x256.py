# RHD to MVHand (geometric reconstruction), all else as to Hand-3D-Studio.
_base_ = ['rhd2h3d_256x256.py', '../datasets/mvhand.py']

source, _ = _base_.train_dataloader.dataset.datasets
target = dict(**_base_.mvhand_train, pipeline=_base_.augmented_target)
train_dataloader = dict(dataset=dict(datasets=[source, dict(type='UnlabeledDataset', dataset=target)]))
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.mvhand_test, pipeline=_base_.target_pipeline))
test_dataloader = val_dataloader
