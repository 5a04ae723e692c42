"""What a model makes of pictures of its training data, and of the looks of some put onto the poses of others.

Legend: N pictures, S of them labelled, n poses under m nuisances each, K joints, d features, Z latent numbers.
"""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmposeda.evaluation import cluster_numbers, domain_accuracy, interventional_distances, pose_leak
from mmposeda.models.networks import ImageVAE

from . import random_state


class Pictures(NamedTuple):
    """Samples as a data set packs them, before any preprocessor: ``inputs`` and ``data_samples``.

    Attributes:
        samples (list[dict]): Labelled ones first.
        names (list[str]): Of which data set each is: that of the folder of its data.
        labelled (list[bool]): Whether it is of the source.
    """

    samples: list
    names: list
    labelled: list


class Interventions(NamedTuple):
    """What :func:`look` sees; arrays on the host. The last five are None without a generator of features.

    Attributes:
        features (np.ndarray): (N, d) of pictures.
        names (np.ndarray): (N,) of which data set each is.
        labelled (np.ndarray): (N,) whether it is of the source.
        nuisances (np.ndarray): (S, Z), means of the labelled pictures.
        poses (np.ndarray): (S, 3 K), their places in the volume from the root, without where in the crop that is.
        truth (np.ndarray): (n, K, 3), metres from the root: the poses that are put under other nuisances.
        visible (np.ndarray): (n, K), which of their joints have a label.
        generated (np.ndarray): (n, m, d), features of every pose under every nuisance.
        predicted (np.ndarray): (n, m, K, 3), metres: what the head reads off them. None too where it has trained on no
            label.
    """

    features: np.ndarray
    names: np.ndarray
    labelled: np.ndarray
    nuisances: np.ndarray | None = None
    poses: np.ndarray | None = None
    truth: np.ndarray | None = None
    visible: np.ndarray | None = None
    generated: np.ndarray | None = None
    predicted: np.ndarray | None = None


def check_model(model: nn.Module, owner: str) -> None:
    """Check that a model has features to look at.

    Raises:
        TypeError: It is no adapter around an estimator.
    """
    if not hasattr(getattr(model, 'estimator', None), 'extract_feat'):
        raise TypeError(
            f'{owner} needs an adapter around an estimator, such as CausalIntervention, SourceOnly, DDC, DAN or DANN, '
            f'got {type(model).__name__}'
        )


def intervenes(model: nn.Module) -> bool:
    """Whether a model generates features of poses under other nuisances."""
    return hasattr(model, 'counterfactuals') and hasattr(model, 'nuisance')


def draw_pictures(dataset: Dataset, number: int = 256, seed: int = 0) -> Pictures:
    """Draw pictures of a training set of one or several parts through its own pipelines.

    They are of even distances in each part; what is random in a pipeline follows from the seed, part and index. The
    random state is left as it was.

    Args:
        dataset (Dataset): Such as a ``CombinedDataset`` of labelled and unlabelled parts. Pairs of pictures are passed
            over.
        number (int): Most labelled and most unlabelled pictures; several parts have equal shares.
        seed (int): Of the pipelines.

    Raises:
        ValueError: No labelled part.
    """
    by_domain: dict[str, list] = {}
    parts = list(getattr(dataset, 'datasets', [dataset]))
    for place, part in enumerate(parts):
        if len(part):
            domain = _draw(part, seed, place, 0)['data_samples'].metainfo.get('domain', 'source')
            by_domain.setdefault(domain, []).append(place)
    if 'source' not in by_domain:
        raise ValueError(f'the training data have no labelled part, only {", ".join(by_domain) or "empty ones"}')
    names, drawn = _names(parts), Pictures([], [], [])
    for domain in ('source', 'target'):
        places = by_domain.get(domain, [])
        for rank, place in enumerate(places):
            share = number * (rank + 1) // len(places) - number * rank // len(places)
            for index in spaced(len(parts[place]), share):
                drawn.samples.append(_draw(parts[place], seed, place, index))
                drawn.names.append(names[place])
                drawn.labelled.append(domain == 'source')
    return drawn


