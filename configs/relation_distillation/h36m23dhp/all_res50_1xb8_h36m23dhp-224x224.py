# Human3.6M to videos of MPI-INF-3DHP: "H -> M".
_base_ = ['../surreal2videos/all_res50_1xb8_surreal2videos-224x224.py']

train_dataloader = dict(dataset=dict(datasets=[_base_.h36m]))
stages = _base_.stages
for part in stages[-1].train_dataloader.dataset.datasets:
    part.data_root = 'data/mpi_inf_3dhp/videos/'
del part
