"""Clips of unlabelled video, from video files and folders of frames."""

from __future__ import annotations

import logging
import os.path as osp
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from torch.utils.data import Dataset

from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import metainfo_path

from .deterministic import SamePipeline
from .images import SUFFIXES, naming_sample
from .sequences import SequenceRule
from .unlabeled import _LabelFree, without_labels
from .video_boxes import read_tracks
from .video_files import VIDEO_SUFFIXES, Footage, FrameReader, find_footage
from .video_pieces import LeftOut, Piece, cut_pieces, read_cuts
from .video_scan import LEAST_CHANGE, scan_all


@DATASETS.register_module()
class UnlabeledVideoDataset(SamePipeline, _LabelFree, Dataset):
    """Clips of people in unlabelled videos: video files and folders of frames, mixed below one folder.

    A clip is ``frames`` frames of one video, person and scene, ``fps`` a second (the nearest frame is taken). It is
    packed as MMPose does, with ``inputs`` uint8 (3 T, h, w), three channels a frame. Its metainfo holds
    ``domain='clip'``, ``task``, ``sequence_id``, ``frames`` (numbers of the T frames), ``sample_index``, and what
    MMPose packs of the first frame.

    Every frame is cut by its own box, so the pipeline must be deterministic (``LoadImage``, ``GetBBoxCenterScale``,
    ``TopdownAffine``, ``PackPoseInputs``): random views and colours are drawn once for a clip by the model. Without
    ``boxes`` the whole picture is the box.

    When it is built all frames are read once, to count them and to find unreadable ones and cuts (about as long as
    playing the videos at 300 to 1000 frames a second); with an ``index_file`` that is done once for all. A video or
    picture that cannot be read, a video without a person, and what is shorter than a clip is left out: the log names
    it and the reason.

    Args:
        metainfo (dict | str): Joint set to predict: the name of its meta file, or ``dict(from_file='.../lsp.py')``.
        data_root (str): Folder of the videos; folders below it are searched too. Files of boxes, cuts and the index are
            relative to it.
        frames (int): T; of 1, a frame is decoded alone.
        fps (float): Frames a second of a clip.
        stride (int, optional): Frames between the starts of clips, at ``fps``; by default T, so that none overlap.
        boxes (str, optional): JSON file with a box a frame for everybody, see
            :func:`~mmposeda.datasets.video_boxes.read_tracks`. People are told apart by ``track_id``; where there is
            none, and several boxes on a frame, by the overlap from frame to frame.
        min_score (float): Boxes below do not count.
        max_gap (int): So many frames without a box are bridged by interpolation; longer gaps part two clips.
        sequence (str): Which pictures make up a video and which frame each is, see
            :class:`~mmposeda.datasets.sequences.SequenceRule`: ``folders``, ``numbered`` or a regular expression.
        source_fps (float): Frames a second of the pictures in folders, counted as they are there.
        video_fps (float, optional): Frames a second of all video files; None: what each says.
        scene_cuts (bool | str): True: a scene changes where the colours of consecutive frames differ by more than
            ``cut_threshold``. Or a JSON file ``{sequence: [frame, ...]}`` of the first frames of scenes. False: never.
        cut_threshold (float): 0.1 to 1; the share of pixels that change their colour, by histograms. Of rendered
            people, frames of one sequence differ by up to 0.16, and of two sequences by 0.67 in 19 of 20 cases before
            varied backgrounds, by 0.3 before plain ones.
        index_file (str, optional): Where it is kept what is known of the frames; made if it is not there. A video is
            read again if its size or time has changed.
        task (str, optional): What the clips are for, handed on in the metainfo.
        pipeline (Sequence): Transforms of one frame, ending in ``PackPoseInputs``.

    Attributes:
        footage (list[Footage]): The videos.
        pieces (list[Piece]): What is long enough for a clip.
        left_out (LeftOut): What is not.

    Raises:
        FileNotFoundError: The folder or a named file is missing.
        AnnotationError: Boxes or cuts that cannot be understood.
        ValueError: Nothing that can be used, or wrong arguments.
        TypeError: The pipeline draws at random.
    """

    DOMAIN = 'clip'
    SAMPLE = ('frames of a clip', 'clip')

    def __init__(
        self,
        metainfo: dict | str,
        data_root: str,
        frames: int = 30,
        fps: float = 30,
        stride: int | None = None,
        boxes: str | None = None,
        min_score: float = 0.3,
        max_gap: int = 5,
        sequence: str = 'folders',
        source_fps: float = 30,
        video_fps: float | None = None,
        scene_cuts: bool | str = True,
        cut_threshold: float = 0.4,
        index_file: str | None = None,
        task: str | None = None,
        pipeline: Sequence = (),
    ):
        owner = type(self).__name__
        if not metainfo:
            raise ValueError(f"{owner} needs the joint set to predict: metainfo='nlrd15', or dict(from_file=...)")
        named = dict(from_file=metainfo_path(metainfo)) if isinstance(metainfo, str) else dict(metainfo)
        self._metainfo = parse_pose_metainfo(named)
        self.stride = frames if stride is None else stride
        for name, value, least in (('frames', frames, 1), ('stride', self.stride, 1), ('max_gap', max_gap, 0)):
            if not isinstance(value, int) or value < least:
                raise ValueError(f'{owner} got {name}={value!r}, expected a whole number of at least {least}')
        for name, value in (('fps', fps), ('source_fps', source_fps), ('video_fps', video_fps or 1)):
            if not 0 < value < 1000:
                raise ValueError(f'{owner} got {name}={value!r}, expected frames a second above 0')
        if not LEAST_CHANGE <= cut_threshold <= 1:
            raise ValueError(f'{owner} got cut_threshold={cut_threshold!r}, expected {LEAST_CHANGE} to 1')
        if sequence == 'fields':
            raise ValueError(f"{owner} has no sequence='fields': pictures tell nothing but their paths")
        self.data_root, self.frames, self.fps, self.task = data_root, frames, fps, task
        self.pipeline = Compose(pipeline)
        if not self.pipeline.transforms:
            raise TypeError(f'{owner} has an empty pipeline; give it the whole one, ending in PackPoseInputs')
        self.refuse_random()
        self.left_out, self._reader = LeftOut(owner), FrameReader()
        self.footage = self._find(SequenceRule(sequence))
        self.pieces = self._cut(boxes, min_score, max_gap, source_fps, video_fps, scene_cuts, cut_threshold, index_file)
        counts = [(piece.count(fps) - frames) // self.stride + 1 for piece in self.pieces]
        self._ends = np.cumsum(counts)
        used = {piece.footage for piece in self.pieces}
        slow = min(piece.rate for piece in self.pieces)
        if slow < 0.95 * fps:
            print_log(
                f'{owner}: some videos have {slow:g} frames a second: for {fps:g}, frames come more than once',
                logger='current',
                level=logging.WARNING,
            )
        print_log(
            f'{owner}: {len(self)} clips of {frames} frames, {fps:g} a second, from {len(self.pieces)} pieces of '
            f'{len(used)} videos in {data_root}; left out: {self.left_out}',
            logger='current',
        )

    @property
    def metainfo(self) -> dict:
        """Copy of the meta information."""
        return deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Nothing: it is loaded when it is built."""

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, idx: int) -> dict:
        return self.prepare_data(range(len(self))[idx])  # IndexError beyond the end ends loops over it

    def frames_of(self, idx: int) -> tuple[Piece, np.ndarray]:
        """Piece of clip ``idx`` and its frames (T,) within that."""
        number = int(np.searchsorted(self._ends, idx, side='right'))
        piece = self.pieces[number]
        start = (idx - (int(self._ends[number - 1]) if number else 0)) * self.stride
        return piece, piece.nearest(start + np.arange(self.frames), self.fps)

    def get_data_info(self, idx: int) -> dict:
        """Data info of the first frame of clip ``idx``, without its pixels."""
        piece, places = self.frames_of(idx)
        return self._info(piece, int(places[0]))

    def prepare_data(self, idx: int) -> Any:
        """Clip ``idx``.

        Raises:
            SampleError: a frame cannot be read, or a transform failed; names the file.
            TypeError: the pipeline does not end in ``PackPoseInputs``, or draws at random.
        """
        piece, places = self.frames_of(idx)
        footage, images, packed = self.footage[piece.footage], None, []
        if footage.is_video:
            images = self._reader.read(footage.paths[0], [piece.first + int(place) for place in places])
        for place in places:
            info = self._info(piece, int(place))
            with naming_sample(self, idx, info['img_path']):
                if images is not None:
                    info['img'] = next(images)
            self.look_for_draws(idx, info)
            packed.append(self.pack(idx, info))
        with naming_sample(self, idx, footage.paths[0]):
            if any(frame is None for frame in packed):
                raise ValueError('a transform gave up on a frame; every frame of a clip is needed')
            inputs = torch.cat([frame['inputs'] for frame in packed])
        sample = packed[0]['data_samples']
        numbers = tuple(footage.number(piece.first + int(place)) for place in places)
        name = footage.name if piece.label is None else f'{footage.name}#{piece.label}'
        sample.set_metainfo(dict(sequence_id=name, frames=numbers, **({'task': self.task} if self.task else {})))
        return dict(inputs=inputs, data_samples=sample)

    def _info(self, piece: Piece, place: int) -> dict:
        frame = piece.first + place
        info = dict(
            img_path=self.footage[piece.footage].path(frame),
            img_id=frame,
            bbox=piece.boxes[place][None].copy(),
            bbox_score=piece.scores[place][None].copy(),
        )
        return without_labels(info, self._metainfo)

    def _find(self, rule: SequenceRule) -> list[Footage]:
        footage, others = find_footage(self.data_root, rule)
        if others:
            line = f'{len(others)} pictures, as {others[0]}, whose paths do not fit the rule {str(rule)!r}'
            self.left_out.add('pictures that are no frames', line, len(others))
        if not footage:
            raise ValueError(
                f'no video in {self.data_root} or below it: looked for {", ".join(VIDEO_SUFFIXES)}, and for pictures '
                f'({", ".join(SUFFIXES)}) whose paths fit the rule {str(rule)!r}; found {len(others)} other pictures'
                f'{", as " + others[0] if others else ""}. Set data_root, or the rule by `sequence`'
            )
        return footage

    def _cut(
        self,
        boxes: str | None,
        min_score: float,
        max_gap: int,
        source_fps: float,
        video_fps: float | None,
        scene_cuts: bool | str,
        cut_threshold: float,
        index_file: str | None,
    ) -> list[Piece]:
        """Pieces that are long enough for a clip."""
        owner, below = type(self).__name__, lambda path: path and osp.join(self.data_root, path)
        given = None
        if boxes is not None:
            given = read_tracks(below(boxes), self.footage, self.data_root, min_score, max_gap, owner)
        cuts = read_cuts(below(scene_cuts), self.footage) if isinstance(scene_cuts, str) else None
        scans = scan_all(self.footage, below(index_file), owner)
        if cuts is None:
            least = cut_threshold if scene_cuts else np.inf
            cuts = [[frame for frame, distance in scan.changes if distance > least] for scan in scans]
        kept, longest = [], 0
        for number, (footage, scan) in enumerate(zip(self.footage, scans)):
            rate = (video_fps or scan.fps) if footage.is_video else source_fps
            if scan.error or not rate:
                reason = scan.error or f'{footage.name} does not say its frames a second; set video_fps'
                self.left_out.add('unreadable videos', reason)
                continue
            for _, reason in scan.bad:
                self.left_out.add('unreadable frames', reason)
            if given is not None and not given[number]:
                self.left_out.add('videos without a person', f'{footage.name}: no box of a score of {min_score:g}')
                continue
            tracks = None if given is None else given[number]
            for piece in cut_pieces(number, footage, scan, cuts[number], tracks, max_gap, rate):
                count = piece.count(self.fps)
                longest = max(longest, count)
                if count >= self.frames:
                    kept.append(piece)
                    continue
                first, last = (footage.number(f) for f in (piece.first, piece.first + len(piece.boxes) - 1))
                who = '' if piece.label is None else f' of {piece.label}'
                self.left_out.add(
                    'pieces too short',
                    f'{footage.name}{who}, frames {first} to {last}: {count} frames at {self.fps:g} a second, a clip '
                    f'has {self.frames}',
                )
        if not kept:
            raise ValueError(
                f'no clip of {self.frames} frames at {self.fps:g} a second in {self.data_root}, the longest piece has '
                f'{longest}; left out: {self.left_out} (the log names them). Take fewer frames, a larger max_gap or '
                'cut_threshold, a smaller min_score, or add videos'
            )
        return kept
