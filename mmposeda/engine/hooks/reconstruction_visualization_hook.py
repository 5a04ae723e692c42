"""Pictures of the reconstruction while it is trained."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from mmposeda.registry import HOOKS
from mmposeda.visualization import reconstruction_panel

from ._model import unwrapped
from ._panel_hook import PanelHook


@HOOKS.register_module()
class ReconstructionVisualizationHook(PanelHook):
    """Writes a panel of what becomes of some pairs of the batch every few iterations.

    The panel, see :func:`~mmposeda.visualization.reconstruction_panel`, goes to
    ``WORK_DIR/TIMESTAMP/vis_data/reconstruction_ITER.png`` and to the visualiser's backends. The networks are in
    evaluation mode, and the pair's view and colours are drawn for the panel; the run is not disturbed.

    Args:
        interval (int): Iterations between panels; the first comes at iteration 1.
        samples (int): Most rows of a panel.

    Raises:
        TypeError: The model reconstructs nothing (has no ``preview_pair``).
        ValueError: ``interval`` or ``samples`` below 1; a model without a reconstruction, or a batch without a pair.
    """

    name, needs = 'reconstruction', 'preview_pair'

    def before_train(self, runner) -> None:
        """Check the model."""
        super().before_train(runner)
        model = unwrapped(runner)
        if model.reconstruction is None:
            raise ValueError(
                f'ReconstructionVisualizationHook has nothing to show of a {type(model).__name__} with '
                'reconstruction=None: leave the hook out'
            )

    def panel(self, model: nn.Module, batch: dict, metainfo: Mapping) -> np.ndarray:
        """RGB picture of a batch."""
        pairs = batch['inputs'].get('pair')
        if pairs is None:
            raise ValueError(
                'A training batch without a pair sample, which ReconstructionVisualizationHook draws: check the quotas '
                'of the DomainSampler, or leave the hook out of this stage.'
            )
        return reconstruction_panel(model.preview_pair(dict(pair=pairs[: self.samples])), metainfo)
