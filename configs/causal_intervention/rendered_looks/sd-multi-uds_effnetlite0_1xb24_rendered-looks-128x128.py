# Generalisation: as many pictures of each of four other looks ("SD + Multi-UDs"); none of the target is opened before
# the test.
_base_ = ['sd-ud_effnetlite0_1xb24_rendered-looks-128x128.py']

source, other = _base_.train_dataloader.dataset.datasets
others = [
    dict(other, dataset=dict(other.dataset, data_root=f'data/rendered_looks/{look}'))
    for look in ('dusk', 'neon', 'print', 'studio')
]
train_dataloader = dict(sampler=dict(quotas=[24, 6, 6, 6, 6]), dataset=dict(datasets=[source, *others]))
