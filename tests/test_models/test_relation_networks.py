"""The networks of several relations: what each is of, and where their weights come from."""

import pytest
import torch
from relation_samples import RELATIONS

from mmposeda.models.networks.relation_networks import RelationNetworks, key_of
from mmposeda.registry import MODELS


def build(relations=RELATIONS, **kwargs):
    torch.manual_seed(0)
    cfg = dict(type='RelationNetworks', relations=relations, pose_dim=5, motion_dim=9, hidden=(8,))
    return MODELS.build(dict(cfg, **kwargs))


def save(path, networks, prefix='relations.'):
    torch.save(dict(state_dict={prefix + key: value for key, value in networks.state_dict().items()}), path)
    return dict(type='Pretrained', checkpoint=str(path), prefix=prefix)


class TestSizes:
    def test_are_those_of_the_level(self):
        networks = build()
        for relation, width in zip(networks.relations, (5, 9, 9)):
            z = torch.rand(3, 2, width)
            assert networks.after(relation, z).shape == z.shape
            with pytest.raises(ValueError, match=rf'expected latents \(\.\.\., {width}\)'):
                networks.after(relation, torch.rand(3, 4))

    def test_defaults_are_the_papers(self):
        count = sum(p.numel() for p in RelationNetworks(['flip', 'slow_backward']).parameters())
        assert count == 698_144 + 821_120

    def test_scale_is_that_of_the_latents(self):
        networks = build(scale=10.0)
        torch.nn.init.normal_(networks['slow_backward'].layers[-1].weight, std=50.0)
        reached = networks.after(networks.relations[2], torch.rand(99, 9)).abs().max()
        assert 5 < reached <= 10


class TestNames:
    def test_order_is_the_configs(self):
        assert tuple(relation.name for relation in build().relations) == RELATIONS

    def test_one_name_alone(self):
        assert list(build('flip')) == ['flip']

    def test_fractions_of_degrees_name_no_part_of_a_part(self):
        networks = build(['inplane(12.5)'])
        assert key_of('inplane(12.5)') == 'inplane(12_5)' and networks.relations[0].angle == 12.5
        again = build(['inplane(12.5)'])
        again.load_state_dict(networks.state_dict())

    @pytest.mark.parametrize('names', [[], ['flip', 'flip']])
    def test_none_or_twice_is_refused(self, names):
        with pytest.raises(ValueError, match='expected one relation or several different ones, got'):
            build(names)

    def test_unknown_ones_are_refused(self):
        with pytest.raises(ValueError, match="relation 'upside_down' is none of flip, inplane"):
            build(['flip', 'upside_down'])


class TestPretrained:
    def test_takes_what_it_needs_of_a_file_with_more(self, tmp_path):
        trained = build()
        torch.nn.init.normal_(trained['slow_backward'].layers[0].weight)
        networks = build(['slow_backward'], init_cfg=save(tmp_path / 'a.pth', trained))
        networks.init_weights()
        for key, value in networks.state_dict().items():
            assert torch.equal(value, trained.state_dict()[key])

    def test_a_file_with_fewer_is_refused(self, tmp_path):
        networks = build(init_cfg=save(tmp_path / 'a.pth', build(['slow_backward', 'flip'])))
        with pytest.raises(
            ValueError, match=r'a\.pth has no network for flip_inplane\(50\), flip_inplane_backward\(50'
        ):
            networks.init_weights()

    def test_other_initialisations_are_mmengines(self):
        networks = build(init_cfg=dict(type='Constant', layer='Linear', val=0.5))
        networks.init_weights()
        assert (networks['slow_backward'].layers[0].weight == 0.5).all()
