"""The one place that knows what is broken between MMPose 1.3.2 and today's stack.

* :mod:`.imports`: stand-ins for packages MMPose imports but rarely uses, while it is being imported;
* :mod:`.cocotools`: ``xtcocotools`` on top of pycocotools;
* :mod:`.safe_loading`: checkpoints and pickles of strangers are read as data;
* :mod:`.patches`: repairs inside mmengine and MMPose, made when the module in question is first imported;
* :mod:`.distributed`: several processes without a GPU.

Nothing here shadows a real package, and importing mmposeda imports neither torch nor MMPose.
"""

from importlib.util import find_spec

from . import imports, patches


def apply() -> None:
    """Make MMPose importable and mmengine's checkpoints loadable; may be called any number of times.

    Raises:
        ImportError: If MMPose, MMCV or MMEngine are not installed, with the commands that install them.
    """
    missing = [name for name in ('mmengine', 'mmcv', 'mmpose') if find_spec(name) is None]
    if missing:
        raise ImportError(
            f'mmposeda needs {", ".join(missing)}. In an environment without: pip install "mmposeda[lite]" && '
            'pip install --no-deps "mmpose>=1.3" (--no-deps because one of its requirements, chumpy, does not build).'
        )
    imports.install(patches.PATCHES)


__all__ = ['apply']
