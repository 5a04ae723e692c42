# The stages at the paper's size, for a GPU: Adam, steps down. What is known are the optimiser's kind and that there are
# several stages; lengths are ours.
val_cfg = dict()
test_cfg = dict()


def schedule(iterations, lr):
    """An estimator's stage: Adam, a tenth of the rate after 70 % and 90 %."""
    return dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations // 10),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=lr)),
        param_scheduler=[
            dict(type='MultiStepLR', by_epoch=False, milestones=[iterations * 7 // 10, iterations * 9 // 10], gamma=0.1)
        ],
    )


def without_validation(iterations):
    """Length of a stage that trains no estimator."""
    nothing = ('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator')
    return dict(train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations), **dict.fromkeys(nothing))


vae_schedule = without_validation(20000)
warm_up_schedule = without_validation(4000)
pretrain_schedule = schedule(60000, 1e-3)
adapt_schedule = schedule(40000, 1e-4)
# of the estimator beside generator and discriminator, whose rates stay
causal_schedule = {
    key: value if key == 'train_cfg' else dict(student=value) for key, value in schedule(40000, 1e-4).items()
}
causal_schedule['param_scheduler'].update(generator=[], discriminator=[])
