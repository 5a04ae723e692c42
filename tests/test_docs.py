"""What the pages say can be typed: commands, configs in Python, links, and the code that they quote."""

import ast
import contextlib
import importlib.util
import inspect
import os
import re
import subprocess
from pathlib import Path

import pytest
from mmengine.registry import FUNCTIONS

import projects.flip_consistency.flip_consistency  # noqa: F401  (registers the example)
from mmposeda import registry

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md'), *ROOT.glob('projects/**/*.md')])
#: What commands call; each is replaced by a script that writes down its arguments
PROGRAMS = ('python', 'pip', 'make', 'mpirun', 'srun', 'sbatch')
#: Pages whose text is not ours, or is made of commit messages
SKIPPED = ('CHANGELOG.md',)

pytestmark = pytest.mark.skipif(not (ROOT / 'docs').is_dir(), reason='needs the source tree')


def blocks(page, language):
    return re.findall(rf'^```{language}\n(.*?)^```', page.read_text(), re.MULTILINE | re.DOTALL)


def cases(language):
    found = [(page, block) for page in PAGES if page.name not in SKIPPED for block in blocks(page, language)]
    return [pytest.param(*case, id=f'{case[0].relative_to(ROOT)}-{n}') for n, case in enumerate(found)]


def said(block, folder):
    """Command lines, as lists of words, that a block of shell comes to; nothing of them is run."""
    log, programs = folder / 'log', folder / 'bin'
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\0" {name} "$@" >> "{log}"; printf "\\n\\0" >> "{log}"\n')
        (programs / name).chmod(0o755)
    text = block.replace('.venv/bin/python', 'python').replace('/path/to/', str(folder) + '/')
    environment = dict(os.environ, PATH=f'{programs}:{os.environ["PATH"]}')
    (folder / 'tools').symlink_to(ROOT / 'tools')
    (folder / 'data').mkdir()
    result = subprocess.run(
        ['bash', '-eu'], input=text, text=True, capture_output=True, cwd=folder, env=environment, timeout=60
    )
    assert result.returncode == 0, result.stderr
    words = log.read_text().split('\0') if log.is_file() else []
    lines, line = [], []
    for word in words:
        if word == '\n':
            lines.append(line)
            line = []
        else:
            line.append(word)
    return lines


def load(path):
    spec = importlib.util.spec_from_file_location(f'documented_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        spec.loader.exec_module(module)
    return module


def check_tool(script, arguments):
    assert script.is_file(), f'{script} is not there'
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr('os.path.isfile', lambda path: True)  # some look for files of the user's
            load(script).parse_args(arguments)
    except SystemExit as error:
        pytest.fail(f'{script.name} does not take {" ".join(arguments)}: {error}')
    for word in arguments:
        path = word[1:] if word.startswith('@') else word.partition('=')[2] or word
        if path.startswith(('configs/', 'projects/', 'tools/', 'tests/')) and '…' not in path:
            assert (ROOT / path).exists(), f'{path} is not there'
    tests = [path.read_text() for path in (ROOT / 'tests').rglob('*.py') if path != Path(__file__)]
    name = re.escape(script.stem)
    runs = re.compile(rf"tool\('(\w+/)*{name}'\)|{name}\.py|import {name}\b")
    assert any(runs.search(text) for text in tests), f'no test runs {script.name}'


@pytest.mark.parametrize('page, block', cases('bash'))
def test_commands_are_taken_by_the_tools_of_today(page, block, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for program, *words in said(block, tmp_path):
        while program == 'mpirun':
            program, *words = words[words.index('python') :]
        if program == 'make':
            targets = [word for word in words if '=' not in word]
            assert set(targets) <= set(re.findall(r'^(\w[\w-]*):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
        elif program == 'python' and words[0].startswith(str(ROOT)):
            check_tool(Path(words[0]), words[1:])
        elif program == 'python' and words[0].startswith('tools/'):
            check_tool(ROOT / words[0], words[1:])
        elif program == 'python':
            assert words[0] in ('-m', '-c'), words
            if words[0] == '-c':
                compile(words[1], str(page), 'exec')


def registered(name):
    nodes = [FUNCTIONS, *(node for node in vars(registry).values() if isinstance(node, registry.Registry))]
    return next((found for found in (node.get(name) for node in nodes) if found is not None), None)


def takes(kind, argument):
    """Whether a class, or a parent that it hands the rest to, has the argument."""
    for parent in inspect.getmro(kind):
        parameters = {}
        with contextlib.suppress(TypeError, ValueError):
            parameters = inspect.signature(parent.__init__).parameters
        if argument in parameters:
            return True
        if '__init__' in vars(parent) and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return False
    return False


@pytest.mark.parametrize('page, block', cases('python'))
def test_configs_in_the_text_name_what_there_is(page, block):
    for node in ast.walk(ast.parse(block)):
        if not (isinstance(node, ast.Call) and getattr(node.func, 'id', '') == 'dict'):
            continue
        given = {word.arg: word.value for word in node.keywords if word.arg}
        if not isinstance(given.get('type'), ast.Constant):
            continue
        kind = registered(given['type'].value)
        assert kind is not None, f'{given["type"].value} is in no registry'
        unknown = [name for name in given if name not in ('type', '_delete_', '_scope_') and not takes(kind, name)]
        # MMEngine hands the keys of its loaders and hooks on
        assert not unknown or not inspect.isclass(kind), f'{given["type"].value} has no {", ".join(unknown)}'


def slugs(page):
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = [re.sub(r'[`*]|\[|\]\([^)]*\)', '', head) for head in re.findall(r'^#+ (.*)$', text, re.MULTILINE)]
    plain = [re.sub(r'[^\w\- ]', '', head.strip().lower()).replace(' ', '-') for head in heads]
    return {f'{head}-{plain[:n].count(head)}' if head in plain[:n] else head for n, head in enumerate(plain)}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = re.sub(r'^```.*?^```', '', page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r'\]\(([^)\s]+)\)|src="([^"]+)"', text):
        link = link[0] or link[1]
        if re.match(r'\w+:', link):
            continue
        path, _, anchor = link.partition('#')
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f'{link} leads nowhere'
        assert not anchor or anchor in slugs(target), f'{link}: no such heading'


def test_the_worked_example_is_quoted_as_it_is():
    files = (ROOT / 'projects' / 'flip_consistency').rglob('*.py')
    kept = set()
    for path in files:
        text = re.sub(r'\n\s*"""(.*?)"""\n', '\n', path.read_text(), flags=re.DOTALL)
        kept |= {line.strip() for line in text.splitlines()}
    quoted = blocks(ROOT / 'docs' / 'write_a_method.md', 'python')
    assert len(quoted) == 2
    for line in '\n'.join(quoted).splitlines():
        assert line.strip() in kept, f'not in the example: {line}'
