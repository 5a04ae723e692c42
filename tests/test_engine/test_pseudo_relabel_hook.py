"""Rounds of pseudo-labels: when they come, what they keep, and that nothing but the network decides them."""

import copy
import json
import logging
import random
import types

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn
from torch.utils.data import DataLoader

from mmposeda.engine.hooks import CollapseWarningHook, PseudoRelabelHook
from mmposeda.engine.hooks.non_finite_hook import NonFiniteError
from mmposeda.engine.hooks.pseudo_relabel_hook import _between_videos
from mmposeda.registry import DATASETS, MODELS

LOGGER = logging.getLogger('relabel')


def estimator():
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[127.0] * 3, std=[64.0] * 3),
        backbone=dict(type='MobileNetV2', widen_factor=0.25, out_indices=(1,), frozen_stages=-1),
        head=dict(
            type='HeatmapHead', in_channels=8, out_channels=14, deconv_out_channels=None,
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16), sigma=1),
        ),
    )  # fmt: skip


@pytest.fixture
def make_runner(domain_pair):
    """Return a function that makes what the hook needs of a runner, with an own model."""

    def make(model=None, max_iters=6, **joined):
        torch.manual_seed(0)
        if model is None:
            model = MODELS.build(dict(type='CCSSL', estimator=estimator()))
            nn.init.normal_(model.student.head.final_layer.weight, std=0.5)  # peaks of their own
        dataset = DATASETS.build({**copy.deepcopy(domain_pair['joined']), **joined})
        hub = MessageHub.get_instance(f'relabel{id(model)}')
        loader = DataLoader(dataset, 2)
        return types.SimpleNamespace(
            model=model.train(), iter=0, max_iters=max_iters, seed=3, logger=LOGGER, message_hub=hub,
            train_dataloader=loader,
        )  # fmt: skip

    return make


def run(runner, hook, until=None, start=0):
    """Let the hook see the iterations; return the table's round after each."""
    runner.iter = start
    hook.before_train(runner)
    rounds = []
    for i in range(start, until or runner.max_iters):
        runner.iter = i
        hook.before_train_iter(runner, i)
        rounds.append(int(runner.model.table.round))
    return rounds


def state(model):
    return {name: value.clone() for name, value in model.table.state_dict().items()}


def same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


class TestRounds:
    @pytest.mark.parametrize(
        'options, wanted',
        [
            (dict(rounds=3), [1, 1, 2, 2, 3, 3]),
            (dict(rounds=4), [1, 1, 2, 3, 3, 4]),
            (dict(interval=4), [1, 1, 1, 1, 2, 2]),
            (dict(rounds=1), [1] * 6),
        ],
        ids=str,
    )
    def test_come_at_equal_distances(self, make_runner, options, wanted):
        assert run(make_runner(), PseudoRelabelHook(**options)) == wanted

    def test_keep_the_published_shares_of_all_confidences(self, make_runner):
        runner, hook = make_runner(max_iters=60), PseudoRelabelHook()
        hook.before_train(runner)
        shares = []
        for runner.iter in range(0, 60, 10):
            hook.before_train_iter(runner, 0)
            table = runner.model.table
            assert table.confidence[table.keep].min() > table.confidence[~table.keep].max()
            shares.append(table.keep.float().mean().item())
        np.testing.assert_allclose(shares, [0.2, 0.4, 0.6, 0.8, 0.8, 0.8], atol=1 / 84)

    def test_keep_shares_by_where_they_begin(self, make_runner):
        for options, wanted in ((dict(rounds=3), [0.2, 0.6, 0.8]), (dict(interval=15), [0.2, 0.5, 0.8, 0.8])):
            runner, hook = make_runner(max_iters=60), PseudoRelabelHook(**options)
            hook.before_train(runner)
            shares = {}
            for runner.iter in range(60):
                hook.before_train_iter(runner, 0)
                shares[int(runner.model.table.round)] = runner.model.table.keep.float().mean().item()
            np.testing.assert_allclose(list(shares.values()), wanted, atol=1 / 84)

    def test_keep_the_same_share_of_each_joint_where_asked(self, make_runner):
        runner = make_runner()
        run(runner, PseudoRelabelHook(scope='joint', first_share=0.5, last_share=0.5), until=1)
        assert (runner.model.table.keep.sum(0) == 3).all()

    def test_label_where_the_network_alone_sees_the_joints_without_views(self, make_runner):
        runner = make_runner()
        run(runner, PseudoRelabelHook(views=0), until=1)
        model, target = runner.model.eval(), runner.train_dataloader.dataset.datasets[1]
        for i in range(len(target)):
            images = model.data_preprocessor(dict(inputs=[target[i]['inputs']], data_samples=[]), False)['inputs']
            heatmaps = model(images, mode='tensor')[0].detach().numpy()
            row, column = np.unravel_index(heatmaps.reshape(14, -1).argmax(1), (16, 16))
            np.testing.assert_array_equal(model.table.labels[i], np.stack([column, row], 1) * 4)
            np.testing.assert_allclose(model.table.confidence[i], heatmaps.max((1, 2)), rtol=1e-4, atol=1e-5)

    def test_draw_new_views_each_time_and_the_same_ones_from_the_seed(self, make_runner):
        runner = make_runner()
        labels = []
        for seed in (3, 3, 4):
            runner.seed = seed
            hook = PseudoRelabelHook(rounds=2)
            run(runner, hook, until=1)
            first = state(runner.model)
            runner.iter = 3
            hook.before_train_iter(runner, 0)
            labels.append((first['confidence'], runner.model.table.confidence.clone()))
        assert torch.equal(labels[0][0], labels[1][0]) and torch.equal(labels[0][1], labels[1][1])
        assert not torch.equal(*labels[0]) and not torch.equal(labels[0][0], labels[2][0])


