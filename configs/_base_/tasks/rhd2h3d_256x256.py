# RHD to Hand-3D-Studio as published (RegDA, UDAPE): 21 joints; hands turn all round, RHD's are all left ones.
_base_ = ['paper_256x256.py', '../datasets/rhd.py', '../datasets/hand_3d_studio.py']

estimator = dict(head=dict(out_channels=21))


def all_round(pipeline):
    """The pipeline with turns of up to 180 degrees."""
    return [dict(step, rotation=180) if 'rotation' in step else step for step in pipeline]


# pipelines
ranges = dict(rotation=180)
mirror = [_base_.source_pipeline[0], dict(type='MirrorHands')]
source_pipeline = [*mirror, *all_round(_base_.source_pipeline[1:])]
udape_source_pipeline = [*mirror, *all_round(_base_.udape_source_pipeline[1:])]
augmented_target = all_round(_base_.augmented_target)

# loaders
train_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(**_base_.rhd_train, pipeline=source_pipeline),
            dict(type='UnlabeledDataset', dataset=dict(**_base_.h3d_train, pipeline=augmented_target)),
        ]
    )
)
val_dataloader = dict(dataset=dict(**_base_.h3d_test, pipeline=_base_.target_pipeline))
test_dataloader = val_dataloader
