# PoseAug's four lifters, from 16 joints in screen coordinates to root-relative metres.
head = dict(type='LiftingHead', decoder=dict(type='ScreenPoseLifting'))
vpose = dict(type='PoseLifter', backbone=dict(type='VideoPoseLifter'), head=head)
mlp = dict(type='PoseLifter', backbone=dict(type='MLPLifter'), head=head)
gcn = dict(type='PoseLifter', backbone=dict(type='SemGCNLifter'), head=head)
stgcn = dict(type='PoseLifter', backbone=dict(type='STGCNLifter'), head=head)
