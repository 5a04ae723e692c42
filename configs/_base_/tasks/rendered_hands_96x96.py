# Right hands of a clean look to hands before cluttered scenes. Render them first, 5 minutes:
#   HANDS="python tools/render_people.py --what hand --side right --size 112 --workers 2 --turned-share 0
#     --frontal-share 1 --frontal-spread 40 --roll 30 --out data/rendered_hands"
#   $HANDS/source --look clean --num 8000 --seed 1
#   $HANDS/target_train --look sport --num 1600 --sequence 16 --seed 2
#   $HANDS/target_test --look sport --num 500 --seed 2 --first 100000
_base_ = ['rendered_sequences_96x96.py']

estimator = dict(head=dict(out_channels=21))


def hands(dataset, part):
    """The data set, of hands."""
    return dict(dataset, joints='hand21', ann_file='annotations/hands.json', data_root=f'data/rendered_hands/{part}')


# loaders
source, target, pairs = _base_.train_dataloader.dataset.datasets
target.dataset = pairs.dataset = hands(target.dataset, 'target_train')
train_dataloader = dict(dataset=dict(datasets=[hands(source, 'source'), target, pairs]))
val_dataloader = dict(dataset=hands(_base_.val_dataloader.dataset, 'target_test'))
test_dataloader = val_dataloader
