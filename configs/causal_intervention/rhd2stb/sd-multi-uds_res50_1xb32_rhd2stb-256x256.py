# Generalisation: pictures of three other data sets, as many of each ("SD + Multi-UDs").
_base_ = ['sd-ud_res50_1xb32_rhd2stb-256x256.py']

train_dataloader = dict(
    **_base_.several, dataset=dict(datasets=[_base_.source, _base_.freihand, _base_.panoptic_hand, _base_.ganerated])
)