def spaced(length: int, number: int) -> list[int]:
    """At most ``number`` indices of ``length`` at even distances."""
    number = min(length, number)
    return [length * i // number for i in range(number)]


@torch.no_grad()
def look(
    model: nn.Module,
    pictures: Pictures,
    num_poses: int = 6,
    num_nuisances: int = 32,
    seed: int = 0,
    batch_size: int = 64,
    intervene: bool = True,
) -> Interventions:
    """Features of pictures, and of poses under other nuisances, from a model in evaluation mode.

    Poses are those of labelled pictures at even distances, of the ones with the most labelled joints. Nuisances are
    drawn as the model's training does (its ``u_source``), all poses get the same; the random state is not touched.

    Args:
        model (nn.Module): An adapter; one that generates features has ``nuisance``, ``pose_of``, ``counterfactuals``
            and a head with ``labels`` (``CausalIntervention``).
        pictures (Pictures): Of :func:`draw_pictures`.
        num_poses (int): n.
        num_nuisances (int): m.
        seed (int): Of the nuisances.
        batch_size (int): Pictures or features at a time.
        intervene (bool): False looks at the features of pictures alone.

    Raises:
        TypeError: The model is no adapter.
        ValueError: Fewer labelled pictures than poses, or no unlabelled ones to take nuisances of.
    """
    check_model(model, 'look')
    labelled = np.array(pictures.labelled, bool)
    intervene = intervene and intervenes(model)
    if intervene and (labelled.sum() < num_poses or labelled.all()):
        raise ValueError(
            f'{num_poses} poses of labelled pictures get the nuisances of unlabelled ones, but there are '
            f'{labelled.sum()} labelled and {(~labelled).sum()} unlabelled ones'
        )
    found: dict[str, list] = {}
    for domain, images, samples in _batches(model, pictures, batch_size):
        features = model.estimator.extract_feat(images)[-1]
        found.setdefault('features', []).append(features if features.ndim == 2 else features.flatten(2).mean(-1))
        if intervene:
            for key, value in zip(('mean', 'logvar'), model.nuisance(images)):
                found.setdefault(f'{domain} {key}', []).append(value)
            if domain == 'source':
                found.setdefault('pose', []).append(model.pose_of(samples))
                for key, value in zip(('places', 'weights'), model.estimator.head.labels(samples)):
                    found.setdefault(key, []).append(value)
    seen = {key: torch.cat(value).float() for key, value in found.items()}
    plain = Interventions(_host(seen['features']), np.array(pictures.names), labelled)
    if not intervene:
        return plain
    head, places, weights = model.estimator.head, seen['places'], seen['weights']
    counts = (weights > 0).sum(1)
    picked = torch.argsort(counts, descending=True, stable=True)[: max(num_poses, int((counts == counts.max()).sum()))]
    picked = picked[spaced(len(picked), num_poses)]
    nuisances = _drawn(seen['target mean'], seen['target logvar'], num_nuisances, model.u_source, seed)
    generated = model.counterfactuals(nuisances, seen['pose'][picked]).float()
    root = places[:, list(head.root)].mean(1, keepdim=True)
    return plain._replace(
        nuisances=_host(seen['source mean']),
        poses=_host(((places - root) * weights[..., None]).flatten(1)),
        truth=_host(_metres(head, places[picked])),
        visible=_host(weights[picked]) > 0,
        generated=_host(generated),
        predicted=_predicted(head, generated, batch_size),
    )


@torch.no_grad()
def reconstructions(model: nn.Module, pictures: Pictures, number: int = 8) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the autoencoder of a causal intervention keeps of the first pictures of every data set.

    Args:
        model (nn.Module): In evaluation mode.
        pictures (Pictures): Of :func:`draw_pictures`.
        number (int): Most pictures of a data set.

    Returns:
        dict: Name of the data set -> pictures at the autoencoder's size and their reconstructions from the mean, both
        RGB (b, s, s, 3), uint8.
    """
    shown: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in dict.fromkeys(pictures.names):
        rows = [i for i, own in enumerate(pictures.names) if own == name][:number]
        part = Pictures(*([column[i] for i in rows] for column in pictures))
        ((_, images, _),) = _batches(model, part, number)
        grey = model.data_preprocessor.unit(images)
        drawn = model.vae.decode(model.nuisance(images)[0])
        shown[name] = tuple(
            (255 * x.float()).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
            for x in (model.vae.resize(grey), drawn)
        )
    return shown


def finite(found: Interventions) -> bool:
    """Whether all numbers are."""
    arrays = (x for x in found if x is not None and x.dtype.kind == 'f')
    return all(np.isfinite(x).all() for x in arrays)


def measure(found: Interventions) -> dict[str, float]:
    """Numbers of what was seen; those that it does not hold are left out.

    Returns:
        dict[str, float]: ``domain_accuracy`` of a linear probe of features, labelled pictures against all others (0.5
        is chance); ``error_mm``, see :class:`~mmposeda.evaluation.InterventionalError`; ``silhouette``, ``within`` and
        ``between`` of generated features by pose, see :func:`~mmposeda.evaluation.cluster_numbers`; and ``pose_leak``,
        R^2 of poses of labelled pictures by their nuisances, see :func:`~mmposeda.evaluation.pose_leak`.

    Raises:
        ValueError: Too few pictures, or numbers that are not finite.
    """
    numbers = {}
    if not found.labelled.all():
        numbers['domain_accuracy'] = domain_accuracy(found.features, found.labelled)
    if found.generated is not None:
        if found.predicted is not None:
            distances = interventional_distances(found.predicted)
            numbers['error_mm'] = float(distances[found.visible].mean())
        numbers.update(cluster_numbers(found.generated))
        numbers['pose_leak'] = pose_leak(found.nuisances, found.poses)
    return numbers


def _draw(part: Dataset, *numbers: int) -> dict:
    """Sample ``numbers[-1]`` of a part."""
    with random_state.kept(gpu=False):
        random_state.seed_host(*numbers)
        return part[numbers[-1]]


def _names(parts: Sequence[Dataset]) -> list[str]:
    """A name for every part: the folder of its data, with a number where that is not its own."""
    found = []
    for part in parts:
        while not hasattr(part, 'data_root') and hasattr(part, 'dataset'):
            part = part.dataset
        folder = getattr(part, 'data_root', None) or ''
        found.append(osp.basename(osp.normpath(folder)) if folder else type(part).__name__)
    return [name if found.count(name) == 1 else f'{name} {i}' for i, name in enumerate(found)]


def _batches(model: nn.Module, pictures: Pictures, size: int) -> Iterator[tuple[str, Tensor, list]]:
    """Domain, normalised pictures and samples, in their order."""
    for start in range(0, len(pictures.samples), size):
        data = model.data_preprocessor(pseudo_collate(pictures.samples[start : start + size]), True)
        for domain in ('source', 'target'):  # labelled ones come first
            if domain in data['inputs']:
                yield domain, data['inputs'][domain], data['data_samples'][domain]


def _drawn(mean: Tensor, logvar: Tensor, number: int, u_source: str, seed: int) -> Tensor:
    """Nuisances (m, Z) of pictures at even distances; a picture comes again where there are too few."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(number, mean.shape[1], generator=generator).to(mean)
    if u_source == 'prior':
        return noise
    rows = torch.arange(number, device=mean.device) * max(len(mean), number) // number % len(mean)
    drawn = ImageVAE.reparameterize(mean[rows], logvar[rows], noise)
    if u_source == 'mixed':
        drawn[1::2] = noise[1::2]
    return drawn


def _metres(head: nn.Module, places: Tensor) -> Tensor:
    """Poses (b, K, 3) of places in the volume, at the size of the head's predictions or, before any label, 1 m."""
    return head.metres(places) if float(head.bodies) else head.metres(places, 1000.0)


def _predicted(head: nn.Module, features: Tensor, batch_size: int) -> np.ndarray | None:
    if not float(head.bodies):
        return None
    chunks = (head.predict((part,), []) for part in features.flatten(0, 1).split(batch_size))
    poses = np.concatenate([one.keypoints_3d for chunk in chunks for one in chunk])
    return poses.reshape(*features.shape[:2], *poses.shape[1:])


def _host(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()
