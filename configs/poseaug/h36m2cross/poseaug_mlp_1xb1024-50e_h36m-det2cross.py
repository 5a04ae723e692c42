_base_ = './poseaug_mlp_1xb1024-50e_h36m-gt2cross.py'
train_dataloader = dict(dataset=dict(dataset=dict(keypoints_file=_base_.h36m_2d['det'])))
val_dataloader = dict(dataset=dict(datasets=dict(h36m=dict(keypoints_file=_base_.h36m_2d['det']))))
test_dataloader = val_dataloader
