# Contrasts, the relation of poses and both relations of motions.
_base_ = ['../../_base_/tasks/rendered_motions_96x96.py']

model = dict(estimator=_base_.estimator)
stages = [
    _base_.pose_embedding_stage,
    _base_.motion_embedding_stage,
    _base_.source_stage,
    _base_.relations_stage,
    _base_.adapt_stage,
]
