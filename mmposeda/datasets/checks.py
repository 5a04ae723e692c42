"""Do the data sets of a batch agree on the joints?"""

from __future__ import annotations

from typing import Any

from mmpose.datasets.datasets import BaseCocoStyleDataset

from mmposeda.structures.skeleton import Skeleton


def check_domains(dataset: Any) -> None:
    """Check that all parts of a joined data set give the joints that the whole one promises, in its order.

    Args:
        dataset: MMPose's ``CombinedDataset`` or MMEngine's ``ConcatDataset``. A part whose pipeline converts joints
            (``KeypointConverter``) is checked by their number only.

    Raises:
        ValueError: a part shares no joint with the whole, has them in another order, lacks some, or its annotations
            have another number of joints than its metainfo; the message holds the ``KeypointConverter`` to use.
    """
    whole = Skeleton.from_metainfo(dataset.metainfo)
    for i, part in enumerate(dataset.datasets):
        where = f'data set {i} ({type(part).__name__}, joints of {part.metainfo.get("dataset_name")!r})'
        own = Skeleton.from_metainfo(part.metainfo)
        _check_annotations(part, own, where)
        converted = _converted_joints(part)
        if converted is not None:
            if converted != whole.num_joints:
                raise ValueError(
                    f'{where} converts to {converted} joints, but the joined data set has {whole.num_joints} '
                    f'({whole.name!r}); set num_keypoints={whole.num_joints} in its converter'
                )
        elif not own.same_joints(whole):
            joint_map = own.map_to(whole)  # raises when there is nothing in common
            advice = f'put {joint_map.converter()} into its pipeline (after any flip)'
            raise ValueError(
                f'{where} has {own.num_joints} joints ({", ".join(own.joint_names)}), the joined data set promises '
                f'{whole.num_joints} of {whole.name!r} ({", ".join(whole.joint_names)}): {advice}'
            )


def _converted_joints(part: Any) -> int | None:
    transforms = getattr(getattr(part, 'pipeline', None), 'transforms', ())
    numbers = [t.num_keypoints for t in transforms if type(t).__name__.endswith('Converter')]
    return numbers[-1] if numbers else None


def _check_annotations(part: Any, own: Skeleton, where: str) -> None:
    """The first annotation of a labelled part on disk; rendered ones have no other source than their metainfo."""
    if isinstance(part, BaseCocoStyleDataset) and len(part):
        got = part.get_data_info(0)['keypoints'].shape[1]
        if got != own.num_joints:
            raise ValueError(
                f'{where} has annotations with {got} joints, but its metainfo has {own.num_joints}; '
                f'name the right joint set in `metainfo` ({getattr(part, "ann_file", "")})'
            )
