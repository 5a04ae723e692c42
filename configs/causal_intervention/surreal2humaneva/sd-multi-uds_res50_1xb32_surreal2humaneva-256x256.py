# Generalisation: pictures of three other data sets, as many of each ("SD + Multi-UDs").
_base_ = ['sd-ud_res50_1xb32_surreal2humaneva-256x256.py']

train_dataloader = dict(
    **_base_.several, dataset=dict(datasets=[_base_.source, _base_.three_dpw, _base_.mpi_inf_3dhp, _base_.h36m])
)
