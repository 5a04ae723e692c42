import pytest
from mmengine.config import Config

from mmposeda.registry import DATA_SAMPLERS, DATASETS, METRICS

CHILD = """
_base_ = ['{root}/configs/_base_/datasets/lspet_subset.py', '{root}/configs/_base_/datasets/rendered_people.py']
codec = dict(type='MSRAHeatmap', input_size=(128, 128), heatmap_size=(32, 32), sigma=1.5)
target_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.0),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PackPoseInputs'),
]
source_pipeline = [*target_pipeline[:-1], dict(type='GenerateTarget', encoder=codec), target_pipeline[-1]]
train = dict(
    type='CombinedDataset',
    datasets=[
        dict(**_base_.lsp_val, pipeline=source_pipeline),
        dict(type='UnlabeledDataset', dataset=dict(**_base_.lsp_train, pipeline=target_pipeline)),
    ],
)
"""


@pytest.fixture
def config(tmp_path, shared_data, pytestconfig, monkeypatch):
    (tmp_path / 'data').symlink_to(shared_data)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'child.py').write_text(CHILD.format(root=pytestconfig.rootpath))
    return Config.fromfile(tmp_path / 'child.py')


def test_a_child_adds_its_pipelines(config):
    dataset = DATASETS.build(config.train)
    assert [len(d) for d in dataset.datasets] == [294, 1706]
    assert dataset.metainfo['dataset_name'] == 'lsp'
    sampler = DATA_SAMPLERS.build(dict(type='DomainSampler', dataset=dataset, quotas=[1, 1], seed=0))
    index = iter(sampler)
    source, target = dataset[next(index)], dataset[next(index)]
    assert set(source) == set(target) == {'inputs', 'data_samples'}
    assert source['data_samples'].gt_fields.heatmaps.shape == (14, 32, 32)
    assert target['data_samples'].domain == 'target' and target['inputs'].shape == (3, 128, 128)


def test_parts_and_metrics_build(config):
    lengths = {name: len(DATASETS.build(config[name])) for name in ('lsp_train', 'lsp_val', 'lsp_trainval', 'lsp_test')}
    assert lengths == dict(lsp_train=1706, lsp_val=294, lsp_trainval=2000, lsp_test=500)
    built = [type(METRICS.build(m)).__name__ for m in config.test_evaluator]
    assert built == ['GroupedPCK', 'EvalPose', 'LeftRightSeparation']


def test_workers_carry_samples_only(config):
    """MMPose's own class would send the whole data set along with every batch."""
    import pickle

    dataset = DATASETS.build(config.train)
    assert len(pickle.dumps(dataset[0])) < 600_000
