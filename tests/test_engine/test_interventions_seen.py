"""What is looked at, with a model whose features are what its pictures show."""

import random
import types

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from torch import nn

from mmposeda.engine.hooks import InterventionHook
from mmposeda.engine.interventions import Interventions, draw_pictures, finite, look, measure, reconstructions, spaced
from mmposeda.models.data_preprocessor import DomainDataPreprocessor
from mmposeda.models.volumetric_head import VolumetricIntegralHead
from mmposeda.structures.skeleton import Skeleton

SKELETON = Skeleton.from_metainfo('lsp')
JOINTS, LATENT, SIDE = SKELETON.num_joints, 5, 8


class Part:
    """Pictures of one grey level each, with a random edge; poses of which the first joint tells the index."""

    def __init__(self, length, domain='source', folder='data/look', level=0):
        self.length, self.domain, self.data_root, self.level, self.asked = length, domain, folder, level, []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.asked.append(index)
        picture = torch.full((3, SIDE, SIDE), self.level + index, dtype=torch.uint8)
        picture[:, 0, 0] = int(np.random.randint(256)) + random.randint(0, 0)  # noqa: NPY002
        sample = PoseDataSample(metainfo=dict(domain=self.domain))
        if self.domain == 'source':
            places = torch.rand(1, JOINTS, 3, generator=torch.Generator().manual_seed(index))
            weights = torch.ones(1, JOINTS)
            weights[0, : 3 * (index % 2)] = 0
            sample.gt_instance_labels = InstanceData(volume_pose=places, volume_weights=weights)
        return dict(inputs=picture, data_samples=sample)


class Head(nn.Module):
    skeleton, root = SKELETON, SKELETON.index_all(['left_hip', 'right_hip'])
    decoder = types.SimpleNamespace(input_size=(SIDE, SIDE), depth_range=1000.0)
    metres = VolumetricIntegralHead.metres

    def __init__(self):
        super().__init__()
        self.register_buffer('bodies', torch.ones(()))
        self.register_buffer('square_size', torch.tensor(1e6))

    def labels(self, samples):
        labels = [sample.gt_instance_labels for sample in samples]
        return torch.cat([x.volume_pose for x in labels]), torch.cat([x.volume_weights for x in labels])

    def predict(self, feats, samples, test_cfg=None):
        poses = feats[0][:, :1, None, None].expand(-1, 1, JOINTS, 3).numpy()
        return [InstanceData(keypoints_3d=pose) for pose in poses]


class Model(nn.Module):
    """The feature of a picture is its middle pixel; that of a pose and a nuisance is both."""

    u_source = 'posterior'

    def __init__(self, maps=False):
        super().__init__()
        self.data_preprocessor = DomainDataPreprocessor()
        self.estimator = nn.Module()
        self.estimator.head, self.estimator.extract_feat = Head(), self.features
        self.maps, self.dropout, self.passes = maps, nn.Dropout(), []
        self.vae = types.SimpleNamespace(
            resize=lambda x: x[:, :, ::2, ::2], decode=lambda u: u[:, :3, None, None].expand(-1, -1, 4, 4) / 255
        )

    def features(self, images):
        assert not self.training and not torch.is_grad_enabled()
        torch.rand(1), np.random.rand()  # noqa: NPY002
        self.passes.append(len(images))
        found = images[:, :, 4, 4]
        return (found[:, :, None, None].expand(-1, -1, 2, 2) if self.maps else found,)

    def nuisance(self, images):
        mean = images[:, :1, 4, 4].expand(-1, LATENT)
        return mean, torch.full_like(mean, -200.0)

    def pose_of(self, samples):
        places, weights = self.estimator.head.labels(samples)
        return ((2 * places - 1) * weights[..., None]).flatten(1)

    def counterfactuals(self, nuisances, pose):
        n, m = len(pose), len(nuisances)
        return torch.cat([nuisances[None, :, :1].expand(n, m, 1), pose[:, None].expand(n, m, -1)], -1)


