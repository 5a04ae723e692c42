# A head without heatmaps in an adapter: MMPose's SimCC config, otherwise untouched. UDAPE refuses it, as it compares
# heatmaps.
_base_ = ['mmpose::body_2d_keypoint/simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py']
default_scope = 'mmposeda'
model = dict(_delete_=True, type='SourceOnly', estimator=_base_.model)
