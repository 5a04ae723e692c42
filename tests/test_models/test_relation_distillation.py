"""Relations of latents as losses: their values by loops, margins, colours, and predictions."""

import copy

import pytest
import torch
import torch.nn.functional as F
from relation_samples import (
    FRAMES,
    LATENT,
    LOSSES,
    RELATIONS,
    SIZE,
    batch_for,
    build,
    clips,
    estimator,
    labelled,
    logged,
    optimisers,
    pictures,
    prepared,
    sample,
    shown,
)
from torch import nn

from mmposeda.models.networks.relation_networks import key_of
from mmposeda.registry import MODELS
from mmposeda.structures.relations import Relation


class TestRelations:
    """Without changes of colour: ``mean |T(G(x)) - G(A(x))|``, and the same of motions."""

    @pytest.mark.parametrize('name', ['flip', 'inplane(90)', 'flip_inplane(90)'])
    def test_of_poses(self, name):
        model = build(change=0.0, relations=[name])
        batch = clips(name)
        errors, distances = [], []
        for clip in shown(model, batch):
            for frame in clip:
                after = frame.rot90(-1, (-2, -1)) if '90' in name else frame  # clockwise on the screen
                after = after.flip(-1) if 'flip' in name else after
                before, after = (model.latents(x[None])[0] for x in (frame, after))
                errors.append((model.relations[name](before) - after).abs().mean())
                distances.append((before - after).norm())
        found = logged(model, batch)
        key = key_of(name)
        assert found.keys() == {f'rel_loss_{key}', f'rel_distance_{key}', 'rel_spread'}
        assert found[f'rel_loss_{key}'] == pytest.approx(float(sum(errors)) / len(errors), rel=1e-4)
        assert found[f'rel_distance_{key}'] == pytest.approx(float(sum(distances)) / len(distances), rel=1e-4)

    @pytest.mark.parametrize('name', ['backward', 'flip_backward', 'flip_inplane_backward(90)', 'slow_backward'])
    def test_of_motions(self, name):
        model = build(change=0.0, relations=[name])
        batch = clips(name, frames=2 * FRAMES)
        frames = (range(0, 8, 2), range(5, 1, -1)) if name == 'slow_backward' else (range(4), range(3, -1, -1))
        errors, distances = [], []
        for clip in shown(model, batch):
            anchor, positive = (torch.stack([clip[t] for t in chosen]) for chosen in frames)
            positive = positive.rot90(-1, (-2, -1)) if '90' in name else positive
            positive = positive.flip(-1) if 'flip' in name else positive
            before, after = (model.motion.encode(model.latents(x)[None])[0] for x in (anchor, positive))
            errors.append((model.relations[name](before) - after).abs().mean())
            distances.append((before - after).norm())
        found = logged(model, batch)
        key = key_of(name)
        assert found[f'rel_loss_{key}'] == pytest.approx(float(sum(errors)) / len(errors), rel=1e-4)
        assert found[f'rel_distance_{key}'] == pytest.approx(float(sum(distances)) / len(distances), rel=1e-4)

    def test_nothing_is_lost_if_neither_picture_nor_latent_changes(self):
        """Mirrored symmetric pictures, and replayed stills, are themselves."""
        names = ('identity', 'flip', 'backward', 'flip_backward', 'slow_backward')
        model = build(change=0.0, relations=names)
        half = pictures(3, 3, SIZE, SIZE // 2)
        stills = torch.cat([half, half.flip(-1)], -1).repeat(1, 2 * FRAMES, 1, 1)
        for name in names:
            model.relations[name] = nn.Identity()
            batch = dict(inputs=list(stills), data_samples=[sample(domain='clip', task=name) for _ in stills])
            found = logged(model, batch)
            assert found[f'rel_loss_{name}'] == 0 and found[f'rel_distance_{name}'] == 0

    @pytest.mark.parametrize('name', RELATIONS)
    def test_a_constant_latent_pays_for_what_the_relation_would_move_it(self, name):
        model = build()
        bias = torch.linspace(-0.4, 0.5, LATENT)
        model.student.head.rest[-1].weight.data.zero_()
        model.student.head.rest[-1].bias.data.copy_(bias)
        c = bias.tanh()
        if 'backward' in name:
            c = model.motion.encode(c.expand(1, FRAMES, -1))[0]
        found = logged(model, clips(name))
        key = key_of(name)
        assert found[f'rel_loss_{key}'] == pytest.approx(float((model.relations[key](c) - c).abs().mean()), rel=1e-4)
        assert found['rel_spread'] < 1e-6 and found[f'rel_distance_{key}'] < 1e-5

    def test_spread_is_that_of_the_latents_of_all_frames(self):
        model = build(change=0.0)
        batch = clips(RELATIONS[0], count=1)
        latents = model.latents(shown(model, batch).flatten(0, 1)).detach().numpy()
        assert logged(model, batch)['rel_spread'] == pytest.approx(latents.std(0).mean(), rel=1e-4)
        assert logged(model, clips(RELATIONS[0], count=1, frames=1))['rel_spread'] == 0

    @pytest.mark.parametrize('stop', [(), ('pose',), ('motion',), ('pose', 'motion')])
    @pytest.mark.parametrize('name', ['flip', 'flip_backward'])
    def test_gradients_enter_the_positive_unless_stopped(self, stop, name):
        model = build(change=0.0, relations=[name], stop_positive=stop)
        level, clip = ('motion' if 'backward' in name else 'pose'), shown(model, clips(name))
        weights = model.trained_by(name)
        before, after = (model.latents(x.flatten(0, 1)) for x in (clip, clip.flip(-1)))
        if level == 'motion':
            after = after.unflatten(0, clip.shape[:2]).flip(1)
            before, after = model.motion.encode(before.unflatten(0, clip.shape[:2])), model.motion.encode(after)
        after = after.detach() if level in stop else after
        want = torch.autograd.grad((model.relations[name](before) - after).abs().mean(), weights)
        found = model(**prepared(model, clips(name)), mode='loss')
        got = torch.autograd.grad(found[f'rel_loss_{name}'], weights)
        for a, b in zip(got, want):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-7)

    def test_poses_take_clips_of_any_length(self):
        model = build()
        for frames in (1, 3, 9):
            assert logged(model, clips(RELATIONS[0], frames=frames))['rel_loss_flip_inplane(50)'] > 0


