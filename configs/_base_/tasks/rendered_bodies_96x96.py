# People of a clean look to people before cluttered scenes. Render them first, 5 minutes:
#   PEOPLE="python tools/render_people.py --size 112 --workers 2 --frontal-share 0.8 --frontal-spread 35
#     --turned-share 0.1 --out data/rendered_bodies"
#   $PEOPLE/source --look clean --num 8000 --seed 1
#   $PEOPLE/target_train --look sport --num 1600 --sequence 16 --seed 2
#   $PEOPLE/target_test --look sport --num 500 --seed 2 --first 100000
_base_ = ['rendered_sequences_96x96.py']


def people(dataset, part):
    """The data set, of people."""
    return dict(dataset, joints='lsp', data_root=f'data/rendered_bodies/{part}')


# loaders
source, target, pairs = _base_.train_dataloader.dataset.datasets
target.dataset = pairs.dataset = people(target.dataset, 'target_train')
train_dataloader = dict(dataset=dict(datasets=[people(source, 'source'), target, pairs]))
val_dataloader = dict(dataset=people(_base_.val_dataloader.dataset, 'target_test'))
test_dataloader = val_dataloader
