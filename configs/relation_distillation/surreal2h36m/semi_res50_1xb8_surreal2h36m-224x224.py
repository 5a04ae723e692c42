# With the labels of subject S1 of the target: "S -> H, semi".
_base_ = ['all_res50_1xb8_surreal2h36m-224x224.py']

labelled = dict(_base_.h36m, poses=dict(_base_.h36m.poses, subjects=['S1']))
stages = _base_.stages
stages[-1].train_dataloader.dataset.datasets.append(labelled)
