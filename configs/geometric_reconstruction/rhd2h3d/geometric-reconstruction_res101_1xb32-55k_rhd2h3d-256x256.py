# RHD to Hand-3D-Studio, whose published crops were cut one by one: pictures of a folder, as near in its order as given
# by the last number of their names, each by its own window.
_base_ = ['../rhd2mvhand/geometric-reconstruction_res101_1xb32-55k_rhd2mvhand-256x256.py']

h3d = dict(**_base_.h3d_train, pipeline=_base_.target_pipeline)
train_dataloader = dict(
    dataset=dict(
        datasets=[
            _base_.source,
            dict(type='UnlabeledDataset', dataset=h3d),
            dict(type='PairSequenceDataset', dataset=h3d, sequence='numbered', gap=(1, 10), window='own'),
        ]
    )
)
val_dataloader = dict(dataset=dict(**{**_base_.h3d_test, '_delete_': True}, pipeline=_base_.target_pipeline))
test_dataloader = val_dataloader
