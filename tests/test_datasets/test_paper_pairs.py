"""Pairs of data sets that some of the papers report beside the usual three, at paper size, on miniatures."""

import pytest
from body_miniatures import write_dpw, write_pictures
from miniatures import write_mvhand, write_rhd, write_surreal
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from test_freihand import write_freihand

from mmposeda.datasets import ThreeDPWDataset
from mmposeda.engine.stages import stage_config, stage_names

TASKS = dict(freihand2rhd=21, rhd2mvhand=21, surreal23dpw=16)
METHODS = ('source_only', 'regda', 'udape', 'cc_ssl')
CASES = [(method, task) for method in METHODS for task in TASKS]
CASES += [('ddc', 'freihand2rhd'), *(('geometric_reconstruction', task) for task in ('rhd2mvhand', 'surreal23dpw'))]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('pairs') / 'data'
    write_surreal(root / 'surreal_processed', count=3)
    write_rhd(root / 'RHD_published_v2')
    write_freihand(root / 'FreiHAND_pub_v2')
    write_mvhand(root / 'mvhand')
    for split in ('train', 'test'):
        write_dpw(root / '3dpw', split=split)
        write_pictures(ThreeDPWDataset(data_root=str(root / '3dpw'), split=split), root / '3dpw')
    return root.parent


def configs(pytestconfig, method, task):
    return sorted((pytestconfig.rootpath / 'configs' / method / task).glob('*_res101_*.py'))


@pytest.mark.parametrize(('method', 'task'), CASES)
def test_batches_hold_the_pair(method, task, data, monkeypatch, pytestconfig):
    monkeypatch.chdir(data)
    paths = configs(pytestconfig, method, task)
    whole = Config.fromfile(next((path for path in paths if path.name.startswith('geometric')), paths[0]))
    cfg = stage_config(whole, stage_names(whole)[-1])
    init_default_scope(cfg.default_scope)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    flat = batch['data_samples']
    labelled = [s for s in flat if s.metainfo.get('domain', 'source') == 'source' and 'gt_fields' in s]
    assert len(labelled) == 32 and labelled[0].gt_fields.heatmaps.shape == (TASKS[task], 64, 64)
    others = [s for s in flat if s.metainfo.get('domain') == 'target']
    assert len(others) >= (0 if method == 'source_only' else 32)
    assert all('keypoints' not in s.gt_instances and 'gt_fields' not in s for s in others)
    sample = next(iter(Runner.build_dataloader(cfg.val_dataloader, seed=0)))['data_samples'][0]
    assert sample.gt_instances.keypoints.shape == (1, TASKS[task], 2)
    assert sample.gt_instances.keypoints_visible.any()


@pytest.mark.parametrize('method', ['ddc', 'dan', 'dann'])
def test_alignment_takes_the_pretraining_of_regda_and_moves_new_layers_as_heads(method, pytestconfig):
    for task in ('surreal2lsp', 'surreal2h36m', 'rhd2h3d', 'freihand2rhd'):
        ((ours,), (regda,)) = (configs(pytestconfig, name, task) for name in (method, 'regda'))
        ours, regda = (Config.fromfile(path) for path in (ours, regda))
        assert ours.stages[0] == regda.stages[0] and ours.model == regda.model
        assert ours.stages[1].train_cfg == regda.stages[1].train_cfg
        assert ours.stages[1].param_scheduler == regda.stages[1].param_scheduler
        keys = ours.stages[1].optim_wrapper.paramwise_cfg.custom_keys
        assert {key: keys[key].lr_mult for key in ('bottleneck', 'discriminator', 'head.final_layer')} == dict(
            bottleneck=10, discriminator=10, **{'head.final_layer': 10}
        )
        assert ours.stages[1].model.type == method.upper()
        assert ours.train_dataloader == regda.train_dataloader and ours.val_dataloader == regda.val_dataloader