class Halved(nn.Module):
    """In place of random colours: half as bright where the share of changed pictures is 1."""

    def forward(self, images, probability):
        assert images.min() >= 0 and images.max() <= 1
        return images / 2 if probability == 1 else images


def contrast_by_loops(model, sides):
    """``-log[e^(qk/t) / (e^(qk/t) + sum of e^(q q'/t))]``, averaged over the anchors."""
    (q, k), total = (F.normalize(x, dim=-1) for x in sides), 0.0
    for i, anchor in enumerate(q):
        own = torch.exp(anchor @ k[i] / model.temperature)
        others = sum(torch.exp(anchor @ q[j] / model.temperature) for j in range(len(q)) if j != i)
        total -= float(torch.log(own / (own + others)))
    return total / len(q)


class TestContrasts:
    def two_views(self, model, batch):
        """Clips as they are, and as :class:`Halved` changes them, both normalised."""
        raw = torch.stack(batch['inputs']).unflatten(1, (-1, 3)).flip(2).float()  # BGR to RGB
        return [(x - 120) / 60 for x in (raw, raw / 2)]

    def build(self, **kwargs):
        model = build(change=0.5, **kwargs)
        model.photometric = Halved()
        return model

    @pytest.mark.parametrize('temperature', [0.07, 0.5])
    def test_of_poses(self, temperature):
        model, batch = self.build(temperature=temperature), clips('pose_contrast', count=4)
        sides = []
        for view in self.two_views(model, batch):
            first = model.student.head.features(model.student.extract_feat(view[:, 0]))[0]
            sides.append(model.pose_projection.layers(first))
        found = logged(model, batch)
        assert found == {'rel_loss_pose_contrast': pytest.approx(contrast_by_loops(model, sides), rel=1e-3)}

    def test_of_motions(self):
        model, batch = self.build(), clips('motion_contrast', count=4, frames=FRAMES + 3)
        sides = []
        for view in self.two_views(model, batch):
            z = torch.stack([model.latents(clip[:FRAMES]) for clip in view])
            sides.append(model.motion_projection.layers(model.motion.encode(z)))
        found = logged(model, batch)
        assert found == {'rel_loss_motion_contrast': pytest.approx(contrast_by_loops(model, sides), rel=1e-3)}

    @pytest.mark.parametrize('task', ['pose_contrast', 'motion_contrast'])
    def test_a_constant_latent_tells_no_clip_from_another(self, task):
        model = self.build()
        for layer in (model.student.head.first[0], model.student.head.rest[-1]):
            layer.weight.data.zero_()
            layer.bias.data.fill_(0.1)
        assert logged(model, clips(task, count=5))[f'rel_loss_{task}'] == pytest.approx(torch.tensor(5.0).log().item())

    def test_a_frame_is_enough_for_poses(self):
        model = self.build()
        batch = clips('pose_contrast')
        alone = dict(batch, inputs=[x[:3] for x in batch['inputs']])
        assert logged(model, alone) == logged(model, batch)

    def test_a_clip_alone_is_refused(self):
        with pytest.raises(ValueError, match='needs 2 items at least'):
            logged(build(), clips('pose_contrast', count=1))


