import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    if not (ROOT / 'setup.py').is_file():
        pytest.skip('needs the source tree')
    source, target = tmp_path_factory.mktemp('source') / 'mmposeda', tmp_path_factory.mktemp('wheel')
    skip = shutil.ignore_patterns('.*', 'work_dirs', 'data', 'build', 'dist', '*.egg-info', '__pycache__')
    shutil.copytree(ROOT, source, ignore=skip)
    command = ['pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', str(target), str(source)]
    subprocess.run([sys.executable, '-m', *command], check=True, capture_output=True, timeout=120)
    return zipfile.ZipFile(next(target.glob('*.whl'))), source


def test_wheel_holds_every_module_config_and_tool(wheel):
    archive, source = wheel
    names = set(archive.namelist())
    for path in source.glob('mmposeda/**/*.py'):
        assert path.relative_to(source).as_posix() in names
    for path in [*source.glob('configs/**/*.py'), *source.glob('tools/*.py'), *source.glob('tools/*.sh')]:
        assert f'mmposeda/.mim/{path.relative_to(source).as_posix()}' in names


def test_wheel_asks_for_nothing_that_would_change_an_existing_environment(wheel):
    archive, _ = wheel
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith('METADATA'))).decode()
    required = [line for line in metadata.splitlines() if line.startswith('Requires-Dist') and 'extra ==' not in line]
    assert sorted(required) == ['Requires-Dist: mmengine', 'Requires-Dist: numpy', 'Requires-Dist: torch']


def test_every_test_that_the_reliability_page_names_is_there():
    page, named = ROOT / 'docs' / 'reliability.md', 0
    if not page.is_file():
        pytest.skip('needs the source tree')
    file = None
    for token in re.findall(r'`([^`\s]*(?:::|test_\w+\.py)[^`\s]*)`', page.read_text()):
        path, *names = token.split('::')
        file = path if path.endswith('.py') else file  # else an abbreviation: the file named last
        assert file is not None, token
        text = (ROOT / 'tests' / file).read_text()
        missing = [name for name in names if not re.search(rf'^\s*(class|def) {name}\b', text, re.MULTILINE)]
        assert not missing, f'{token}: {missing} not in {file}'
        named += 1
    assert named > 30
