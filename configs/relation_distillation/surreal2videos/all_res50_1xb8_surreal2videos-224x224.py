# SURREAL to videos of one's own: "S -> W"; generalisation is measured on MPI-INF-3DHP, which no stage has seen.
_base_ = ['../surreal2h36m/all_res50_1xb8_surreal2h36m-224x224.py']

stages = _base_.stages
for part in stages[-1].train_dataloader.dataset.datasets:
    part.data_root = 'data/videos/'
del part
val_dataloader = dict(dataset=dict(_delete_=True, **_base_.mpi_inf_3dhp_test))
test_dataloader = val_dataloader
