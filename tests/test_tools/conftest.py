import importlib.util
import shutil
import socket
from pathlib import Path

import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer
from mmpose.visualization import PoseLocalVisualizer
from toy import write_toy
from toy_adaptation import write_adaptation
from toy_lifting import write_lifting

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def tool():
    """Return a function that imports ``tools/NAME.py``."""

    def load(name):
        # MMEngine names a run's log, hub and visualiser by the second: two runs within one would share them
        for kind in (MMLogger, MessageHub, Visualizer, PoseLocalVisualizer):
            kind._instance_dict.clear()
        spec = importlib.util.spec_from_file_location(f'tools_{name}', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def toy(tmp_path):
    """Return a function that writes the toy task, with more config text, and returns its config's path."""
    return lambda more='', **kwargs: write_toy(
        tmp_path, ROOT / 'configs' / '_base_' / 'default_runtime.py', more, **kwargs
    )


@pytest.fixture
def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


@pytest.fixture
def toy_adaptation(tmp_path):
    """Return a function that writes the toy adaptation, with more config text, and returns its config's path."""
    return lambda more='', **kwargs: write_adaptation(
        tmp_path, ROOT / 'configs' / '_base_' / 'default_runtime.py', more, **kwargs
    )


@pytest.fixture
def toy_lifting(tmp_path):
    """Return a function that writes the toy lifting task, with more config text, and returns its config's path."""
    return lambda more='', **kwargs: write_lifting(
        tmp_path, ROOT / 'configs' / '_base_' / 'default_runtime.py', more, **kwargs
    )


@pytest.fixture
def tools_path(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.chdir(ROOT)


@pytest.fixture
def zoo(tools_path):
    """The package of tools/model_zoo.py."""
    import zoo.catalogue
    import zoo.page
    import zoo.records
    import zoo.runs

    return zoo


@pytest.fixture
def zoo_main(tools_path):
    """Run tools/model_zoo.py."""
    import model_zoo

    return model_zoo.main


@pytest.fixture
def zoo_root(tmp_path):
    """A repository with the tasks and papers of ours, and no record."""
    folder = tmp_path / 'repository' / 'docs' / 'model_zoo'
    folder.mkdir(parents=True)
    for name in ('tasks.yml', 'papers.yml'):
        shutil.copy(ROOT / 'docs' / 'model_zoo' / name, folder)
    (folder.parent / 'methods').mkdir()
    return folder.parents[1]