@pytest.fixture
def dataset():
    """Twenty labelled pictures and two unlabelled sets of ten and thirty."""
    parts = [Part(20), Part(10, 'target', 'a/dusk', 100), Part(30, 'target', 'a/neon/', 150)]
    return types.SimpleNamespace(datasets=parts)


def test_pictures_are_drawn_at_even_distances_of_all_parts(dataset):
    pictures = draw_pictures(dataset, 8)
    assert pictures.names == ['look'] * 8 + ['dusk'] * 4 + ['neon'] * 4
    assert pictures.labelled == [True] * 8 + [False] * 8
    assert [part.asked[1:] for part in dataset.datasets] == [[0, 2, 5, 7, 10, 12, 15, 17], [0, 2, 5, 7], [0, 7, 15, 22]]
    assert len(draw_pictures(dataset, 100).samples) == 20 + 10 + 30
    assert spaced(3, 8) == [0, 1, 2] and spaced(0, 8) == []


def test_pictures_are_the_same_again_and_random_states_are_kept(dataset):
    np.random.seed(3), random.seed(3)  # noqa: NPY002
    wanted = np.random.rand(), random.random()  # noqa: NPY002
    np.random.seed(3), random.seed(3)  # noqa: NPY002
    first = draw_pictures(dataset, 8)
    assert (np.random.rand(), random.random()) == wanted  # noqa: NPY002
    again, other = draw_pictures(dataset, 8), draw_pictures(dataset, 8, seed=1)
    edges = [[int(sample['inputs'][0, 0, 0]) for sample in drawn.samples] for drawn in (first, again, other)]
    assert edges[0] == edges[1] != edges[2] and len(set(edges[0])) > 4


def test_parts_of_one_folder_have_names_of_their_own_and_pairs_are_left_out():
    parts = [Part(4), Part(4, 'target'), Part(4, 'pair', 'a/pairs'), Part(0)]
    pictures = draw_pictures(types.SimpleNamespace(datasets=parts), 2)
    assert pictures.names == ['look 0', 'look 0', 'look 1', 'look 1']
    with pytest.raises(ValueError, match='have no labelled part, only target'):
        draw_pictures(Part(3, 'target'))


@pytest.mark.parametrize('batch_size', [3, 8, 64])
@pytest.mark.parametrize('maps', [False, True])
def test_rows_are_of_their_pictures(dataset, batch_size, maps):
    model, pictures = Model(maps).eval(), draw_pictures(dataset, 8)
    state = torch.get_rng_state()
    found = look(model, pictures, 3, 4, batch_size=batch_size)
    levels = [int(sample['inputs'][0, 4, 4]) for sample in pictures.samples]
    assert found.features[:, 0].tolist() == levels
    assert found.nuisances.tolist() == [[level] * LATENT for level in levels[:8]]
    assert found.names.tolist() == pictures.names and found.labelled.tolist() == pictures.labelled
    assert max(model.passes) <= batch_size
    assert not torch.equal(torch.get_rng_state(), state), 'the caller keeps the random state'


