# RHD to MVHand; pairs are frames of one recording and camera, 0.1 to 1.7 s apart.
_base_ = ['../../_base_/tasks/rhd2mvhand_256x256.py', '../../_base_/methods/geometric_reconstruction_paper.py']

model = dict(
    estimator=_base_.estimator,
    view=_base_.ranges,
    depth=dict(skeleton='hand21', root='middle_finger1', reference=('wrist', 'middle_finger1')),
)
stages = _base_.stages
stages[0].model.data_preprocessor = _base_.estimator.data_preprocessor

source, target = _base_.train_dataloader.dataset.datasets
source.pipeline = [*_base_.udape_source_pipeline[:-1], dict(type='ScreenPose'), _base_.udape_source_pipeline[-1]]
target.dataset.pipeline = _base_.target_pipeline
pairs = dict(type='PairSequenceDataset', dataset=target.dataset, sequence='fields', gap=(3, 50))
train_dataloader = dict(batch_size=72, sampler=dict(quotas=[32, 32, 8]), dataset=dict(datasets=[source, target, pairs]))
