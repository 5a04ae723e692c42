_base_ = ['all_res50_1xb8_surreal_h36m2videos-224x224.py']

stages = [_base_.stages[0], _base_.stages[2]]
