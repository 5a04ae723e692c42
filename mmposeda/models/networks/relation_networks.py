"""The relation networks of one space of poses and motions, by the names of their relations."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import ModuleDict
from mmengine.runner.checkpoint import _load_checkpoint_with_prefix
from torch import Tensor

from mmposeda.registry import MODELS
from mmposeda.structures.relations import Relation

from .relation_network import RelationNetwork


def key_of(name: str) -> str:
    """Name of a relation as a part of a model: without dots, which part the names of weights."""
    return name.replace('.', '_')


@MODELS.register_module()
class RelationNetworks(ModuleDict):
    """One :class:`RelationNetwork` a relation, of pose latents or of motion latents as the relation is of these.

    Args:
        relations (Sequence[str]): Names, see :meth:`~mmposeda.structures.relations.Relation.parse`.
        pose_dim (int): Numbers of a pose latent.
        motion_dim (int): Numbers of a motion latent.
        scale (float): s of the latents.
        hidden (Sequence[int]): Widths of the hidden layers.
        init_cfg (dict, optional): Initialisation of MMEngine's; a ``Pretrained`` file may hold more relations, not
            fewer.

    Attributes:
        relations (list[Relation]): In the order given.

    Raises:
        ValueError: No relation, an unknown one, one named twice, or weights that lack one.
    """

    def __init__(
        self,
        relations: Sequence[str],
        pose_dim: int = 32,
        motion_dim: int = 128,
        scale: float = 1.0,
        hidden: Sequence[int] = (1024, 512, 256),
        init_cfg: dict | None = None,
    ) -> None:
        found = [Relation.parse(name) for name in ([relations] if isinstance(relations, str) else relations)]
        names = [relation.name for relation in found]
        if not names or len(set(names)) < len(names):
            raise ValueError(f'expected one relation or several different ones, got {names}')
        dims = dict(pose=pose_dim, motion=motion_dim)
        super().__init__({key_of(r.name): RelationNetwork(dims[r.level], scale, hidden) for r in found}, init_cfg)
        self.relations = found

    def init_weights(self) -> None:
        """Initialise or load, and check that a file holds all relations."""
        super().init_weights()
        if (self.init_cfg or {}).get('type') != 'Pretrained':
            return
        path, prefix = self.init_cfg['checkpoint'], self.init_cfg.get('prefix', '')
        held = {key.split('.')[0] for key in _load_checkpoint_with_prefix(prefix, path, map_location='cpu')}
        missing = [r.name for r in self.relations if key_of(r.name) not in held]
        if missing:
            raise ValueError(
                f'{path} has no network for {", ".join(missing)}, only for {", ".join(sorted(held))}: name all '
                'relations of the adaptation in the stage that trains them'
            )

    def after(self, relation: Relation, latents: Tensor) -> Tensor:
        """Latents (..., L) after the relation, from those before it."""
        return self[key_of(relation.name)](latents)
