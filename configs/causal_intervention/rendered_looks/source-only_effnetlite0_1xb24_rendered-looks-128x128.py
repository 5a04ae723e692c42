# As many iterations on the labelled source as the other methods have.
_base_ = ['sd-td_effnetlite0_1xb24_rendered-looks-128x128.py']

adapt_stage = dict(_base_.baseline_stage, **_base_.adapt_schedule)
stages = [_base_.stages[0], adapt_stage]
