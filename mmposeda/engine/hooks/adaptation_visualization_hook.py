"""Pictures of the adaptation while it runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from mmposeda.registry import HOOKS
from mmposeda.visualization import adaptation_panel

from ._panel_hook import PanelHook


@HOOKS.register_module()
class AdaptationVisualizationHook(PanelHook):
    """Writes a panel of source, target, teacher view, student view and pseudo-labels every few iterations.

    ``tools/plot_adaptation.py views`` draws the same of a checkpoint.

    The panel goes to ``WORK_DIR/TIMESTAMP/vis_data/adaptation_ITER.png`` and to the visualiser's backends. Drawing it
    does not disturb the run: random state and batch statistics are put back.

    Args:
        interval (int): Iterations between panels; the first comes at iteration 1.
        samples (int): Rows of a panel.

    Raises:
        TypeError: The model cannot show what it sees (has no ``preview``).
        ValueError: ``interval`` or ``samples`` below 1.
    """

    name, needs = 'adaptation', 'preview'

    def panel(self, model: nn.Module, batch: dict, metainfo: Mapping) -> np.ndarray:
        """RGB picture of a batch."""
        pre = model.data_preprocessor
        return adaptation_panel(
            model.preview(**batch), pre.mean, pre.std, metainfo.get('skeleton_links', []), self.samples
        )
