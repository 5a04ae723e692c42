from . import samplers, transforms
from .combined import CombinedDataset
from .lsp import LSPDataset
from .unlabeled import UnlabeledDataset, UnlabeledImageDataset

__all__ = ['CombinedDataset', 'LSPDataset', 'UnlabeledDataset', 'UnlabeledImageDataset', 'samplers', 'transforms']
