"""Mixed precision without a GPU, which MMEngine's AmpOptimWrapper asks for."""

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper


class Bfloat16Wrapper(OptimWrapper):
    """What MMEngine's AmpOptimWrapper does, which takes no CPU."""

    def optim_context(self, model):
        return torch.autocast('cpu', torch.bfloat16)


class Float16Wrapper(AmpOptimWrapper):
    """MMEngine's wrapper with its scaler of losses, on the CPU."""

    def __init__(self, optimizer, **kwargs):
        OptimWrapper.__init__(self, optimizer, **kwargs)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=2.0**10)
        self._scale_update_param = None

    def optim_context(self, model):
        return torch.autocast('cpu', torch.float16)
