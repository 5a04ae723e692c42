# MMPose's own config and weights, adapted from COCO to the photos in data/photos, which have no labels.
_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py']
default_scope = 'mmposeda'

# model
estimator = _base_.model
estimator.backbone.init_cfg = None  # the weights are all in load_from
load_from = 'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192-04af38ce_20220923.pth'
model = dict(_delete_=True, type='UDAPE', estimator=estimator, style=dict(type='StatisticsStyleTransfer'))
custom_hooks = [*_base_.custom_hooks, dict(type='MeanTeacherHook')]

# data: COCO's training set with labels, the photos without; the validation set stays COCO's
photos = dict(
    type='UnlabeledImageDataset',
    data_root='data/photos/',
    metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
    pipeline=_base_.val_pipeline,
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DomainSampler', quotas=[32, 32], epoch_length=500),
    dataset=dict(_delete_=True, type='CombinedDataset', datasets=[_base_.train_dataloader.dataset, photos]),
)

# schedule
train_cfg = dict(max_epochs=20, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