class TestColours:
    @pytest.mark.parametrize('task', LOSSES)
    def test_anchors_and_positives_are_changed_by_themselves(self, task, monkeypatch):
        model, asked = build(change=0.25), []
        change = model.photometric.forward
        monkeypatch.setattr(model.photometric, 'forward', lambda x, p: asked.append((len(x), p)) or change(x, p))
        logged(model, clips(task))
        frames = 1 if task == 'pose_contrast' else FRAMES
        assert asked == [(3 * frames, 0.25), (3 * frames, 1.0 if 'contrast' in task else 0.25)]

    def test_changed_pictures_are_normalised_as_the_others(self):
        model = build(photometric=dict(hue=0.0, saturation=(1, 1), value=0.0, brightness=(1, 1)))
        pixels = shown(model, clips('flip')).flatten(0, 1)
        torch.testing.assert_close(model.seen(pixels, change=1.0), pixels, atol=1e-4, rtol=0)

    def test_colours_are_not_rounded_in_half_precision(self):
        model = build(photometric=dict(hue=0.0, saturation=(1, 1), value=0.0, brightness=(1, 1)))
        pixels = shown(model, clips('flip')).flatten(0, 1)
        with torch.autocast('cpu', torch.bfloat16):
            torch.testing.assert_close(model.seen(pixels, change=1.0), pixels, atol=1e-4, rtol=0)


class TestHalfPrecision:
    @pytest.mark.parametrize('loss', [*LOSSES, 'source'])
    def test_changes_the_networks_only(self, loss):
        model = build(photometric=dict(hue=0.0, saturation=(1, 1), value=0.0, brightness=(1, 1)))
        exact = logged(model, batch_for(loss))
        with torch.autocast('cpu', torch.bfloat16):
            half = model(**prepared(model, batch_for(loss)), mode='loss')
        assert all(value.dtype == torch.float32 for value in half.values())
        for key, value in exact.items():
            assert float(half[key]) == pytest.approx(value, rel=0.1, abs=0.01)


