# SURREAL to MPI-INF-3DHP: adaptation, with unlabelled pictures of the target ("SD + TD").
_base_ = ['../../_base_/tasks/surreal2bodies_256x256.py']

held_out = dict(type='HeldOutDomainHook', folders=['data/mpi_inf_3dhp'])
train_dataloader = dict(dataset=dict(datasets=[_base_.source, _base_.mpi_inf_3dhp]))
val_dataloader = dict(dataset=dict(**_base_.mpi_inf_3dhp_3d_test, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
