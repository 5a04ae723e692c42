# The same training, tested on MPI-INF-3DHP.
_base_ = ['all_res50_1xb8_surreal_h36m2videos-224x224.py']

val_dataloader = dict(dataset=dict(_delete_=True, **_base_.mpi_inf_3dhp_test))
test_dataloader = val_dataloader
