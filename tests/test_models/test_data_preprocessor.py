import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmposeda.models.data_preprocessor import DomainDataPreprocessor
from mmposeda.registry import MODELS

BASE = dict(type='PoseDataPreprocessor', mean=[120.0, 110.0, 100.0], std=[50.0, 60.0, 70.0], bgr_to_rgb=True)


def batch(domains, size=8):
    g = torch.Generator().manual_seed(0)
    samples = []
    for i, domain in enumerate(domains):
        sample = PoseDataSample(gt_instances=InstanceData(), metainfo=dict(img_id=i))
        if domain:
            sample.set_metainfo(dict(domain=domain))
        samples.append(sample)
    inputs = [torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=g) for _ in domains]
    return dict(inputs=inputs, data_samples=samples, flip_indices=[[0]], dataset_keypoint_weights=None)


def test_splits_by_domain_keeping_order_and_values():
    pre, base = MODELS.build(dict(type='DomainDataPreprocessor', base=BASE)), MODELS.build(BASE)
    data = batch([None, 'target', 'source', 'target', None])
    out = pre(data, True)
    assert set(out) == {'inputs', 'data_samples'}
    plain = base(dict(inputs=data['inputs'], data_samples=data['data_samples']), True)['inputs']
    for domain, picked in (('source', [0, 2, 4]), ('target', [1, 3])):
        torch.testing.assert_close(out['inputs'][domain], plain[picked], rtol=0, atol=0)
        assert [s.img_id for s in out['data_samples'][domain]] == picked


@pytest.mark.parametrize('domain', ['source', 'target'])
def test_a_missing_domain_is_missing_from_the_dicts(domain):
    out = DomainDataPreprocessor(BASE)(batch([domain] * 2), True)
    assert list(out['inputs']) == list(out['data_samples']) == [domain]


def test_outside_training_it_is_the_base():
    data = batch(['target', None])
    out = DomainDataPreprocessor(BASE)(data, False)
    want = MODELS.build(BASE)(data, False)
    assert set(out) == set(want)
    torch.testing.assert_close(out['inputs'], want['inputs'], rtol=0, atol=0)
    assert [s.img_id for s in out['data_samples']] == [0, 1]


def test_takes_a_stacked_batch():
    data = batch([None, 'target'])
    stacked = {**data, 'inputs': torch.stack(data['inputs'])}
    a, b = DomainDataPreprocessor(BASE)(data, True), DomainDataPreprocessor(BASE)(stacked, True)
    torch.testing.assert_close(a['inputs']['target'], b['inputs']['target'], rtol=0, atol=0)


def test_mean_and_std_undo_the_normalisation():
    pre = DomainDataPreprocessor(BASE)
    data = batch(['source'])
    assert pre.mean.shape == pre.std.shape == (1, 3, 1, 1)
    back = pre(data, True)['inputs']['source'] * pre.std + pre.mean
    torch.testing.assert_close(back[0].flip(0), data['inputs'][0].float(), atol=1e-3, rtol=0)
    assert not any('mean' in k or 'std' in k for k in pre.state_dict())


def test_pictures_come_back_from_the_range_of_one():
    processor = DomainDataPreprocessor(dict(mean=[120.0, 110.0, 100.0], std=[60.0, 50.0, 40.0]))
    normalised = torch.randn(4, 3, 5, 6)
    torch.testing.assert_close(processor.normalised(processor.unit(normalised)), normalised, atol=1e-5, rtol=0)


def test_base_without_normalisation_has_neutral_statistics():
    pre = DomainDataPreprocessor(dict(type='PoseDataPreprocessor'))
    assert pre.mean.eq(0).all() and pre.std.eq(1).all()


def test_moves_with_the_module_around_it():
    parent = torch.nn.ModuleDict(dict(pre=DomainDataPreprocessor(BASE)))
    pre = parent.to('meta')['pre']
    assert pre.mean.is_meta and pre.base.mean.is_meta
    pre = DomainDataPreprocessor(BASE).to('meta')
    assert pre(batch(['target']), True)['inputs']['target'].is_meta


def test_unknown_domain_is_refused():
    with pytest.raises(ValueError, match="'other'.*'source', 'target'"):
        DomainDataPreprocessor(BASE)(batch(['other']), True)


def joined(data, places, count):
    """The pictures at some places of a batch as ``count`` pictures in one, each a grey level brighter."""
    for i in places:
        data['inputs'][i] = torch.cat([data['inputs'][i] + n for n in range(count)])
    return data


@pytest.mark.parametrize('domain', ['pair', 'clip'])
@pytest.mark.parametrize('count', [1, 2, 5])
def test_pairs_and_clips_are_preprocessed_picture_by_picture(domain, count):
    data = joined(batch(['source', domain, 'target', domain]), (1, 3), count)
    out = DomainDataPreprocessor(BASE)(data, True)
    assert out['inputs'][domain].shape == (2, count, 3, 8, 8)
    assert [s.img_id for s in out['data_samples'][domain]] == [1, 3]
    assert all(s.batch_input_shape == (8, 8) for s in out['data_samples'][domain])
    for n in range(count):
        alone = dict(inputs=[data['inputs'][i][3 * n : 3 * n + 3] for i in (1, 3)], data_samples=[])
        want = MODELS.build(BASE)(alone, True)['inputs']
        torch.testing.assert_close(out['inputs'][domain][:, n], want, rtol=0, atol=0)


@pytest.mark.parametrize('domain', ['pair', 'clip'])
def test_pairs_and_clips_may_be_stacked_or_of_different_sizes(domain):
    data = joined(batch([domain] * 2), (0, 1), 4)
    want = DomainDataPreprocessor(BASE)(data, True)['inputs'][domain]
    stacked = dict(inputs=torch.stack(data['inputs']), data_samples=data['data_samples'])
    torch.testing.assert_close(DomainDataPreprocessor(BASE)(stacked, True)['inputs'][domain], want, rtol=0, atol=0)
    data['inputs'][1] = data['inputs'][1][:, :6]
    out = DomainDataPreprocessor(BASE)(data, True)['inputs'][domain]
    torch.testing.assert_close(out[0], want[0], rtol=0, atol=0)
    torch.testing.assert_close(out[1, :, :, :6], want[1, :, :, :6], rtol=0, atol=0)


@pytest.mark.parametrize('domain', ['pair', 'clip'])
def test_samples_of_different_lengths_in_one_batch_are_refused(domain):
    data = batch([domain] * 2)
    data['inputs'][1] = data['inputs'][1].repeat(2, 1, 1)
    with pytest.raises(ValueError, match=rf'{domain}s of one batch .* pictures of 3 channels each, got \[3, 6\]'):
        DomainDataPreprocessor(BASE)(data, True)
