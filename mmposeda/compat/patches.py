"""Repairs inside mmengine and MMPose, made when the module in question is first imported."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os.path as osp
import sys
from types import ModuleType

from . import safe_loading
from .config_format import format_config, has_comments


def _survive_broken_torchvision(module: ModuleType) -> None:
    """``collect_env`` expects a torchvision that is there to be importable; one built for another torch is not."""
    collect_env = module.collect_env

    @functools.wraps(collect_env)
    def collect():
        try:
            return collect_env()
        except Exception as error:
            if 'torchvision' in sys.modules or importlib.util.find_spec('torchvision') is None:
                raise
            sys.modules['torchvision'] = None  # Python's way to say: not installed
            try:
                return dict(collect_env(), TorchVision=f'not importable ({error})')
            finally:
                del sys.modules['torchvision']

    module.collect_env = collect


def _do_without_pkg_resources(module: ModuleType) -> None:
    """Look packages up with importlib where setuptools (>= 81) no longer has ``pkg_resources``."""
    if importlib.util.find_spec('pkg_resources') is not None:
        return

    def is_installed(package: str) -> bool:
        try:
            importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            spec = importlib.util.find_spec(package)
            return spec is not None and spec.origin is not None
        return True

    def get_installed_path(package: str) -> str:
        spec = importlib.util.find_spec(package)
        if spec is None:  # the package's name is not the module's
            distribution = importlib.metadata.distribution(package)
            names = (distribution.read_text('top_level.txt') or '').split()
            spec = importlib.util.find_spec(names[0]) if names else None
        if spec is None or spec.origin is None:
            raise RuntimeError(f'cannot tell where {package} is installed')
        return osp.dirname(spec.origin)

    module.is_installed = is_installed
    module.get_installed_path = get_installed_path


def _accept_one_element_radius(module: ModuleType) -> None:
    """MMPose passes ``radius=np.array([r])`` on to ``int``, which numpy >= 2.4 allows for 0-d arrays only."""
    visualizer = module.OpencvBackendVisualizer
    draw_circles = visualizer.draw_circles

    @functools.wraps(draw_circles)
    def draw(self, center, radius, *args, **kwargs):
        if self.backend == 'opencv' and getattr(radius, 'ndim', 0):
            radius = radius.reshape(-1)[0]
        return draw_circles(self, center, radius, *args, **kwargs)

    visualizer.draw_circles = draw


def _check_annotations(module: ModuleType) -> None:
    """Look at what a data set has loaded before anything uses it; mmengine and MMPose take every path and number."""
    full_init = module.BaseDataset.full_init

    @functools.wraps(full_init)
    def full_init_checked(self):
        if self._fully_initialized:
            return
        from mmposeda.datasets.annotations import checked_loading

        with checked_loading(self):
            full_init(self)

    module.BaseDataset.full_init = full_init_checked


def _format_fast(module: ModuleType) -> None:
    """Lay configs out in milliseconds: mmengine has yapf do it, in seconds, for each run and for each checkpoint."""
    format_code = module.FormatCode
    laid_out = functools.lru_cache(maxsize=4)(format_config)

    @functools.wraps(format_code)
    def format_fast(text: str, *args, **kwargs):
        return format_code(text, *args, **kwargs) if has_comments(text) else (laid_out(text), True)

    module.FormatCode = format_fast


def _find_fast(module: ModuleType) -> None:
    """Look for ``mmpose::_base_/…`` where it lies; mmengine reads hundreds of lists of models before, to no end."""
    find = module._get_external_cfg_path

    @functools.wraps(find)
    def find_fast(package_path: str, cfg_file: str) -> str:
        if cfg_file.startswith('_base_/'):
            raise ValueError(f'{cfg_file} is in no list of models')  # as mmengine's own, after which it looks there
        return find(package_path, cfg_file)

    module._get_external_cfg_path = functools.lru_cache(maxsize=None)(find_fast)


def _hurry_configs(module: ModuleType) -> None:
    _format_fast(module)
    _find_fast(module)


PATCHES = {
    'mmengine.config.config': _hurry_configs,
    'mmengine.dataset.base_dataset': _check_annotations,
    'mmengine.fileio.handlers.pickle_handler': safe_loading.protect_pickles,
    'mmengine.fileio.handlers.yaml_handler': safe_loading.protect_yaml,
    'mmengine.runner.checkpoint': safe_loading.protect_checkpoints,
    'mmengine.runner.runner': _survive_broken_torchvision,
    'mmengine.utils.package_utils': _do_without_pkg_resources,
    'mmpose.visualization.opencv_backend_visualizer': _accept_one_element_radius,
}
"""Module name -> function that repairs it."""
