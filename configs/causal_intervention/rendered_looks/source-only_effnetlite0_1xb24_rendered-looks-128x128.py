# As many iterations on the labelled source as the other methods have.
_base_ = ['sd-td_effnetlite0_1xb24_rendered-looks-128x128.py']

adapt_stage = dict(name='adapt', **_base_.adapt_schedule, load_from='{pretrain}')
stages = [_base_.stages[0], adapt_stage]
