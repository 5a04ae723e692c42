import json
import os
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest

from mmposeda.datasets.annotations import AnnotationError
from mmposeda.datasets.converters.journal import ConversionError, Journal, Made
from mmposeda.datasets.converters.summary import summary
from mmposeda.datasets.converters.units import Unit, convert

HERE = Path(__file__).resolve().parent
COMMANDS = sorted(path.stem for path in (HERE.parents[1] / 'tools/dataset_converters').glob('*.py'))


def note(folder, name, resumed):
    """Work of a unit: writes a file."""
    (Path(folder) / name).write_text(str(resumed))
    return Made(dict(clips=1), {'frame lost': [name] if name == 'b' else []}, [name], data=name.upper())


def lasting(folder, _):
    """Work that lasts: tells its process."""
    (Path(folder) / 'process').write_text(str(os.getpid()))
    time.sleep(60)


def dying(_):
    """Work whose process dies."""
    raise BrokenProcessPool


def stopped(_):
    """Work during which somebody stops the run."""
    raise KeyboardInterrupt


def failing(_):
    """Work on a damaged source."""
    raise AnnotationError('c is damaged')


def units(folder, names='ab', work=note):
    source = folder / 'source'
    source.write_text('of all')
    return [Unit(name, 'all', (str(source),), partial(work, str(folder), name)) for name in names]


def journal(folder, **settings):
    return Journal(folder / '.test.jsonl', settings)


def test_units_are_done_once(tmp_path, capsys):
    for _ in range(2):
        assert convert(units(tmp_path), journal(tmp_path)) == {}
        (tmp_path / 'a').write_text('as it is')
    assert (tmp_path / 'a').read_text() == 'as it is' and (tmp_path / 'b').read_text() == 'False'
    assert '2 of 2 clips are there, converting 0' in capsys.readouterr().out
    assert journal(tmp_path).made['b']['data'] == 'B'


def test_a_unit_that_was_cut_off_is_told_so(tmp_path):
    part = units(tmp_path)[1:]
    with pytest.raises(KeyboardInterrupt):
        convert([Unit('b', 'all', part[0].sources, stopped)], journal(tmp_path))
    convert(part, journal(tmp_path))
    assert (tmp_path / 'b').read_text() == 'True'


def test_a_source_of_another_size_or_time_is_another(tmp_path):
    convert(units(tmp_path), journal(tmp_path))
    part = units(tmp_path)
    os.utime(tmp_path / 'source', (1, 1))
    (tmp_path / 'a').write_text('old')
    convert(part, journal(tmp_path))
    assert (tmp_path / 'a').read_text() == 'False'


def test_half_a_line_at_the_end_is_cut_off(tmp_path):
    convert(units(tmp_path), journal(tmp_path))
    path = tmp_path / '.test.jsonl'
    whole = path.read_bytes()
    for cut in range(1, 30):
        path.write_bytes(whole[:-cut])
        read = journal(tmp_path)
        assert set(read.made) == {'a'} and path.read_bytes().endswith(b'\n')
    path.write_text('{"made": "a"}\n')
    with pytest.raises(ConversionError, match='no record of a conversion, or damaged: delete it'):
        journal(tmp_path)


def test_files_made_of_all_are_made_anew_where_a_unit_or_the_choice_changed(tmp_path):
    convert(units(tmp_path), journal(tmp_path))
    (tmp_path / 'all.json').write_text('[]')
    journal(tmp_path).write({'all.json': '12'}, ['a', 'b'])
    assert journal(tmp_path).is_written(['b', 'a']) and not journal(tmp_path).is_written(['a'])
    (tmp_path / 'a').unlink()
    convert(units(tmp_path), journal(tmp_path))
    assert not journal(tmp_path).is_written(['a', 'b'])


def test_the_table_has_counts_reasons_and_digests(tmp_path):
    part = [*units(tmp_path), Unit('c', 'other', (str(tmp_path / 'source'),), failing)]
    failed = convert(part, journal(tmp_path))
    read = journal(tmp_path)
    read.write({'all.json': 'ab12'}, ['a', 'b'])
    lines = summary(part, read, failed, {'all': dict(clips=2), 'other': dict(clips=1)}).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ['part', 'clips', 'official'],
        ['all', '2', '2'],
        ['other', '0', '1', '!'],
    ]
    assert lines[3].startswith('! is another number than the official one')
    assert lines[4:] == [
        'left out, frame lost: 1 (b)',
        'left out, cannot be converted: 1 (c is damaged)',
        f'sha256 ab12  {tmp_path}/all.json',
    ]
    assert all(json.loads(line) for line in (tmp_path / '.test.jsonl').read_text().splitlines())


def test_a_process_that_dies_is_told(tmp_path):
    part = [Unit('a', 'all', units(tmp_path)[0].sources, dying)]
    with pytest.raises(ConversionError, match='a process died, .* at or near a: run the same command again'):
        convert(part, journal(tmp_path))


@pytest.mark.parametrize(
    'name', sorted(path.stem for path in (HERE.parents[1] / 'tools/dataset_converters').glob('*.py'))
)
def test_every_converter_shows_an_example(tool, name, capsys):
    with pytest.raises(SystemExit) as ended:
        tool(f'dataset_converters/{name}').main(['--help'])
    text = capsys.readouterr().out
    assert not ended.value.code and 'Example:\n    ' in text and f'tools/dataset_converters/{name}.py ' in text
    assert '--jobs' in text and 'A run that' in text.replace('\n', ' ')


@pytest.mark.skipif(sys.platform == 'win32', reason='needs signals')
def test_no_process_outlives_a_killed_run(tmp_path):
    code = (
        'from functools import partial; from pathlib import Path; import test_converters_units as t\n'
        'if __name__ == "__main__":\n'
        f'    folder = Path({str(tmp_path)!r}); (folder / "source").write_text("")\n'
        '    part = [t.Unit(n, "all", (str(folder / "source"),), partial(t.lasting, str(folder))) for n in "ab"]\n'
        '    t.convert(part, t.journal(folder), jobs=2)\n'
    )
    script = tmp_path / 'script.py'
    script.write_text(code)
    path = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get('PYTHONPATH', '')])
    run = subprocess.Popen([sys.executable, str(script)], env={**os.environ, 'PYTHONPATH': path})
    try:
        wait_until(lambda: (tmp_path / 'process').is_file() and (tmp_path / 'process').read_text(), 300)
    finally:
        run.kill()
        run.wait()
    number = int((tmp_path / 'process').read_text())
    wait_until(lambda: not lives(number), 10)


def wait_until(true, seconds):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def lives(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    state = Path(f'/proc/{number}/stat')  # one that has ended may wait for somebody to ask for its status
    return not state.is_file() or state.read_text().rpartition(')')[2].split()[0] != 'Z'