def test_every_pose_gets_the_same_nuisances_of_unlabelled_pictures(dataset):
    model, pictures = Model().eval(), draw_pictures(dataset, 8)
    found = look(model, pictures, 3, 4)
    levels = [int(sample['inputs'][0, 4, 4]) for sample in pictures.samples[8:]]
    assert found.generated[..., 0].tolist() == [levels[::2]] * 3
    assert look(model, pictures, 3, 16).generated[0, :, 0].tolist() == levels * 2
    # of the labelled pictures 0, 2, 5, 7, ... those of even index have all joints
    whole = [
        sample for sample in pictures.samples[:8] if sample['data_samples'].gt_instance_labels.volume_weights.all()
    ]
    picked = [whole[len(whole) * i // 3]['data_samples'] for i in range(3)]
    assert np.allclose(found.generated[:, 0, 1:], model.pose_of(picked))
    assert found.visible.all()
    assert found.predicted[:, :, 3, 2].tolist() == found.generated[..., 0].tolist()
    assert look(model, pictures, 8, 4).visible.sum(1).min() == JOINTS - 3


def test_nuisances_come_from_where_the_training_takes_them(dataset):
    model, pictures = Model().eval(), draw_pictures(dataset, 8)
    drawn = {}
    for model.u_source in ('posterior', 'prior', 'mixed'):
        drawn[model.u_source] = look(model, pictures, 2, 6).generated[0, :, 0]
        assert (look(model, pictures, 2, 6).generated[0, :, 0] == drawn[model.u_source]).all()
    assert (drawn['posterior'] >= 100).all() and (np.abs(drawn['prior']) < 6).all()
    assert (drawn['mixed'][::2] == drawn['posterior'][::2]).all() and (
        drawn['mixed'][1::2] == drawn['prior'][1::2]
    ).all()
    assert (look(model, pictures, 2, 6, seed=1).generated[0, 1::2, 0] != drawn['mixed'][1::2]).all()


def test_true_poses_are_as_large_as_predicted_ones_and_from_the_root(dataset):
    found = look(Model().eval(), draw_pictures(dataset, 8), 3, 4)
    assert found.truth[:, list(Head.root)].mean(1) == pytest.approx(0, abs=1e-6)
    bones = found.truth[:, [a for a, _ in SKELETON.bones]] - found.truth[:, [b for _, b in SKELETON.bones]]
    assert (np.square(bones).sum((1, 2)) >= 1 - 1e-4).all()
    poses = found.poses.reshape(-1, JOINTS, 3)
    assert poses[0, list(Head.root)].mean(0) == pytest.approx(0, abs=1e-6)


def test_numbers_are_of_what_was_seen(dataset):
    model, pictures = Model().eval(), draw_pictures(dataset, 20)
    found = look(model, pictures, 3, 4)
    numbers = measure(found)
    assert list(numbers) == ['domain_accuracy', 'error_mm', 'silhouette', 'within', 'between', 'pose_leak']
    assert numbers['domain_accuracy'] == 1, 'grey levels tell them'
    levels = found.generated[0, :, 0]
    wanted = 1000 * np.sqrt(3) * np.abs(levels[:, None] - levels).sum() / 12
    assert numbers['error_mm'] == pytest.approx(wanted, rel=1e-5)
    assert numbers['pose_leak'] < 0.2, 'poses are drawn without regard to the picture'
    model.estimator.head.bodies.zero_()
    untrained = look(model, pictures, 3, 4)
    assert untrained.predicted is None and 'error_mm' not in measure(untrained)
    plain = look(model, pictures, intervene=False)
    assert plain.generated is None and list(measure(plain)) == ['domain_accuracy']
    assert measure(plain._replace(labelled=np.ones(40, bool))) == {}


def test_what_is_not_finite_is_seen(dataset):
    found = look(Model().eval(), draw_pictures(dataset, 10), 3, 4)
    assert finite(found) and finite(Interventions(found.features, found.names, found.labelled))
    found.generated[0, 0, 0] = np.nan
    assert not finite(found)


def test_reconstructions_are_beside_their_pictures(dataset):
    shown = reconstructions(Model().eval(), draw_pictures(dataset, 8), 3)
    assert list(shown) == ['look', 'dusk', 'neon']
    pictures, drawn = shown['dusk']
    assert pictures.shape == drawn.shape == (3, 4, 4, 3) and pictures.dtype == drawn.dtype == np.uint8
    assert drawn[:, 2, 2, 0].tolist() == pictures[:, 2, 2, 0].tolist() == [100, 102, 105]


def test_too_few_pictures_and_other_models_are_refused(dataset):
    pictures = draw_pictures(dataset, 4)
    with pytest.raises(ValueError, match='5 poses of labelled pictures .* are 4 labelled and 4 unlabelled'):
        look(Model().eval(), pictures, 5, 4)
    with pytest.raises(ValueError, match='are 4 labelled and 0 unlabelled'):
        look(Model().eval(), draw_pictures(dataset.datasets[0], 4), 2, 4)
    with pytest.raises(TypeError, match='needs an adapter .*, got Linear'):
        look(nn.Linear(1, 1), pictures)


class TestHook:
    @pytest.fixture
    def runner(self, dataset):
        """What the hook needs of a runner; what it is told is kept."""
        told = dict(scalars=[], shown=[], info=[], warning=[])
        return types.SimpleNamespace(
            model=Model().train(),
            iter=0,
            told=told,
            train_dataloader=types.SimpleNamespace(dataset=dataset),
            message_hub=types.SimpleNamespace(update_scalar=lambda *args: told['scalars'].append(args)),
            visualizer=types.SimpleNamespace(add_scalars=lambda row, step: told['shown'].append((row, step))),
            logger=types.SimpleNamespace(info=told['info'].append, warning=told['warning'].append),
        )

    @staticmethod
    def train(runner, hook, iterations):
        hook.before_train(runner)
        for _ in range(iterations):
            hook.before_train_iter(runner, runner.iter)
            hook.after_train_iter(runner, runner.iter)
            runner.iter += 1

    def test_measures_before_the_first_iteration_and_then_at_the_interval(self, runner):
        hook = InterventionHook(interval=3, num_pictures=20, num_poses=3, num_nuisances=4)
        self.train(runner, hook, 7)
        rows, steps = zip(*runner.told['shown'])
        assert steps == (0, 3, 6) and rows[0] == rows[1] == rows[2]
        numbers = measure(look(Model().eval(), draw_pictures(runner.train_dataloader.dataset, 20), 3, 4))
        assert rows[0] == {f'intervention/{name}': value for name, value in numbers.items()}
        assert dict(runner.told['scalars'][-6:]) == rows[0]
        assert runner.told['info'][1].startswith('Interventions after 3 iterations: domain_accuracy 1.000, error_mm')

    def test_modes_and_random_state_are_left_as_they_were(self, runner):
        runner.model.dropout.eval()

        def draw():
            return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

        random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
        wanted = draw()
        random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
        self.train(runner, InterventionHook(num_pictures=20, num_poses=3, num_nuisances=4), 1)
        assert draw() == wanted
        assert runner.model.training and not runner.model.dropout.training

    def test_what_is_not_finite_is_reported_and_the_training_goes_on(self, runner):
        runner.model.estimator.extract_feat = lambda images: (images[:, :, 4, 4] * float('nan'),)
        self.train(runner, InterventionHook(num_pictures=20, num_poses=3, num_nuisances=4), 1)
        assert 'after 0 iterations are not finite; nothing is measured' in runner.told['warning'][0]
        assert not runner.told['shown'] and not runner.told['scalars']

    def test_another_process_does_nothing(self, runner, monkeypatch):
        monkeypatch.setattr('mmengine.dist.utils.get_rank', lambda *_: 1)
        self.train(runner, InterventionHook(num_pictures=20), 1)
        assert not runner.told['shown'] and not runner.model.passes
        assert not any(part.asked for part in runner.train_dataloader.dataset.datasets)

    @pytest.mark.parametrize(
        'bad', [dict(interval=0), dict(num_pictures=9), dict(num_poses=1), dict(num_nuisances=1), dict(batch_size=0)]
    )
    def test_settings_out_of_range(self, bad):
        with pytest.raises(ValueError, match=f'{next(iter(bad))} must be at least'):
            InterventionHook(**bad)
        with pytest.raises(ValueError, match='30 poses cannot be taken of 20 pictures'):
            InterventionHook(num_pictures=20, num_poses=30)
