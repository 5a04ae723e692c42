# Generalisation: pictures of one other look ("SD + UD"); none of the target is opened before the test.
_base_ = ['sd-td_effnetlite0_1xb24_rendered-looks-128x128.py']

custom_hooks = [*_base_.custom_hooks, _base_.held_out]
train_dataloader = _base_.train_dataloader
train_dataloader.dataset.datasets[1].dataset.data_root = 'data/rendered_looks/dusk'
