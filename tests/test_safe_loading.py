"""Files that hold a program are refused, however they are read; what mmengine and MMPose write is read."""

import functools
import http.server
import os
import pickle
import threading
from collections import OrderedDict

import mmengine
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint

from mmposeda.compat import safe_loading
from mmposeda.compat.safe_loading import UnsafeFileError, history_method, load_tensors


class Payload:
    """Unpickles into a call."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


PAYLOADS = {
    'system': lambda marker: Payload(os.system, f'touch {marker}'),
    'eval': lambda marker: Payload(eval, f'open({str(marker)!r}, "w")'),
    'getattr': lambda marker: Payload(getattr, OrderedDict, 'fromkeys'),
    'bytes': lambda marker: Payload(bytes, 10**15),
}


@pytest.fixture(params=['of this torch', 'before 2.6'])
def torch_version(request, monkeypatch):
    """Both ways of reading; the one for older versions of torch works with all."""
    if request.param == 'before 2.6':
        monkeypatch.setattr(safe_loading, '_torch_reads_our_types', lambda: False)
    elif not safe_loading._torch_reads_our_types():
        pytest.skip('this torch is older than 2.6')


def save(path, zipped=True, **content):
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return str(path)


@pytest.mark.usefixtures('torch_version')
class TestCheckpoints:
    @pytest.mark.parametrize('zipped', [True, False])
    def test_contents_of_mmengine_checkpoints_load(self, tmp_path, zipped):
        history = HistoryBuffer()
        history.update(0.5)
        path = save(
            tmp_path / 'a.pth',
            zipped,
            history=history,
            number=np.float64(2.5),
            flag=np.bool_(True),
            sigmas=np.array([0.1, 0.2], dtype=np.float32),
            names=np.array(['head', 'hip']),
            none=np.array([], dtype=np.float32),
            weights=OrderedDict(w=torch.arange(3), p=torch.nn.Parameter(torch.ones(2).half())),
        )
        loaded = mmengine_checkpoint.load_checkpoint(torch.nn.Module(), path, strict=False)
        assert loaded['history'].current() == 0.5
        assert loaded['number'] == 2.5
        assert loaded['flag']
        np.testing.assert_array_equal(loaded['sigmas'], np.array([0.1, 0.2], dtype=np.float32))
        assert list(loaded['names']) == ['head', 'hip']
        assert loaded['none'].shape == (0,) and loaded['none'].dtype == np.float32
        assert loaded['weights']['w'].tolist() == [0, 1, 2]
        assert loaded['weights']['p'].dtype == torch.float16

    @pytest.mark.parametrize('zipped', [True, False])
    @pytest.mark.parametrize('name', PAYLOADS)
    def test_code_is_refused_in_one_line(self, tmp_path, name, zipped):
        marker = tmp_path / 'ran'
        path = save(tmp_path / 'a.pth', zipped, state_dict={}, payload=PAYLOADS[name](marker))
        with pytest.raises(
            UnsafeFileError, match=r'a\.pth is refused: it asks for .*\. Nothing in it was run'
        ) as caught:
            mmengine_checkpoint.load_checkpoint(torch.nn.Module(), path)
        assert '\n' not in str(caught.value)
        assert not marker.exists()

    def test_the_payload_is_one(self, tmp_path):
        marker = tmp_path / 'ran'
        path = save(tmp_path / 'a.pth', payload=PAYLOADS['eval'](marker))
        torch.load(path, weights_only=False)
        assert marker.exists()

    def test_an_environment_variable_does_not_turn_it_off(self, tmp_path, monkeypatch):
        monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
        marker = tmp_path / 'ran'
        with pytest.raises(UnsafeFileError):
            load_tensors(save(tmp_path / 'a.pth', payload=PAYLOADS['eval'](marker)))
        assert not marker.exists()

    def test_weights_from_an_address_run_no_code(self, tmp_path, monkeypatch):
        """``torch.hub`` loads with ``weights_only=False`` in every version."""
        served, cache = tmp_path / 'served', tmp_path / 'cache'
        served.mkdir()
        save(served / 'good.pth', state_dict={'w': torch.ones(1)})
        save(served / 'bad.pth', state_dict={}, payload=PAYLOADS['eval'](tmp_path / 'ran'))
        monkeypatch.setenv('TORCH_HOME', str(cache))
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
        with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f'http://127.0.0.1:{server.server_port}'
            good = mmengine_checkpoint._load_checkpoint(f'{address}/good.pth')
            with pytest.raises(UnsafeFileError, match=r'bad\.pth is refused'):
                mmengine_checkpoint._load_checkpoint(f'{address}/bad.pth')
            server.shutdown()
        assert good['state_dict']['w'] == 1
        assert not (tmp_path / 'ran').exists()


def test_only_statistics_of_the_log_history_are_methods():
    assert history_method(HistoryBuffer, 'mean') is HistoryBuffer.mean
    for owner, name in ((HistoryBuffer, '__init__'), (np, 'min')):
        with pytest.raises(UnsafeFileError, match='asks for attribute'):
            history_method(owner, name)


class TestOtherFiles:
    def test_pickles_of_data_are_read(self, tmp_path):
        content = dict(
            boxes=[np.eye(2), np.float32(1)], names={'a', 'b'}, cameras=OrderedDict(w=torch.ones(2)), t=(1, b'x')
        )
        mmengine.dump(content, tmp_path / 'a.pkl')
        loaded = mmengine.load(tmp_path / 'a.pkl')
        np.testing.assert_array_equal(loaded['boxes'][0], np.eye(2))
        assert loaded['cameras']['w'].tolist() == [1, 1]
        assert (loaded['names'], loaded['t']) == ({'a', 'b'}, (1, b'x'))

    @pytest.mark.parametrize('name', PAYLOADS)
    def test_pickles_with_code_are_refused(self, tmp_path, name):
        marker = tmp_path / 'ran'
        (tmp_path / 'a.pkl').write_bytes(pickle.dumps([PAYLOADS[name](marker)]))
        with pytest.raises(UnsafeFileError, match='a pickle file is refused: it asks for'):
            mmengine.load(tmp_path / 'a.pkl')
        assert not marker.exists()

    def test_a_checkpoint_inside_a_tensor_of_a_pickle_is_refused_too(self, tmp_path):
        """A tensor in a plain pickle holds its numbers as the bytes of a checkpoint, which torch loads as a program."""
        marker, inner = tmp_path / 'ran', tmp_path / 'inner'
        save(inner, payload=PAYLOADS['eval'](marker))
        outer = pickle.dumps(Payload(torch.storage._load_from_bytes, inner.read_bytes()))
        (tmp_path / 'a.pkl').write_bytes(outer)
        with pytest.raises(UnsafeFileError):
            mmengine.load(tmp_path / 'a.pkl')
        assert not marker.exists()

    def test_yaml_builds_no_objects(self, tmp_path):
        marker = tmp_path / 'ran'
        (tmp_path / 'a.yaml').write_text(f'!!python/object/apply:builtins.open [{str(marker)!r}, w]')
        with pytest.raises(Exception, match='could not determine a constructor'):
            mmengine.load(tmp_path / 'a.yaml')
        assert not marker.exists()
        (tmp_path / 'a.yaml').write_text('a: [1, b]')
        assert mmengine.load(tmp_path / 'a.yaml') == dict(a=[1, 'b'])
