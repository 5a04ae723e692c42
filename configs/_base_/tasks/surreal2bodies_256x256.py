# SURREAL to real people in 3D, the 14 joints that all sets have; errors from the middle of the hips.
_base_ = [
    'integral_256x256.py',
    '../datasets/surreal_3d.py',
    '../datasets/h36m_3d.py',
    '../datasets/three_dpw_3d.py',
    '../datasets/mpi_inf_3dhp_3d.py',
    '../datasets/humaneva_3d.py',
]
root = ('left_hip', 'right_hip')
estimator = _base_.estimator
estimator['head'].update(skeleton='lsp', root=root, decoder=_base_.codec)
model = dict(estimator=estimator)

# pipelines
depth = dict(type='RelativeDepth', skeleton='lsp', root=root)
pack = dict(type='PackPoseInputs')
source_pipeline = [*_base_.augmented, depth, dict(type='GenerateTarget', encoder=_base_.codec), pack]
unlabelled_pipeline = [*_base_.augmented, pack]
test_pipeline = [*_base_.still, depth, pack]

# data
source = dict(**_base_.surreal_3d_train, pipeline=source_pipeline)
three_dpw, mpi_inf_3dhp, h36m, humaneva = (
    dict(type='UnlabeledDataset', dataset=dict(**part, pipeline=unlabelled_pipeline))
    for part in (
        _base_.three_dpw_3d_train,
        _base_.mpi_inf_3dhp_3d_train,
        _base_.h36m_3d_train,
        _base_.humaneva_3d_train,
    )
)
stages, baseline_stages = _base_.stages, _base_.baseline_stages
stages[0].train_dataloader.dataset = dict(type='CombinedDataset', datasets=[source])
baseline_stages[0] = stages[0]
val_evaluator = [dict(type='LiftingMetric', root=root)]
test_evaluator = val_evaluator
