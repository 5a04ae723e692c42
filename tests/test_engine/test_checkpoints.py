import errno
import hashlib
import logging
import os
import subprocess

import pytest
import torch

from mmposeda.engine import checkpoints
from mmposeda.engine.checkpoints import CheckpointBackend, CheckpointError, check, latest, read, replace_file

RUN_STATE = dict(meta=dict(iter=1), state_dict=dict(w=torch.ones(3)), message_hub={}, optimizer={})


def save(path, content=None):
    """Write as a run does."""
    torch.save(content or RUN_STATE, path)
    data = path.read_bytes()
    path.unlink()
    CheckpointBackend().put(data, str(path))
    return path


def damage(path, at=-200):
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def full_disk(descriptor):
    """In place of ``fsync``: half of the file is there."""
    os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
    raise OSError(errno.ENOSPC, 'No space left on device')


class TestWriting:
    def test_digest_is_that_of_the_file_and_sha256sum_agrees(self, tmp_path):
        path = save(tmp_path / 'iter_1.pth')
        line = (tmp_path / 'iter_1.pth.sha256').read_text()
        assert line == f'{hashlib.sha256(path.read_bytes()).hexdigest()}  iter_1.pth\n'
        try:
            done = subprocess.run(['sha256sum', '-c', 'iter_1.pth.sha256'], cwd=tmp_path, capture_output=True)
        except FileNotFoundError:
            pytest.skip('there is no sha256sum here')
        assert done.returncode == 0

    def test_a_full_disk_is_named_and_the_old_file_kept(self, tmp_path, monkeypatch):
        old = save(tmp_path / 'iter_1.pth').read_bytes()
        monkeypatch.setattr(checkpoints.os, 'fsync', full_disk)
        with pytest.raises(CheckpointError, match=r'iter_2\.pth could not be written: No space left.* MiB are free'):
            CheckpointBackend().put(b'x' * 100, str(tmp_path / 'iter_2.pth'))
        assert sorted(os.listdir(tmp_path)) == ['iter_1.pth', 'iter_1.pth.sha256']
        with pytest.raises(CheckpointError):  # not even when its own successor fails
            CheckpointBackend().put(b'x' * 100, str(tmp_path / 'iter_1.pth'))
        assert (tmp_path / 'iter_1.pth').read_bytes() == old

    def test_nobody_ever_sees_half_a_file(self, tmp_path, monkeypatch):
        path = tmp_path / 'a.json'
        replace_file(str(path), b'old')
        seen = []
        monkeypatch.setattr(checkpoints.os, 'fsync', lambda fd: seen.append(path.read_bytes()))
        replace_file(str(path), b'new content')
        assert seen[0] == b'old'
        assert path.read_bytes() == b'new content'

    def test_removal_takes_the_digest_along(self, tmp_path):
        path = save(tmp_path / 'iter_1.pth')
        CheckpointBackend().remove(str(path))
        assert os.listdir(tmp_path) == []

    def test_leftovers_of_killed_processes_go(self, tmp_path):
        save(tmp_path / 'iter_1.pth')
        (tmp_path / 'iter_2.pth.part').write_bytes(b'half')
        (tmp_path / 'iter_0.pth.sha256').write_text('of a file that was removed')
        checkpoints.clear_aside(str(tmp_path))
        assert sorted(os.listdir(tmp_path)) == ['iter_1.pth', 'iter_1.pth.sha256']


