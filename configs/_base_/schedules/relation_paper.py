# The stages at the paper's size, for a GPU: optimisers and rates of the authors' code, but of the first stage, which
# took about 1.5 million iterations at 2e-6 there. Lengths are not known beyond "at most 100,000" for the second and
# fourth: the others are ours.
_base_ = ['../methods/relation_distillation.py']
val_cfg = dict()
test_cfg = dict()


def wrapper(kind, lr):
    """Wrapper of one optimiser."""
    return dict(optimizer=dict(type=kind, lr=lr))


def length(iterations):
    """Iterations."""
    return dict(type='IterBasedTrainLoop', max_iters=iterations)


pose_embedding_stage = dict(
    train_cfg=length(200000), optim_wrapper=dict(pose=wrapper('Adam', 1e-4), discriminator=wrapper('Adam', 1e-4))
)
motion_embedding_stage = dict(train_cfg=length(100000), optim_wrapper=wrapper('RMSprop', 1e-4))
source_stage = dict(train_cfg=dict(**length(200000), val_interval=20000), optim_wrapper=wrapper('Adam', 1e-5))
relations_stage = dict(train_cfg=length(100000), optim_wrapper=wrapper('RMSprop', 1e-3))
adapt_stage = dict(
    train_cfg=dict(**length(50000), val_interval=5000),
    optim_wrapper=dict(
        default=wrapper('Adam', 1e-5), pose_contrast=wrapper('Adam', 2e-5), motion_contrast=wrapper('Adam', 2e-5)
    ),
)
