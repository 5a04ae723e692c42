_base_ = ['../../_base_/tasks/surreal2lsp_256x256.py', '../../_base_/methods/cc_ssl_paper.py']

model = dict(type='SourceOnly', estimator=_base_.estimator)
source, target = _base_.train_dataloader.dataset.datasets
source.pipeline = _base_.udape_source_pipeline
# labels belong to the picture as it comes
target.dataset.pipeline = _base_.target_pipeline
train_dataloader = dict(dataset=dict(datasets=[source, target]))
