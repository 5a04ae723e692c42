# The paper's control: augmentation without the lifter's feedback.
_base_ = './poseaug_vpose_1xb1024-50e_h36m-gt2cross.py'
stages = _base_.stages
stages[-1].model = _base_.without_feedback