class TestMargin:
    def with_margin(self, batch, margin, seed=9):
        """Around each picture, noise of another seed."""
        frames = []
        for picture in batch['inputs']:
            around = pictures(*picture.shape[:-2], SIZE + 2 * margin, SIZE + 2 * margin, seed=seed)
            around[..., margin:-margin, margin:-margin] = picture
            frames.append(around)
        return dict(batch, inputs=frames)

    @pytest.mark.parametrize('loss', [*LOSSES, 'source'])
    def test_only_turned_pictures_show_it(self, loss):
        photometric = dict(hue=0.0, saturation=(1, 1), value=0.0, brightness=(1, 1))
        plain, cropped = build(photometric=photometric), build(size=SIZE, photometric=photometric)
        batch = batch_for(loss)
        whole, first, second = (
            self.shown_to_backbone(model, x)
            for model, x in (
                (plain, batch),
                (cropped, self.with_margin(batch, 8)),
                (cropped, self.with_margin(batch, 8, seed=10)),
            )
        )
        for number, pair in enumerate([*zip(whole, first), *zip(first, second)]):
            off = float((pair[0] - pair[1]).abs().max())
            turned = '50' in loss and number % 2 == 1  # the positives
            assert (off > 0.1) == turned and (off < 1e-4) != turned

    @staticmethod
    def shown_to_backbone(model, batch):
        seen = []
        handle = model.student.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        logged(model, batch)
        handle.remove()
        assert len(seen) == (1 if len(batch['inputs'][0]) == 3 else 2)
        return seen

    def test_turned_corners_are_filled_by_it(self):
        model = build(size=SIZE)
        relation = Relation.parse('inplane(45)')
        white = torch.ones(1, 3, SIZE + 16, SIZE + 16)
        white[..., 8:-8, 8:-8] = 0
        seen = model.seen(white, relation)
        assert seen.shape == (1, 3, SIZE, SIZE) and seen[..., 0, 0].min() == 1 and seen[..., 16, 16].max() == 0

    def test_predictions_see_pictures_as_they_are(self):
        model = build(size=SIZE // 2, estimator=estimator(grid=(1, 1))).eval()
        x = torch.randn(2, 3, SIZE // 2, SIZE // 2)
        assert torch.equal(model(x, None, mode='tensor'), model.latents(x))

    def test_a_crop_that_does_not_fit_is_refused(self):
        with pytest.raises(ValueError, match='no square of 64 pixels about the centre of pictures of 32 x 32'):
            logged(build(size=64, estimator=estimator(grid=(4, 4))), clips('slow_backward'))


class TestSource:
    def test_is_the_estimators_own_loss_in_evaluation_mode(self):
        model, batch = build(), labelled()
        data = prepared(model, batch)
        want = model.student.loss(data['inputs']['source'], data['data_samples']['source'])
        found = logged(model, batch)
        assert found == {'sup_loss_pose': pytest.approx(float(want['loss_pose']), rel=1e-5)}

    def test_does_not_count_the_lengths_of_bones_anew(self):
        model = build()
        model.train_step(labelled(), optimisers(model))
        assert (model.student.head.bones == 1).all()

    def test_labels_of_clips_are_not_read(self):
        model = build(change=0.0)
        plain = clips(RELATIONS[0])
        given = copy.deepcopy(plain)
        for one, other in zip(given['data_samples'], labelled(3)['data_samples']):
            one.gt_instance_labels = other.gt_instance_labels
            one.gt_instance_labels.root_pose.fill_(float('nan'))
        assert logged(model, given) == logged(model, plain)


class TestPredictions:
    def test_are_the_plain_estimators(self):
        model = build().eval()
        plain = MODELS.build(copy.deepcopy(estimator())).eval()
        plain.load_state_dict(model.plain_state_dict())
        x, samples = torch.randn(2, 3, SIZE, SIZE), [sample(), sample()]
        assert torch.equal(model(x, None, mode='tensor'), plain(x, None, mode='tensor'))
        for a, b in zip(*(m(x, copy.deepcopy(samples), mode='predict') for m in (model, plain))):
            assert (a.pred_instances.keypoints_3d == b.pred_instances.keypoints_3d).all()
            assert (a.pred_instances.keypoints == b.pred_instances.keypoints).all()

    def test_a_checkpoint_of_the_plain_estimator_is_taken_up(self):
        torch.manual_seed(5)
        plain, model = MODELS.build(copy.deepcopy(estimator())), build()
        parts = {name.split('.')[0] for name in model.state_dict()}
        result = model.load_state_dict(plain.state_dict(), strict=False)
        assert {name.split('.')[0] for name in result.missing_keys} == parts - {'student'}
        assert not result.unexpected_keys
        assert all(torch.equal(value, model.student.state_dict()[key]) for key, value in plain.state_dict().items())

    def test_a_test_batch_needs_no_clips(self):
        model = build().eval()
        (first, _) = model.test_step(dict(inputs=labelled(2)['inputs'], data_samples=[sample(), sample()]))
        assert first.pred_instances.keypoints_3d.shape == (1, 15, 3)
