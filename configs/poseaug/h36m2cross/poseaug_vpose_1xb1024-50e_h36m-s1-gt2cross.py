# Trained on subject S1 alone: the authors' --s1only.
_base_ = './poseaug_vpose_1xb1024-50e_h36m-gt2cross.py'
train_dataloader = dict(dataset=dict(dataset=dict(subjects=['S1'])))
