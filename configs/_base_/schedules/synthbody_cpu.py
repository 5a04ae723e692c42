# Two CPU cores: AdamW, warm-up and cosine; the pre-trained backbone moves slower than the rest.
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-2),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.3)}),
)
val_cfg = dict()
test_cfg = dict()