class TestNothingElseMatters:
    def test_batches_and_workers(self, make_runner):
        runner, tables = make_runner(), []
        for options in (dict(), dict(batch_size=1), dict(batch_size=4), dict(num_workers=2, batch_size=2)):
            run(runner, PseudoRelabelHook(**options), until=1)
            tables.append(state(runner.model))
        for table in tables[1:]:
            assert torch.equal(table['labels'], tables[0]['labels'])
            assert torch.equal(table['keep'], tables[0]['keep'])
            torch.testing.assert_close(table['confidence'], tables[0]['confidence'])

    def test_the_run_is_left_as_it_was(self, make_runner):
        runner = make_runner()
        weights = copy.deepcopy(runner.model.student.state_dict())
        modes = [module.training for module in runner.model.modules()]
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
        run(runner, PseudoRelabelHook(temporal=True, num_workers=2), until=1)
        after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
        assert before[:2] == after[:2] and torch.equal(before[2], after[2])
        assert [module.training for module in runner.model.modules()] == modes and runner.model.training
        assert all(torch.equal(value, weights[name]) for name, value in runner.model.student.state_dict().items())

    def test_poisoned_labels(self, make_runner, domain_pair):
        tables = []
        for poison in (False, True):
            if poison:
                path = domain_pair['root'] / 'target' / 'ann.json'
                content = json.loads(path.read_text())
                for annotation in content['annotations']:
                    annotation.update(keypoints=[float('nan')] * 42, num_keypoints=0)
                path.write_text(json.dumps(content))
            runner = make_runner()
            run(runner, PseudoRelabelHook(), until=1)
            tables.append(state(runner.model))
        assert same(*tables)


class TestResume:
    def test_inside_a_round_keeps_its_labels(self, make_runner):
        runner = make_runner()
        run(runner, PseudoRelabelHook(rounds=3), until=3)
        before = state(runner.model)
        with torch.no_grad():
            runner.model.student.head.final_layer.bias += torch.arange(14.0)
        assert run(runner, PseudoRelabelHook(rounds=3), start=3, until=4) == [2]
        assert same(before, state(runner.model))

    def test_at_the_start_of_a_round_makes_them(self, make_runner):
        runner = make_runner()
        run(runner, PseudoRelabelHook(rounds=3), until=2)
        before = state(runner.model)
        assert run(runner, PseudoRelabelHook(rounds=3), start=2, until=3) == [2]
        assert not same(before, state(runner.model))

    def test_a_run_that_starts_from_such_weights_labels_anew(self, make_runner):
        runner = make_runner()
        assert run(runner, PseudoRelabelHook(rounds=3))[-1] == 3
        table = runner.model.table
        table.fill(table.labels[:2], table.confidence[:2], table.keep[:2], 3)  # of other data
        assert run(runner, PseudoRelabelHook(rounds=3), until=1) == [1]
        assert len(runner.model.table) == 6

    def test_with_other_data_is_refused(self, make_runner):
        runner = make_runner()
        run(runner, PseudoRelabelHook(), until=1)
        table = runner.model.table
        table.fill(table.labels[:2], table.confidence[:2], table.keep[:2], 1)
        with pytest.raises(ValueError, match='of 2 target pictures, the target has 6'):
            run(runner, PseudoRelabelHook(), start=1)


class Blind(nn.Module):
    """A head that gives every picture the same heatmaps."""

    def __init__(self, head, value=0.0):
        super().__init__()
        self.decoder = head.decoder
        self.register_buffer('maps', torch.full((1, 14, 16, 16), value))
        self.maps[..., 8, 8] += 0.5

    def forward(self, feats):
        return self.maps.expand(len(feats[0]), -1, -1, -1)


