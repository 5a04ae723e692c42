# RHD, rendered hands, to real ones in 3D. Right hands are mirrored; errors and AUC (20 to 50 mm) from the middle
# finger's root. The paper's pairs of hand sets are not known.
_base_ = [
    'integral_256x256.py',
    '../datasets/rhd.py',
    '../datasets/ganerated.py',
    '../datasets/freihand.py',
    '../datasets/panoptic_hand.py',
    '../datasets/stb.py',
]
root = 'middle_finger1'
codec = dict(_base_.codec, depth_range=200)
estimator = _base_.estimator
estimator['head'].update(skeleton='hand21', root=root, decoder=codec)
model = dict(estimator=estimator)

# pipelines
mirror = [_base_.crop[0], dict(type='MirrorHands')]
depth = dict(type='RelativeDepth', skeleton='hand21', root=root)
pack = dict(type='PackPoseInputs')
source_pipeline = [*mirror, *_base_.augmented[1:], depth, dict(type='GenerateTarget', encoder=codec), pack]
unlabelled_pipeline = [*_base_.augmented, pack]
test_pipeline = [*mirror, *_base_.still[1:], depth, pack]

# data
source = dict(**_base_.rhd_train, pipeline=source_pipeline)
# other names than the data sets' own, into which MMEngine would merge them
unlabelled_stb, unlabelled_freihand, unlabelled_panoptic, unlabelled_ganerated = (
    dict(type='UnlabeledDataset', dataset=dict(**part, pipeline=unlabelled_pipeline))
    for part in (_base_.stb_train, _base_.freihand_train, _base_.panoptic_hand_train, _base_.ganerated_train)
)
stages, baseline_stages = _base_.stages, _base_.baseline_stages
stages[0].train_dataloader.dataset = dict(type='CombinedDataset', datasets=[source])
baseline_stages[0] = stages[0]
val_evaluator = [
    dict(
        type='LiftingMetric',
        modes=('mpjpe', 'pa-mpjpe', 'pck', 'auc'),
        root=root,
        threshold=30,
        auc_thresholds=list(range(20, 51)),
    )
]
test_evaluator = val_evaluator
