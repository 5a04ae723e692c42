# Generalisation: pictures of three other data sets, as many of each ("SD + Multi-UDs").
_base_ = ['sd-ud_res50_1xb32_rhd2stb-256x256.py']

train_dataloader = dict(
    **_base_.several,
    dataset=dict(
        datasets=[_base_.source, _base_.unlabelled_freihand, _base_.unlabelled_panoptic, _base_.unlabelled_ganerated]
    ),
)
