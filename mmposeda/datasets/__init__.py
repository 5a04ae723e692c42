from . import samplers, transforms
from .combined import CombinedDataset
from .lsp import LSPDataset
from .surreal import SURREALDataset
from .synthetic_body import SyntheticBodyDataset
from .unlabeled import UnlabeledDataset, UnlabeledImageDataset

__all__ = [
    'CombinedDataset',
    'LSPDataset',
    'SURREALDataset',
    'SyntheticBodyDataset',
    'UnlabeledDataset',
    'UnlabeledImageDataset',
    'samplers',
    'transforms',
]
