# SURREAL to videos of Human3.6M: "S -> H".
_base_ = ['../../_base_/tasks/relation_224x224.py']

videos = dict(_base_.videos, data_root='data/h36m/videos/')
clips = [dict(videos, task=loss, frames=_base_.lengths.get(loss, 30)) for loss in _base_.losses]
train_dataloader = dict(dataset=dict(datasets=[_base_.surreal]))
val_dataloader = dict(dataset=_base_.h36m_test)
test_dataloader = val_dataloader

model = dict(estimator=_base_.estimator)
stages = [
    _base_.pose_embedding_stage,
    _base_.motion_embedding_stage,
    _base_.source_stage,
    _base_.relations_stage,
    dict(_base_.adapt_stage, train_dataloader=dict(_base_.clip_loader, dataset=dict(datasets=clips))),
]
