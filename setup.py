"""Packaging: see CONTRIBUTING.md for the commands."""

import os
import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


def read_requirements(name):
    """Requirements of one file, without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


class BuildWithConfigs(build_py):
    """Put configs and tools into ``mmposeda/.mim``, where MMEngine and MIM look for them."""

    def run(self):
        """Copy them into a wheel; link to them in an editable install."""
        super().run()
        for name in ('configs', 'tools'):
            if self.editable_mode:
                link = ROOT / 'mmposeda' / '.mim' / name
                link.parent.mkdir(exist_ok=True)
                if not link.exists():
                    link.symlink_to(os.path.relpath(ROOT / name, link.parent), target_is_directory=True)
            else:
                target = Path(self.build_lib) / 'mmposeda' / '.mim' / name
                shutil.copytree(ROOT / name, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__'))


setup(
    name='mmposeda',
    version=re.search(r"__version__ = '(.+)'", (ROOT / 'mmposeda' / 'version.py').read_text())[1],
    description='Domain-adaptive (synthetic-to-real) pose estimation for the MMPose ecosystem',
    long_description=(ROOT / 'README.md').read_text() if (ROOT / 'README.md').exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.9',
    packages=find_packages(include=['mmposeda', 'mmposeda.*']),
    package_data={'mmposeda': ['datasets/metainfo/*.py']},
    # Names without versions, so that an existing environment stays as it is. mmpose and mmcv are left out: pip would
    # try to build chumpy for the one, and put mmcv-lite over a full mmcv for the other.
    install_requires=['mmengine', 'numpy', 'torch'],
    extras_require={
        'lite': [line for line in read_requirements('runtime') if line not in ('mmengine', 'numpy', 'torch')],
        'synth': read_requirements('synth'),
        'convert': read_requirements('convert'),
        'test': read_requirements('tests'),
    },
    cmdclass={'build_py': BuildWithConfigs},
    zip_safe=False,
)