class TestCollapse:
    def test_is_warned_of_by_the_hook_that_watches(self, make_runner, caplog):
        runner = make_runner(max_iters=20)
        runner.model.student.head = Blind(runner.model.student.head)
        hook, watch = PseudoRelabelHook(rotation=0, scale=0, scope='joint'), CollapseWarningHook(interval=10)
        hook.before_train(runner)
        with caplog.at_level(logging.INFO, logger='relabel'):
            for runner.iter in range(10):
                hook.before_train_iter(runner, 0)
                watch.after_train_iter(runner, 0)
        said = ' '.join(record.getMessage() for record in caplog.records)
        assert 'no pseudo-label was used' in said, 'none is surer than another'
        assert 'says the same for every picture' in said
        assert 'Round 1: 6 target pictures labelled' in said and 'kept 0.000' in said

    def test_numbers_of_the_labels_are_logged(self, make_runner):
        runner = make_runner()
        run(runner, PseudoRelabelHook(), until=2)
        table = runner.model.table
        logged = {key: runner.message_hub.get_scalar(f'train/pseudo_{key}') for key in ('kept', 'confidence', 'spread')}
        assert logged['kept'].current() == pytest.approx(table.keep.float().mean().item())
        assert logged['confidence'].current() == pytest.approx(table.confidence.mean().item(), rel=1e-5)
        spreads = [table.labels[table.keep[:, k], k].std(0, correction=0) for k in range(14) if table.keep[:, k].any()]
        assert logged['spread'].current() == pytest.approx(torch.stack(spreads).mean().item() / 64, rel=1e-4)
        assert len(logged['kept'].data[0]) == 2, 'a value an iteration'

    def test_heatmaps_that_are_not_finite_end_the_run(self, make_runner):
        runner = make_runner()
        runner.model.student.head = Blind(runner.model.student.head, float('nan'))
        with pytest.raises(NonFiniteError, match='Iteration 1: the heatmaps of the target'):
            run(runner, PseudoRelabelHook())
        assert runner.model.training


class TestTemporal:
    def test_labels_follow_the_frames_of_a_folder_whatever_the_batches(self, make_runner):
        runner, tables = make_runner(), []
        for options in (dict(temporal=False), dict(temporal=True), dict(temporal=True, batch_size=4)):
            run(runner, PseudoRelabelHook(**options), until=1)
            tables.append(state(runner.model))
        assert torch.equal(tables[1]['labels'], tables[2]['labels'])
        assert (tables[1]['confidence'] >= tables[0]['confidence']).all(), 'flow only takes over where it is surer'

    def test_processes_share_out_whole_videos(self):
        paths = [f'{video}/{i}.jpg' for video, count in (('a', 3), ('b', 5), ('c', 1), ('d', 1)) for i in range(count)]
        assert _between_videos([0, 5, 10], paths) == [0, 3, 10]
        assert _between_videos([0, 2, 5, 8, 10], paths) == [0, 0, 3, 8, 10]
        assert _between_videos([0, 3, 6, 10], paths[:8] + paths[:2]) == [0, 3, 3, 10]

    def test_a_process_may_have_no_video(self, make_runner):
        runner, hook = make_runner(), PseudoRelabelHook(temporal=True)
        hook.before_train(runner)
        hook._bounds = [6, 6]
        assert hook._label_share(runner, runner.model, 1).shape == (0, 14, 3)

    def test_several_people_a_picture_are_refused(self, make_runner, domain_pair):
        path = domain_pair['root'] / 'target' / 'ann.json'
        content = json.loads(path.read_text())
        content['annotations'][1]['image_id'] = 1
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r'im00001\.jpg is there more than once: give one box a picture'):
            run(make_runner(), PseudoRelabelHook(temporal=True))
        run(make_runner(), PseudoRelabelHook(), until=1)


class TestRefusals:
    @pytest.mark.parametrize('step', ['RandomFlip', 'RandomBBoxTransform', 'PhotometricDistortion'])
    def test_a_random_target_pipeline(self, make_runner, domain_pair, step):
        pipeline = domain_pair['target']['pipeline']
        place = 3 if step == 'PhotometricDistortion' else 2
        domain_pair['target']['pipeline'] = [*pipeline[:place], dict(type=step), *pipeline[place:]]
        unlabelled = dict(type='UnlabeledDataset', dataset=domain_pair['target'])
        runner = make_runner(datasets=[domain_pair['source'], unlabelled])
        with pytest.raises(ValueError, match=f'(?s)RandomFlip: take it out|what is random out.*{step}'):
            run(runner, PseudoRelabelHook())

    @pytest.mark.parametrize('targets', [0, 2])
    def test_no_target_or_two(self, make_runner, domain_pair, targets):
        unlabelled = dict(type='UnlabeledDataset', dataset=domain_pair['target'])
        runner = make_runner(datasets=[domain_pair['source'], *[unlabelled] * targets])
        with pytest.raises(ValueError, match=f'found {targets} among its parts .LSPDataset'):
            run(runner, PseudoRelabelHook())

    def test_a_model_without_labels(self, make_runner):
        with pytest.raises(TypeError, match='got SourceOnly'):
            run(make_runner(MODELS.build(dict(type='SourceOnly', estimator=estimator()))), PseudoRelabelHook())

    @pytest.mark.parametrize(
        'bad',
        [
            dict(rounds=0), dict(interval=0), dict(batch_size=0), dict(views=-1), dict(first_share=0), dict(ramp=0),
            dict(last_share=0.1), dict(scope='image'), dict(rotation=-1), dict(scale=1),
        ],
        ids=str,
    )  # fmt: skip
    def test_bad_settings(self, bad):
        with pytest.raises(ValueError, match=next(iter(bad))):
            PseudoRelabelHook(**bad)
