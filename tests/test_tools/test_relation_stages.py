"""The five stages of the relation distillation in a row: what each takes over, resumed, and in two processes."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from processes import exit_codes, start_all
from test_poseaug_processes import SPY
from test_resume import equal, last, same_run
from toy_distillation import INTERRUPTED, ITERATIONS, STAGES, write_distillation

RUNTIME = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'default_runtime.py'
MIDDLE = f'iter_{INTERRUPTED}.pth'
TASKS = ('pose_contrast', 'motion_contrast', 'flip_inplane(50)', 'flip_inplane_backward(50)', 'slow_backward')
in_processes = pytest.mark.skipif(
    not hasattr(os, 'fork') or torch.cuda.is_available(), reason='needs POSIX processes that compute on the CPU'
)


@pytest.fixture(scope='module')
def chain(tool, tmp_path_factory):
    """All stages, one after another: the config and the folder of the runs."""
    folder = tmp_path_factory.mktemp('chain')
    config = write_distillation(folder, RUNTIME)
    tool('train').main([str(config), '--work-dir', str(folder / 'runs')])
    return config, folder / 'runs'


@pytest.fixture
def before(chain, tmp_path):
    """Return a function that copies the stages before one into a new folder."""

    def copy(stage, name='runs'):
        folder = tmp_path / name
        for earlier in STAGES[: STAGES.index(stage)]:
            shutil.copytree(chain[1] / earlier, folder / earlier)
        return folder

    return copy


def weights(runs, stage, part):
    state = last(runs / stage)['state_dict']
    return {key.removeprefix(part): value for key, value in state.items() if key.startswith(part)}


def interrupt(run, into):
    """As if a run had been killed when it had written the checkpoint in the middle."""
    into.mkdir(parents=True)
    shutil.copy(run / MIDDLE, into)
    (into / 'last_checkpoint').write_text(str(into / MIDDLE))


class TestChain:
    def test_later_stages_take_over_what_earlier_ones_learnt_and_leave_it_alone(self, chain):
        runs = chain[1]
        pose = weights(runs, 'pose_embedding', 'pose.')
        for stage, part in dict(motion_embedding='pose.', relations='pose.', source='student.head.pose.').items():
            equal(weights(runs, stage, part), pose)
        equal(weights(runs, 'adapt', 'student.head.pose.'), pose)
        for stage in ('relations', 'adapt'):
            equal(weights(runs, stage, 'motion.'), weights(runs, 'motion_embedding', 'motion.'))
        equal(weights(runs, 'adapt', 'relations.'), weights(runs, 'relations', 'relations.'))

    def test_the_adaptation_starts_from_the_source_and_moves_the_adapted_part_alone(self, chain):
        source, adapted = (weights(chain[1], stage, 'student.') for stage in ('source', 'adapt'))
        moved = {key for key, value in adapted.items() if not torch.equal(value, source[key])}
        assert moved and all(key.startswith('backbone.layer2.') and 'running' not in key for key in moved)

    def test_losses_take_turns(self, chain):
        logged = last(chain[1] / 'adapt')['message_hub']['log_scalars']
        keys = [*(f'train/rel_loss_{task}' for task in TASKS), 'train/sup_loss_pose']
        assert [len(logged[key].data[0]) for key in keys] == [2, 2, 1, 1, 1, 1], '8 iterations, 6 losses'
        states = last(chain[1] / 'adapt')['optimizer']
        steps = {name: {int(s['step']) for s in state['state'].values()} for name, state in states.items()}
        assert steps == {**dict.fromkeys(TASKS[:2], {2}), **dict.fromkeys((*TASKS[2:], 'source'), {1})}

    def test_the_embedding_goes_through_its_phases(self, chain):
        logged = last(chain[1] / 'pose_embedding')['message_hub']['log_scalars']
        assert logged['train/phase'].data[0].tolist() == [0, 0, 1, 1, 2, 2, 1, 1]
        assert last(chain[1] / 'pose_embedding')['rank_state'][0]['phase'] == 'generator'


class TestExactResume:
    @pytest.mark.parametrize('stage', STAGES)
    def test_equals_the_uninterrupted_run(self, stage, chain, before, tool):
        config, whole = chain
        runs = before(stage)
        interrupt(whole / stage, runs / stage)
        torch.manual_seed(99)  # a new process would not be in the old one's state
        tool('train').main([str(config), '--work-dir', str(runs), '--stage', stage, '--resume'])
        same_run(last(whole / stage), last(runs / stage))
        assert last(runs / stage)['meta']['iter'] == ITERATIONS

    @pytest.mark.parametrize('stage', ['relations', 'adapt'])
    def test_number_of_workers_does_not_matter(self, stage, chain, before, tool):
        config, whole = chain
        runs = before(stage)
        option = ['--cfg-options', 'train_dataloader.num_workers=2']
        tool('train').main([str(config), '--work-dir', str(runs), '--stage', stage, *option])
        same_run(last(whole / stage), last(runs / stage))


# Numbers that are drawn at random differ from process to process, and contrasts compare the clips of one process.
EQUAL = dict(
    # in the warm-up alone nothing that is drawn moves the space of poses
    pose_embedding=('pose_embedding', "stages[0]['model'].update(reconstruction_below=0.0)", 'pose.'),
    motion_embedding=('motion_embedding', '', ''),
    relations_of_motions=('relations', "stages[3]['model']['relations']['relations'] = relations[1:]", ''),
    relations_of_poses=(
        'relations',
        """
