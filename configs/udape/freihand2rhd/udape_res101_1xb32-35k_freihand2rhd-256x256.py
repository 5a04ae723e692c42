# UDAPE as published; what it wants: _base_/methods/udape_paper.py.
_base_ = ['../../_base_/tasks/freihand2rhd_256x256.py', '../../_base_/methods/udape_paper.py']

model = dict(estimator=_base_.estimator, view=_base_.ranges)
stages = _base_.stages
stages[0].model.data_preprocessor = _base_.estimator.data_preprocessor

# the model makes the views of the target
source, target = _base_.train_dataloader.dataset.datasets
source.pipeline = _base_.udape_source_pipeline
target.dataset.pipeline = _base_.target_pipeline
train_dataloader = dict(dataset=dict(datasets=[source, target]))
