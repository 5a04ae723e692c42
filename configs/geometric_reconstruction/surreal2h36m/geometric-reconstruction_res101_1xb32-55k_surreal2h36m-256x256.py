# SURREAL to Human3.6M; pairs are frames of one subject, action and camera, 5 to 50 frames apart.
_base_ = ['../../_base_/tasks/surreal2h36m_256x256.py', '../../_base_/methods/geometric_reconstruction_paper.py']

model = dict(
    estimator=_base_.estimator,
    view=_base_.ranges,
    depth=dict(skeleton='mpii', root='pelvis', reference=('pelvis', 'thorax')),
)
stages = _base_.stages
stages[0].model.data_preprocessor = _base_.estimator.data_preprocessor

source, target = _base_.train_dataloader.dataset.datasets
source.pipeline = [*_base_.udape_source_pipeline[:-1], dict(type='ScreenPose'), _base_.udape_source_pipeline[-1]]
target.dataset.pipeline = _base_.target_pipeline
pairs = dict(type='PairSequenceDataset', dataset=target.dataset, sequence='numbered', gap=(5, 50))
train_dataloader = dict(batch_size=72, sampler=dict(quotas=[32, 32, 8]), dataset=dict(datasets=[source, target, pairs]))