stages[3]['model']['relations']['relations'] = relations[:1]
stages[3]['train_dataloader'] = dict(mocap, dataset=dict(mocap['dataset'], frames=1))
""",
        '',
    ),
    adapt=('adapt', "stages[4]['train_dataloader']['sampler']['turns'] = [2, 3, 4, 5]", ''),
)


@in_processes
class TestTwoProcesses:
    @pytest.fixture
    def launch(self, tool, free_port):
        """Return a function that runs a stage in two processes."""

        def run(config, runs, stage, *flags):
            command = [str(config), '--work-dir', str(runs), '--stage', stage, '--launcher', 'pytorch', *flags]
            train = tool('train')  # here, so that the children need not import it

            def main():
                torch.set_num_threads(1)
                train.main(command)

            assert exit_codes(start_all(main, free_port)) == [0, 0]
            return runs / stage

        return run

    @pytest.mark.parametrize('case', EQUAL)
    def test_equal_one_with_twice_the_batch(self, case, before, launch, tool, tmp_path):
        stage, more, part = EQUAL[case]
        rate = 1e-4 if stage == 'pose_embedding' else 0.05  # there the error has a factor of 100
        more += "\nmocap['sampler']['type'] = 'InfiniteSampler'"  # no short batch at the end of an epoch
        more += f"\nadam['optimizer'] = dict(type='SGD', lr={rate}, momentum=0.9)\n"
        config = write_distillation(tmp_path, RUNTIME, more, still=True)
        two, one = launch(config, before(stage, 'two'), stage), before(stage, 'one')
        size = 4 if stage == 'adapt' else 8
        twice = [f'train_dataloader.batch_size={size}']
        if stage == 'adapt':
            twice.append(f'train_dataloader.sampler.batch_size={size}')
        tool('train').main([str(config), '--work-dir', str(one), '--stage', stage, '--cfg-options', *twice])
        found, wanted = last(two)['state_dict'], last(one / stage)['state_dict']
        start = torch.load(one / stage / MIDDLE, weights_only=True)['state_dict']
        for key, value in wanted.items():
            if key.startswith(part):
                torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-6, msg=key)
        moved = [key for key in wanted if key.startswith(part) and not torch.equal(start[key], wanted[key])]
        assert moved, 'else equality says nothing'

    @pytest.mark.parametrize('stage', ['pose_embedding', 'adapt'])
    def test_end_with_the_same_weights_and_resume_exactly(self, stage, before, launch, tmp_path):
        (tmp_path / 'spy.py').write_text(SPY)
        spy = (
            f"\nimport sys\nsys.path.insert(0, '{tmp_path}')\ncustom_imports = dict(imports=['spy'])\n"
            "custom_hooks = [*_base_.custom_hooks, dict(type='Spy')]\n"
        )
        config = write_distillation(tmp_path, RUNTIME, spy)
        whole = launch(config, before(stage, 'whole'), stage)
        equal(*(torch.load(whole / f'rank{rank}.pt') for rank in (0, 1)))
        late = before(stage, 'late')
        interrupt(whole, late / stage)
        launch(config, late, stage, '--resume')
        same_run(last(whole), last(late / stage))
        if stage == 'pose_embedding':
            first, second = last(whole)['rank_state']
            assert first['phase'] == second['phase'] and first['steps'] == second['steps']
