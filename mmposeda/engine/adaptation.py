"""What adapters show, believe and feel: arrays for their figures, read off a model and its training data.

Models are in evaluation mode; no label of the target is read. Legend: n pictures, K joints.
"""

from __future__ import annotations

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmposeda.datasets.unlabeled import UnlabeledDataset, UnlabeledImageDataset
from mmposeda.evaluation import domain_accuracy
from mmposeda.models.adapters.cc_ssl import sample_indices
from mmposeda.models.adapters.regda import pseudo_maps
from mmposeda.models.losses import HeatmapKLLoss
from mmposeda.structures.skeleton import Skeleton
from mmposeda.visualization import DomainFeatures, HeadMaps, LabelledPictures, to_uint8

from .hooks._data import unlabelled_part
from .interventions import Pictures, draw_pictures, look

#: Rows of :func:`pseudo_labels`.
GROUPS = ('surest', 'middle', 'least sure')


@torch.no_grad()
def preview(model: nn.Module, dataset: Dataset, number: int = 32, seed: int = 0) -> dict[str, Tensor]:
    """What one step shows student and teacher of pictures of the training data.

    Args:
        model (nn.Module): An adapter with ``preview``.
        dataset (Dataset): Of labelled and unlabelled parts.
        number (int): Pictures of each domain in the step, if there are as many; the share that is kept is taken over
            them.
        seed (int): Of the pipelines; views are drawn from the random state.

    Returns:
        dict[str, Tensor]: As :func:`~mmposeda.visualization.adaptation_panel` takes them.

    Raises:
        TypeError: The model has no ``preview``.
        ValueError: There are no labelled or no unlabelled pictures.
    """
    _need(model, 'preview', 'a mean teacher such as UDAPE')
    pictures = _both_domains(dataset, number, seed)
    number = min(sum(pictures.labelled), len(pictures.labelled) - sum(pictures.labelled))
    first = pictures.labelled.index(False)
    samples = [*pictures.samples[:number], *pictures.samples[first : first + number]]
    return model.preview(**model.data_preprocessor(pseudo_collate(samples), True))


