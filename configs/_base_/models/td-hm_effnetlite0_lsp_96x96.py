# The 128x128 estimator for smaller pictures; the first blocks of the pre-trained backbone stay as they are.
_base_ = ['td-hm_effnetlite0_lsp_128x128.py']
codec = dict(type='MSRAHeatmap', input_size=(96, 96), heatmap_size=(24, 24), sigma=1.2, unbiased=True)

estimator = dict(backbone=dict(frozen_stages=2), head=dict(decoder=codec))
