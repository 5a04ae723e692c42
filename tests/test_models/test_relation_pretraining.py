"""Spaces of motions and networks of relations: their losses by loops, what stands still, and what is refused."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from relation_samples import FRAMES, MOTION, POSE, RELATIONS, changed, motion, snapshot
from torch import nn

from mmposeda.engine.relations import non_localness
from mmposeda.models.networks.relation_networks import key_of
from mmposeda.registry import MODELS
from mmposeda.structures.relations import Relation

STILL = dict(azimuth=0.0, tilt=0.0, flip=0.0)
EVERY = ('flip', 'inplane(50)', *RELATIONS, 'backward', 'identity')


def build(kind, **kwargs):
    torch.manual_seed(0)
    cfg = dict(type=kind, pose=POSE, motion=MOTION, frames=FRAMES, views=STILL)
    if kind == 'RelationTraining':
        cfg['relations'] = dict(relations=EVERY, hidden=(16,))
    return MODELS.build({**cfg, **kwargs}).train()


def embedding(**kwargs):
    return build('MotionEmbeddingTraining', **kwargs)


def relating(*names, **kwargs):
    return build('RelationTraining', **(dict(relations=dict(relations=names, hidden=(16,))) if names else {}), **kwargs)


def losses(model, batch=None):
    return model(**(batch or motion()))


def canonical(model, batch=None):
    return model.pose.kinematics.canonical((batch or motion())['inputs']['motion'])


def optimiser(model, kind=torch.optim.RMSprop, **kwargs):
    return OptimWrapper(kind(model.parameters(), **{'lr': 1e-3, 'weight_decay': 0.1, **kwargs}))


@pytest.mark.parametrize('make, part', [(embedding, 'motion'), (relating, 'relations')])
class TestWhatMoves:
    def test_all_but_the_trained_part_is_what_it_was(self, make, part):
        """With weight decay, which an optimiser would give weights with a gradient of 0 too."""
        model = make()
        before, wrapper = snapshot(model), optimiser(model)
        for seed in range(3):
            model.train_step(motion(seed=seed), wrapper)
        moved = changed(model, before)
        assert {name.split('.')[0] for name in moved} == {part}
        assert {f'{part}.{name}' for name, p in getattr(model, part).named_parameters() if p.ndim > 1} <= moved

    def test_frozen_networks_get_no_gradient(self, make, part):
        model = make()
        model.parse_losses(losses(model))[0].backward()
        for name, weight in model.named_parameters():
            assert (weight.grad is not None) == weight.requires_grad == name.startswith(f'{part}.')

    def test_errors_fall(self, make, part):
        model = make()
        wrapper, totals = optimiser(model, torch.optim.Adam, weight_decay=0), []
        for _ in range(40):
            logged = model.train_step(motion(), wrapper)
            totals.append(float(logged['loss']))
        assert totals[-1] < 0.8 * totals[0]

    def test_views_are_drawn_for_every_batch(self, make, part):
        model = make(views=None)
        first, second = ({k: float(v) for k, v in losses(model).items()} for _ in range(2))
        assert first.keys() == second.keys() and first != second

    def test_other_modes_are_refused(self, make, part):
        with pytest.raises(ValueError, match="only trains; got mode='predict'. Leave val_cfg and test_cfg out"):
            make()(**motion(), mode='predict')

    @pytest.mark.parametrize('shape', [(3, 8, 17, 3), (3, 15, 3)])
    def test_other_clips_are_refused(self, make, part, shape):
        with pytest.raises(ValueError, match=r"takes clips \(B, W, 15, 3\) of 'nlrd15', got .* set skeleton of Mocap"):
            make()(dict(motion=torch.zeros(shape)))


class TestMotionEmbedding:
    @pytest.mark.parametrize('speeds, count', [((1, 2), 6), ((1, 2), 5), ((1,), 4), ((2, 1), 3), ((1, 2), 1)])
    def test_each_speed_has_its_share(self, speeds, count):
        model = embedding(speeds=speeds)
        batch = motion(count)
        found = losses(model, batch)
        clips, total, number = canonical(model, batch), 0.0, 0
        first = -(-count // len(speeds))
        for row, clip in enumerate(clips):
            speed = speeds[row >= first]
            frames = torch.stack([clip[speed * t] for t in range(FRAMES)])
            z = torch.stack([model.pose.encode(pose) for pose in frames])
            back = model.motion.decode(model.motion.encode(z[None]), FRAMES)[0]
            total += float((model.pose.pose(back) - frames).square().sum())
            number += frames.numel()
        assert float(found['loss_motion']) == pytest.approx(total / number, rel=1e-4)
        assert found.keys() == {'loss_motion', 'latent_spread'} and found['latent_spread'].isfinite()

    def test_spread_is_that_of_the_latents(self):
        model = embedding(speeds=(1,))
        v = model.motion.encode(model.pose.encode(canonical(model)[:, :FRAMES])).detach().numpy()
        assert float(losses(model)['latent_spread']) == pytest.approx(v.std(0).mean(), rel=1e-4)
        same = motion()
        same['inputs']['motion'] = same['inputs']['motion'][:1].expand(6, -1, -1, -1)
        assert float(losses(model, same)['latent_spread']) < 1e-6

    def test_short_clips_are_refused_with_the_way_out(self):
        with pytest.raises(ValueError, match='needs clips of 8 frames, got 7: set frames=8 in MocapMotionDataset'):
            losses(embedding(), motion(frames=7))
        losses(embedding(speeds=(1,)), motion(frames=4))

    @pytest.mark.parametrize('kwargs', [dict(frames=0), dict(speeds=()), dict(speeds=(0, 1))])
    def test_numbers_out_of_range_are_refused(self, kwargs):
        with pytest.raises(ValueError, match='frames and speeds must be from 1 on'):
            embedding(**kwargs)


class TestRelations:
    @pytest.mark.parametrize('target', ['latent', 'pose'])
    def test_losses_of_poses(self, target):
        model = relating('flip', 'flip_inplane(50)', target=target)
        batch = motion(frames=1)  # the only frame is the one that is drawn
        found, flips = losses(model, batch), model.pose.kinematics.skeleton.flip_indices
        for relation in model.relations.relations:
            errors = []
            for clip in canonical(model, batch):
                after = relation.joints(clip[0], flips)
                told = model.relations[relation.name](model.pose.encode(clip[0]))
                pair = (told, model.pose.encode(after)) if target == 'latent' else (model.pose.pose(told), after)
                errors.append(float((pair[0] - pair[1]).square().mean()))
            assert float(found[f'loss_{relation.name}']) == pytest.approx(sum(errors) / len(errors), rel=1e-4)

    @pytest.mark.parametrize('target', ['latent', 'pose'])
    def test_losses_of_motions(self, target):
        """Compared by their latents whatever poses are compared by."""
        names = ('flip_inplane_backward(50)', 'slow_backward', 'backward')
        model = relating(*names, target=target)
        found, flips = losses(model), model.pose.kinematics.skeleton.flip_indices
        turned = Relation.parse('flip_inplane(50)')
        for name in names:
            errors = []
            for clip in canonical(model):
                frames = (range(0, 8, 2), range(5, 1, -1)) if name == 'slow_backward' else (range(4), range(3, -1, -1))
                anchor, positive = (torch.stack([clip[t] for t in chosen]) for chosen in frames)
                if 'flip' in name:
                    positive = turned.joints(positive, flips)
                before, after = (model.motion.encode(model.pose.encode(x)[None]) for x in (anchor, positive))
                errors.append(float((model.relations[name](before) - after).square().mean()))
            assert float(found[f'loss_{name}']) == pytest.approx(sum(errors) / len(errors), rel=1e-4)

    def test_distances_are_those_of_the_measure(self):
        for name in EVERY:
            model = relating(name)
            relation, key = model.relations.relations[0], f'distance_{name}'
            batch = motion(frames=1 if relation.level == 'pose' else 2 * FRAMES)
            want = non_localness(model.pose, model.motion, relation, canonical(model, batch), frames=FRAMES).distance
            assert float(losses(model, batch)[key]) == pytest.approx(want, rel=1e-4)

    def test_distances_are_no_losses_and_have_no_gradient(self):
        found = losses(relating())
        assert found.keys() == {f'{kind}_{key_of(name)}' for kind in ('loss', 'distance') for name in EVERY}
        assert all(found[key].requires_grad == key.startswith('loss') for key in found)
        assert float(found['distance_identity']) == 0 and float(found['distance_flip']) > 0

    def test_involutions_are_as_far_from_either_side(self):
        names = ('flip', 'flip_inplane(50)', 'flip_inplane_backward(50)')
        model, batch = relating(*names), motion(frames=FRAMES)
        flips = model.pose.kinematics.skeleton.flip_indices
        for name in names:
            relation, clips = Relation.parse(name), batch['inputs']['motion']
            if relation.level == 'pose':
                clips = clips[:, :1]  # the frame that is drawn
            pair = [clips, relation.joints(relation.positive(clips), flips)]
            alone = relating(name)
            there, back = (float(losses(alone, dict(inputs=dict(motion=x)))[f'distance_{name}']) for x in pair)
            assert there == pytest.approx(back, rel=1e-3) and there > 0

    def test_a_network_that_changes_nothing_has_the_identity_right(self):
        model = relating('identity')
        model.relations['identity'] = nn.Identity()
        assert float(losses(model)['loss_identity']) == 0

    def test_poses_are_drawn_anew_from_all_frames(self, monkeypatch):
        model, seen = relating('flip', poses_per_clip=3), []
        encode = model.pose.encode
        monkeypatch.setattr(model.pose, 'encode', lambda pose: seen.append(pose) or encode(pose))
        for _ in range(20):
            losses(model)
        drawn, clips = torch.stack([poses.chunk(2)[0] for poses in seen]), canonical(model)  # (20, B x 3, J, 3)
        assert drawn.shape[1] == 3 * len(clips)
        rows = drawn.view(20, len(clips), 3, 1, -1) == clips.view(1, len(clips), 1, len(clips[0]), -1)
        places = rows.all(-1).nonzero()
        assert len(places) == 20 * len(clips) * 3, 'each from the clip of its row'
        for row in range(len(clips)):
            assert set(places[places[:, 1] == row][:, 3].tolist()) == set(range(2 * FRAMES))

    def test_relations_share_no_weights(self):
        model = relating('flip', 'slow_backward')
        losses(model)['loss_flip'].backward()
        assert all(p.grad is None for p in model.relations['slow_backward'].parameters())

    def test_sizes_are_those_of_the_spaces(self):
        model = relating(pose=dict(POSE, scale=3.0), motion=dict(MOTION, scale=3.0))
        assert {(net.dim, net.scale) for net in model.relations.values()} == {(8, 3.0), (6, 3.0)}
        plain = build('RelationTraining', relations=['flip'])
        assert [layer.out_features for layer in plain.relations['flip'].layers[::2]] == [1024, 512, 256, 8]

    def test_short_clips_are_refused_with_the_way_out(self):
        for name, frames in dict(slow_backward=8, backward=4).items():
            match = f'needs clips of {frames} frames, got {frames - 1}: set frames={frames} in MocapMotionDataset'
            with pytest.raises(ValueError, match=match):
                losses(relating(name), motion(frames=frames - 1))

    @pytest.mark.parametrize(
        'kwargs, match',
        [
            (dict(target='motion'), r"target must be one of \('latent', 'pose'\), got 'motion'"),
            (dict(frames=0), 'frames and poses_per_clip must be from 1 on, got 0 and 4'),
            (dict(poses_per_clip=0), 'frames and poses_per_clip must be from 1 on, got 4 and 0'),
            (dict(frames=5), 'slow_backward takes the middle half of a window: clips of an even length, got 5'),
        ],
    )
    def test_options_are_refused_when_it_is_built(self, kwargs, match):
        with pytest.raises(ValueError, match=match):
            relating(**kwargs)