class TestReading:
    def test_a_whole_one_passes_with_and_without_digest(self, tmp_path):
        path = save(tmp_path / 'iter_1.pth')
        check(str(path), resume=True)
        (tmp_path / 'iter_1.pth.sha256').unlink()
        check(str(path), resume=True)
        assert torch.equal(read(str(path))['state_dict']['w'], torch.ones(3))

    @pytest.mark.parametrize(
        'spoil, message',
        [
            (lambda p: p.unlink(), 'does not exist'),
            (lambda p: p.write_bytes(b''), 'is empty'),
            (lambda p: p.write_bytes(p.read_bytes()[:-100]), 'damaged'),
            (damage, 'damaged'),
        ],
        ids=['missing', 'empty', 'cut short', 'one byte'],
    )
    def test_damage_is_named_in_one_line(self, tmp_path, spoil, message):
        path = save(tmp_path / 'iter_1.pth')
        spoil(path)
        with pytest.raises(CheckpointError, match=message) as caught:
            check(str(path))
        assert str(path) in str(caught.value)
        assert '\n' not in str(caught.value)

    @pytest.mark.parametrize(
        'content',
        [b'half a zip file PK\x03\x04', b'\x89PNG\r\n\x1a\n' + bytes(100), b'{"a": 1}'],
        ids=['noise', 'picture', 'json'],
    )
    def test_foreign_files_without_digest(self, tmp_path, content):
        path = tmp_path / 'iter_1.pth'
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r'iter_1\.pth') as caught:
            check(str(path))
        assert '\n' not in str(caught.value)

    def test_a_cut_file_without_digest(self, tmp_path):
        path = tmp_path / 'iter_1.pth'
        torch.save(RUN_STATE, path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(CheckpointError, match='cut short'):
            check(str(path))

    def test_a_lone_tensor_is_no_checkpoint(self, tmp_path):
        torch.save(torch.ones(2), tmp_path / 'a.pth')
        with pytest.raises(CheckpointError, match='holds a Tensor, expected a dict'):
            check(str(tmp_path / 'a.pth'))

    def test_weights_alone_cannot_be_resumed(self, tmp_path):
        path = save(tmp_path / 'best.pth', dict(state_dict={}, meta={}))
        check(str(path))
        with pytest.raises(CheckpointError, match='has no message_hub, optimizer.*set load_from'):
            check(str(path), resume=True)


class TestLatest:
    @pytest.fixture
    def run(self, tmp_path):
        for number in (1, 2, 10):
            path = save(tmp_path / f'iter_{number}.pth')
            os.utime(path, (number, number))
        (tmp_path / 'last_checkpoint').write_text('/moved/since/iter_10.pth')
        return tmp_path

    def test_is_the_recorded_one_wherever_the_folder_is_now(self, run):
        assert latest(str(run)) == str(run / 'iter_10.pth')

    def test_falls_back_past_what_is_damaged_and_says_so(self, run, caplog, monkeypatch):
        damage(run / 'iter_10.pth')
        (run / 'iter_2.pth').write_bytes(b'')
        monkeypatch.setattr(checkpoints, 'print_log', lambda text, **_: logging.getLogger('test').warning(text))
        with caplog.at_level(logging.WARNING):
            assert latest(str(run)) == str(run / 'iter_1.pth')
        said = ' '.join(record.getMessage() for record in caplog.records)
        assert 'iter_10.pth is damaged' in said
        assert 'iter_2.pth is empty' in said

    def test_finds_one_whose_record_was_lost(self, run):
        (run / 'last_checkpoint').unlink()
        assert latest(str(run)) == str(run / 'iter_10.pth')

    def test_one_that_was_not_recorded_any_more_comes_first(self, run):
        later = save(run / 'iter_12.pth')
        os.utime(later, (later.stat().st_mtime + 5,) * 2)
        assert latest(str(run)) == str(later)

    def test_a_larger_number_of_an_earlier_attempt_does_not(self, run):
        old = save(run / 'iter_12.pth')
        os.utime(old, (3, 3))
        assert latest(str(run)) == str(run / 'iter_10.pth')

    def test_checkpoints_kept_elsewhere_are_found_by_the_record(self, run, tmp_path_factory):
        folder = tmp_path_factory.mktemp('work_dir')
        (folder / 'last_checkpoint').write_text(str(run / 'iter_2.pth'))
        assert latest(str(folder)) == str(run / 'iter_2.pth')

    def test_nothing_whole_is_an_error_not_a_fresh_start(self, run):
        for path in run.glob('*.pth'):
            damage(path)
        with pytest.raises(CheckpointError, match='none of the 3 checkpoints.*Delete the folder'):
            latest(str(run))

    def test_no_checkpoint_yet(self, tmp_path):
        assert latest(str(tmp_path)) is None
        assert latest(str(tmp_path / 'nowhere')) is None

    def test_folders_with_brackets(self, tmp_path):
        folder = tmp_path / 'run [1]*'
        folder.mkdir()
        save(folder / 'iter_3.pth')
        assert latest(str(folder)) == str(folder / 'iter_3.pth')
