_base_ = ['all_res50_1xb8_surreal2h36m-224x224.py']

stages = [_base_.stages[0], _base_.stages[2]]
