import itertools
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from scored_people import STRATEGIES, WORLDS, People, sampler
from torch.utils.data import DataLoader

from mmposeda.datasets.samplers import difficulty_bin_sampler, domain_sampler
from mmposeda.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from mmposeda.engine.resumable_loader import ResumableLoader
from mmposeda.registry import DATA_SAMPLERS, DATASETS


class TestResume:
    @pytest.mark.parametrize('world', WORLDS)
    @pytest.mark.parametrize('strategy', STRATEGIES)
    def test_a_stream_is_the_same_from_anywhere(self, scored, monkeypatch, strategy, world):
        dataset = People()
        path, _ = scored(dataset)

        def built():
            made = sampler(dataset, path, strategy, monkeypatch, 0, world)
            made.set_batch_size(4)
            made.set_total_batches(40)
            return made

        whole = built().take(0, 4 * 40 * world)
        again = built()
        for start, count in [(77, 20), (0, 3), (53, 60), (159, 1)]:
            assert again.take(start, count) == whole[start : start + count]

    def test_a_far_place_takes_no_longer(self, scored):
        dataset = People()
        path, _ = scored(dataset)
        for strategy in STRATEGIES:
            made = sampler(dataset, path, strategy, total_samples=10**15)
            made.take(0, 1)
            tick = time.perf_counter()
            made.take(10**14 + 7, 32)
            assert time.perf_counter() - tick < 0.5

    @pytest.mark.parametrize('rank, world, drop_last', [(0, 1, True), (1, 2, False), (2, 3, True), (7, 8, False)])
    @pytest.mark.parametrize('endless', [False, True])
    @pytest.mark.parametrize('strategy', STRATEGIES)
    def test_alone_through_a_loader(self, scored, monkeypatch, strategy, endless, rank, world, drop_last):
        dataset = People(62)
        path, _ = scored(dataset)

        def loader():
            made = sampler(dataset, path, strategy, monkeypatch, rank, world, samples_per_epoch=62)
            plain = DataLoader(range(62), batch_size=4, sampler=made, drop_last=drop_last, collate_fn=list)
            plain = ResumableLoader(plain, 0, endless)
            plain.plan(5 * len(plain))
            return plain

        def indices(batches):
            return [batch.indices for batch in batches]

        def run(start, stop):
            made, out = loader(), []
            size = len(made)
            if endless:
                made.begin(start)
                return indices(itertools.islice(made.batch_sampler, stop - start))
            for epoch in range(start // size, -(-stop // size)):
                skip = start % size if epoch == start // size else 0
                made.batch_sampler.sampler.set_epoch(epoch)
                made.begin(epoch * size + skip, skip)
                out += indices(made.batch_sampler)
            return out[: stop - start]

        size = len(loader())
        whole = run(0, 5 * size)
        assert len(whole) == 5 * size
        assert len({tuple(batch) for batch in whole}) > size
        for start in {1, size - 1, size, 2 * size + 1, 4 * size}:
            assert run(start, 5 * size) == whole[start:]

    def test_state_tells_samplers_apart(self, scored):
        dataset = People()
        path, _ = scored(dataset)
        first, second = sampler(dataset, path, 'curriculum'), sampler(dataset, path, 'curriculum')
        assert first.state == second.state
        first.set_total_batches(9)
        assert first.state != second.state != sampler(dataset, path, 'hard').state


class TestInDomainSampler:
    @pytest.fixture
    def joined(self, domain_pair, write_people):
        """30 people as source, 6 as target; returns the joined data set and its source."""
        folder = write_people(domain_pair['root'] / 'many', count=30)
        domain_pair['joined']['datasets'][0]['data_root'] = str(folder)
        return DATASETS.build(domain_pair['joined'])

    def built(self, joined, samplers, monkeypatch=None, rank=0, world=1, **kwargs):
        if monkeypatch is not None:
            for module in (difficulty_bin_sampler, domain_sampler):
                monkeypatch.setattr(module, 'get_dist_info', lambda: (rank, world))
        cfg = dict(type='DomainSampler', dataset=joined, quotas=[3, 2], samplers=samplers, seed=0)
        return DATA_SAMPLERS.build({**cfg, **kwargs})

    def batches(self, made, count, size=5):
        return np.array(list(itertools.islice(iter(made), size * count))).reshape(count, size)

    @pytest.mark.parametrize('form', [list, dict])
    def test_the_source_alone_is_subsampled(self, joined, scored, form):
        path, ranks = scored(joined.datasets[0])
        hard = dict(type='DifficultyBinSampler', score_file=path, strategy='hard')
        made = self.built(joined, [hard, None] if form is list else {'0': hard})
        drawn = self.batches(made, 30)
        assert set(ranks[drawn[:, :3].ravel()]) == set(range(20, 30))
        assert set(drawn[:, 3:].ravel()) == set(range(30, 36))
        np.testing.assert_array_equal(drawn[:, 3:], self.batches(self.built(joined, None), 30)[:, 3:])

    @pytest.mark.parametrize('world', WORLDS)
    def test_a_curriculum_over_ranks_resumes_index_for_index(self, joined, scored, monkeypatch, world):
        path, ranks = scored(joined.datasets[0])
        samplers = {'0': dict(type='DifficultyBinSampler', score_file=path, strategy='curriculum')}
        for rank in range(world):
            made = self.built(joined, samplers, monkeypatch, rank, world)
            made.set_total_batches(20)
            whole = self.batches(made, 20)
            limits = np.array([10 if b < 7 else 20 if b < 14 else 30 for b in range(20)])
            assert (ranks[whole[:, :3]] < limits[:, None]).all()
            for start in (1, 6, 7, 13, 19):
                resumed = self.built(joined, samplers, monkeypatch, rank, world)
                resumed.set_total_batches(20)
                resumed.set_start(start)
                np.testing.assert_array_equal(self.batches(resumed, 20 - start), whole[start:])

    def test_ranks_draw_from_one_stream(self, joined, scored, monkeypatch):
        path, _ = scored(joined.datasets[0])
        samplers = {'0': dict(type='DifficultyBinSampler', score_file=path, strategy='hard')}
        two = [self.batches(self.built(joined, samplers, monkeypatch, r, 2), 10)[:, :3] for r in (0, 1)]
        passes = np.stack(two, 1).ravel()[:60].reshape(6, 10)
        assert all(len(set(row)) == 10 for row in passes)

    def test_keys_are_numbers_of_parts(self, joined):
        plain = dict(type='DefaultSampler', shuffle=False)
        drawn = self.batches(self.built(joined, {'1': plain}), 3)
        np.testing.assert_array_equal(drawn[:, 3:].ravel(), range(30, 36))
        np.testing.assert_array_equal(self.batches(self.built(joined, {1: plain}), 3), drawn)
        for key in ('2', 'source', '-1'):
            with pytest.raises(ValueError, match=rf"samplers has \['{key}'\].*'0' \(LSPDataset\), '1' \(Unlabeled"):
                self.built(joined, {key: plain})
        assert self.built(joined, {}).state == self.built(joined, None).state

    def test_configs_merge_into_it(self, tmp_path):
        (tmp_path / 'base.py').write_text("s = dict(type='DomainSampler', quotas=[1, 1])\n")
        (tmp_path / 'hard.py').write_text(
            "_base_ = ['base.py']\ns = dict(samplers={'0': dict(type='DifficultyBinSampler', strategy='hard')})\n"
        )
        (tmp_path / 'easy.py').write_text("_base_ = ['hard.py']\ns = dict(samplers={'0': dict(strategy='easy')})\n")
        merged = Config.fromfile(tmp_path / 'easy.py').s
        assert merged.samplers == {'0': dict(type='DifficultyBinSampler', strategy='easy')}
        assert list(merged.quotas) == [1, 1]

    def test_the_target_has_no_difficulty(self, joined):
        with pytest.raises(ValueError, match='UnlabeledDataset, which has no joints.*target is not subsampled'):
            self.built(joined, {'1': dict(type='DifficultyBinSampler', score_file='a.npz', strategy='hard')})
        third = self.built(joined, {'1': dict(type='DifficultyBinSampler', strategy='random33')})
        assert len(set(self.batches(third, 20)[:, 3:].ravel())) == 2

    def test_end_to_end_with_edited_annotations(self, domain_pair, joined, scored):
        """Samples that reach a batch are the hard ones, also after people were removed from the annotation file."""
        from mmengine.dataset import pseudo_collate

        path, ranks = scored(joined.datasets[0])
        file = domain_pair['root'] / 'many' / 'ann.json'
        raw = json.loads(file.read_text())
        raw['annotations'] = raw['annotations'][5:][::-1]
        file.write_text(json.dumps(raw))
        fewer = DATASETS.build(domain_pair['joined'])
        kept = sorted(range(5, 30), key=lambda i: ranks[i])
        want = {f'im{i + 1:05}.jpg' for i in kept[-8:]}
        made = self.built(fewer, {'0': dict(type='DifficultyBinSampler', score_file=path, strategy='hard')})
        loader = DataLoader(fewer, batch_size=5, sampler=made, collate_fn=pseudo_collate)
        names = set()
        for _, batch in zip(range(8), loader):
            samples = batch['data_samples']
            names.update(sample.img_path.rpartition('/')[2] for sample in samples[:3])
            assert all(sample.domain == 'target' for sample in samples[3:])
        assert names == want


class Told(DefaultSampler):
    def set_total_batches(self, batches):
        self.told = batches

    def set_batch_size(self, batch_size, drop_last):
        self.size = batch_size, drop_last


class TestLoops:
    """The loops tell the length of the training before the first batch."""

    def loop(self, cls, loader, **kwargs):
        model = torch.nn.Linear(1, 1)
        model.train_step = lambda batch, optim_wrapper: self.seen.append(batch) or {}
        self.seen = []
        runner = SimpleNamespace(seed=0, model=model, optim_wrapper=None, call_hook=lambda *a, **k: None, val_loop=None)
        runner.visualizer = SimpleNamespace()
        made = cls(runner, loader, **kwargs)
        runner.train_loop = made
        return made

    @pytest.mark.parametrize(
        'cls, kwargs, want',
        [(IterBasedTrainLoop, dict(max_iters=7), 7), (EpochBasedTrainLoop, dict(max_epochs=3), 9)],
    )
    def test_samplers_are_told(self, cls, kwargs, want):
        told = Told(range(10))
        self.loop(cls, DataLoader(range(10), batch_size=4, sampler=told, collate_fn=list), **kwargs).run()
        assert told.told == want
        assert told.size == (4, False)
        assert len(self.seen) == want

    def test_a_curriculum_gets_its_stages(self, scored):
        dataset = People()
        path, ranks = scored(dataset)
        made = sampler(dataset, path, 'curriculum')
        loader = DataLoader(range(30), batch_size=5, sampler=made, collate_fn=list)
        self.loop(IterBasedTrainLoop, loader, max_iters=30).run()
        for batch, indices in enumerate(self.seen):
            assert (ranks[indices] < 10 * (1 + batch // 10)).all()
        assert set(itertools.chain(*self.seen[20:])) == set(range(30))
