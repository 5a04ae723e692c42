import pytest
from mmengine.config import Config

from mmposeda.engine.stages import StageError, resolve_references, stage_config, stage_names
from mmposeda.engine.training import StageResult, format_results


def make_config(*stages, **rest):
    base = dict(model=dict(type='A', width=8), train_cfg=dict(max_iters=10), load_from=None)
    return Config(dict(base, stages=list(stages), **rest))


def test_stage_is_the_rest_of_the_config_with_its_own_values_over_it():
    cfg = make_config(dict(name='pretrain'), dict(name='adapt', model=dict(type='B'), load_from='{pretrain}'))
    first, second = (stage_config(cfg, name) for name in stage_names(cfg))
    assert first.model == dict(type='A', width=8)
    assert second.model == dict(type='B', width=8)
    assert second.train_cfg.max_iters == 10
    assert second.load_from == '{pretrain}'
    assert 'stages' not in second and 'name' not in second
    assert cfg.stages[1].name == 'adapt', 'the whole config is left as it was'


def test_stages_have_experiment_names_of_their_own():
    cfg = make_config(dict(name='a'), dict(name='b'), visualizer=dict(type='V', name='visualizer'))
    assert [stage_config(cfg, name).experiment_name for name in 'ab'] == ['run_a', 'run_b']
    assert 'name' not in stage_config(cfg, 'a').visualizer


def test_delete_replaces_the_base_value():
    cfg = make_config(dict(name='a', model=dict(_delete_=True, type='B')))
    assert stage_config(cfg, 'a').model == dict(type='B')


def test_command_line_has_the_last_word_in_every_stage():
    cfg = make_config(dict(name='a', train_cfg=dict(max_iters=20)), dict(name='b'))
    options = {'train_cfg.max_iters': 3, 'stages.1.model.width': 4}
    assert [stage_config(cfg, name, options).train_cfg.max_iters for name in 'ab'] == [3, 3]
    assert [stage_config(cfg, name, options).model.width for name in 'ab'] == [8, 4]


def test_config_without_stages_is_one_nameless_stage():
    cfg = Config(dict(model=dict(type='A')))
    assert stage_names(cfg) == ['']
    assert stage_config(cfg, '').model.type == 'A'


def test_references_become_checkpoints_in_strings_only_where_the_name_is_known():
    value = dict(load_from='{a}', nested=[dict(path='x/{a}'), ('{a}', 3)], template='img_{:04d}_{other}.png')
    assert resolve_references(value, dict(a='w/a/iter_1.pth')) == dict(
        load_from='w/a/iter_1.pth',
        nested=[dict(path='x/w/a/iter_1.pth'), ('w/a/iter_1.pth', 3)],
        template='img_{:04d}_{other}.png',
    )


@pytest.mark.parametrize(
    'stages, message',
    [
        ([dict(model=dict())], r'stages\[0\]\.name is None'),
        ([dict(name='a/b')], 'letters, digits'),
        ([dict(name='a'), dict(name='a')], "two stages are named 'a'"),
        ([dict(name='a'), dict(name='b', load_from='{pretrain}')], r"'b' refers to \{pretrain\}.*earlier stage: a"),
        ([dict(name='a', model=dict(path='{b}')), dict(name='b')], r"'a' refers to \{b\}.*there is none"),
        ([dict(name='a', load_from='{a}')], r"'a' refers to \{a\}"),
    ],
)
def test_wrong_stages_are_refused(stages, message):
    with pytest.raises(StageError, match=message):
        stage_names(make_config(*stages))


@pytest.mark.parametrize(
    'cfg, message',
    [
        (make_config(dict(name='a'), dict(name='b')), "no stage 'c': expected one of a, b"),
        (Config(dict(model=dict())), "no stage 'c': this config has no stages"),
    ],
)
def test_unknown_stage_lists_the_names(cfg, message):
    with pytest.raises(StageError, match=message):
        stage_config(cfg, 'c')


def test_table_has_a_row_per_stage():
    results = [StageResult('pretrain', None, 100, 3661.2, dict(PCK=0.5)), StageResult('adapt', None, 7, skipped=True)]
    head, first, second = format_results(results).splitlines()
    assert first.split() == ['pretrain', '100', '1:01:01', 'PCK', '0.5']
    assert second.split() == ['adapt', '7', '0:00:00', '(before)', '-']
