# RHD to MVHand; pairs are frames of one recording and camera, 0.1 to 1.7 s apart.
_base_ = [
    '../../_base_/tasks/rhd2h3d_256x256.py',
    '../../_base_/datasets/mvhand.py',
    '../../_base_/methods/geometric_reconstruction_paper.py',
]

model = dict(
    estimator=_base_.estimator,
    view=_base_.ranges,
    depth=dict(skeleton='hand21', root='middle_finger1', reference=('wrist', 'middle_finger1')),
)
stages = _base_.stages
stages[0].model.data_preprocessor = _base_.estimator.data_preprocessor

source = _base_.train_dataloader.dataset.datasets[0]
source.pipeline = [*_base_.udape_source_pipeline[:-1], dict(type='ScreenPose'), _base_.udape_source_pipeline[-1]]
target = dict(**_base_.mvhand_train, pipeline=_base_.target_pipeline)
train_dataloader = dict(
    batch_size=72,
    sampler=dict(quotas=[32, 32, 8]),
    dataset=dict(
        datasets=[
            source,
            dict(type='UnlabeledDataset', dataset=target),
            dict(type='PairSequenceDataset', dataset=target, sequence='fields', gap=(3, 50)),
        ]
    ),
)
val_dataloader = dict(dataset=dict(**{**_base_.mvhand_test, '_delete_': True}, pipeline=_base_.target_pipeline))
test_dataloader = val_dataloader