def by_confidence(confidence: np.ndarray, number: int) -> dict[str, list[int]]:
    """Pictures that a network is surest of, those in the middle, and those it is least sure of.

    Args:
        confidence (np.ndarray): (N, K); a picture's is the mean over its joints.
        number (int): Most pictures of a group; at most a third of all.

    Returns:
        dict[str, list[int]]: Places in the data set by the names in :data:`GROUPS`, from sure to unsure.

    Raises:
        ValueError: Fewer than three pictures.
    """
    count = min(number, len(confidence) // 3)
    if count < 1:
        raise ValueError(f'three groups need at least three pictures with pseudo-labels, got {len(confidence)}')
    order = np.argsort(-confidence.mean(1), kind='stable')
    starts = (0, (len(order) - count) // 2, len(order) - count)
    return {name: order[start : start + count].tolist() for name, start in zip(GROUPS, starts)}


def pseudo_labels(model: nn.Module, dataset: Dataset, number: int = 6) -> dict[str, LabelledPictures]:
    """Target pictures with the pseudo-labels that a run keeps of them.

    Args:
        model (nn.Module): A ``CCSSL`` with the table of its run.
        dataset (Dataset): Its training data.
        number (int): Most pictures of a group.

    Returns:
        dict[str, LabelledPictures]: As of :func:`by_confidence`.

    Raises:
        TypeError: The model keeps no pseudo-labels.
        ValueError: The checkpoint holds none yet, or those of other data.
    """
    _need(model, 'table', 'a CCSSL, which keeps pseudo-labels of the whole target set')
    target = unlabelled_part(dataset, 'CCSSL')
    table = model.table
    if not len(table):
        raise ValueError('the checkpoint holds no pseudo-labels yet: give a later one of its run')
    if len(table) != len(target):
        raise ValueError(
            f'the checkpoint holds pseudo-labels of {len(table)} target pictures and the target has {len(target)}: '
            'give the data of its run'
        )
    found = {}
    for name, rows in by_confidence(_host(table.confidence), number).items():
        batch = pseudo_collate([target[row] for row in rows])
        if sample_indices(batch['data_samples']) != rows:
            raise ValueError(f"the target's pipeline gives nothing for one of the pictures {rows}: take it out")
        images = model.data_preprocessor(batch, False)['inputs']
        kept = (_host(part)[rows] for part in (table.labels, table.keep, table.confidence))
        found[name] = LabelledPictures(_shown(model, images), *kept)
    return found


@torch.no_grad()
def head_maps(model: nn.Module, dataset: Dataset, joint: str, number: int = 4, seed: int = 0) -> HeadMaps:
    """Maps of one joint in target pictures by RegDA's two heads, and what the adversarial one is driven towards.

    They are shown as their losses read them: those of the adversarial head, and of a main head that is trained by
    :class:`~mmposeda.models.losses.HeatmapKLLoss`, as the softmax over their cells; others with negative values cut.

    Args:
        model (nn.Module): A ``RegDA``.
        dataset (Dataset): Its training data.
        joint (str): Name.
        number (int): Most pictures, at even distances.
        seed (int): Of the pipelines.

    Raises:
        TypeError: The model has no adversarial head.
        KeyError: The joint set has no such joint.
        ValueError: There are no unlabelled pictures, or the model has other joints than the data.
    """
    _need(model, 'adversarial_head', 'a RegDA, which has an adversarial head')
    skeleton = Skeleton.from_metainfo(dataset.metainfo)
    place = skeleton.index(joint)
    if model.layout.num_joints != skeleton.num_joints:
        raise ValueError(
            f'the model has {model.layout.num_joints} joints, joint set {skeleton.name!r} of the data has '
            f'{skeleton.num_joints}'
        )
    pictures = _both_domains(dataset, number, seed)
    samples = [s for s, labelled in zip(pictures.samples, pictures.labelled) if not labelled]
    images = model.data_preprocessor(pseudo_collate(samples), True)['inputs']['target']
    head = model.student.head
    features = head.deconv_layers(model.student.extract_feat(images)[-1])
    main = head.final_layer(head.conv_layers(features)).float()
    adversarial = model.adversarial_head(features).float()
    false = pseudo_maps(main, model.layout.sigma)[1]
    main = _distribution(main) if isinstance(head.loss_module, HeatmapKLLoss) else main.clamp(min=0)
    maps = (_host(part[:, place]) for part in (main, _distribution(adversarial), false))
    return HeadMaps(_shown(model, images), *maps, model.layout.scale_factor)


def domain_features(model: nn.Module, dataset: Dataset, number: int = 256, seed: int = 0) -> DomainFeatures:
    """Pooled features of source and target pictures, and how well a linear probe tells the domains by them.

    Features are the last map that the head gets, averaged over its cells. Source pictures go through the pipeline of
    the (first) unlabelled part, so that no augmentation tells the domains apart.

    Args:
        model (nn.Module): An adapter.
        dataset (Dataset): Of labelled and unlabelled parts; the pipelines of the former are exchanged.
        number (int): Most pictures of each domain, at even distances.
        seed (int): Of the pipelines.

    Raises:
        TypeError: The model is no adapter around an estimator.
        ValueError: There are no labelled or no unlabelled pictures, fewer than five of a domain, or features that are
            not finite.
    """
    parts = list(getattr(dataset, 'datasets', [dataset]))
    bare = [part for part in parts if isinstance(part, (UnlabeledDataset, UnlabeledImageDataset))]
    for part in parts:
        if bare and part not in bare:
            _give_pipeline(part, bare[0].pipeline)
    found = look(model, _both_domains(dataset, number, seed), intervene=False)
    return DomainFeatures(found.features, found.labelled, domain_accuracy(found.features, found.labelled))


def _give_pipeline(part: Dataset, pipeline) -> None:
    """Exchange the pipeline of a data set, or of those that it is made of."""
    inner = getattr(part, 'datasets', None) or ([part.dataset] if hasattr(part, 'dataset') else [])
    for one in inner:
        _give_pipeline(one, pipeline)
    if not inner:
        part.pipeline = pipeline


def _need(model: nn.Module, attribute: str, what: str) -> None:
    if not hasattr(model, attribute):
        raise TypeError(f'it needs {what}, got a {type(model).__name__}: name another config or, with --stage, stage')


def _both_domains(dataset: Dataset, number: int, seed: int) -> Pictures:
    pictures = draw_pictures(dataset, number, seed)
    if all(pictures.labelled):
        raise ValueError('the training data have no unlabelled pictures: name a stage that has some with --stage')
    return pictures


def _distribution(maps: Tensor) -> Tensor:
    """Softmax over the cells of maps (B, K, H, W)."""
    return maps.flatten(2).softmax(-1).view_as(maps)


def _shown(model: nn.Module, images: Tensor) -> np.ndarray:
    return to_uint8(images, model.data_preprocessor.mean, model.data_preprocessor.std)


def _host(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()
