"""Domain-adaptive (synthetic-to-real) pose estimation for the MMPose ecosystem."""

from .compat import apply
from .version import __version__

apply()

__all__ = ['__version__']
