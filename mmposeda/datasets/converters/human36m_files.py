"""The official files of Human3.6M."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
import xml.etree.ElementTree as ElementTree
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ..annotations import AnnotationError
from ..human36m_lifting import MOVING
from .journal import ConversionError, stamps, written_aside

#: Folder of the files of each kind, and their ending
KINDS = {'Videos': '.mp4', 'D2_Positions': '.cdf', 'D3_Positions_mono': '.cdf'}
#: Heights of the pictures by camera; they are 1000 wide
HEIGHTS = {'54138969': 1002, '55011271': 1000, '58860488': 1000, '60457274': 1002}
#: Rows of the table of takes (two of each of 16 actions); other tables follow it
TAKES = 32
#: Subjects and cameras of ``w0``: 6 extrinsic numbers of each pair, then 9 intrinsic ones of each camera
SUBJECTS, CAMERAS = 11, 4
#: joints of the files
JOINTS = 32


@dataclass
class Metadata:
    """What ``metadata.xml`` tells.

    Attributes:
        takes (dict[str, list[str]]): Names of each subject's takes, as ``Directions 1``, without those of all together.
        camera_ids (list[str]): In the file's order.
        cameras (dict[tuple[str, str], dict]): By subject and camera id, in MMPose's form: ``R`` (3, 3), the camera's
            axes in the world, ``T`` (3, 1), its place in metres, ``f``, ``c`` (2, 1) in pixels, ``k`` (3, 1), ``p`` (2,
            1), ``w``, ``h``, ``name`` and ``id``.
    """

    takes: dict
    camera_ids: list
    cameras: dict


def read_metadata(path: Path) -> Metadata:
    """The official ``metadata.xml``.

    Raises:
        ConversionError: It is missing, or none of Human3.6M.
    """
    try:
        root = ElementTree.parse(path).getroot()
        header, *rows = [[cell.text for cell in row] for row in root.find('mapping')][: TAKES + 1]
        subjects = header[2:]
        rows = [row for row in rows if row[0] != '1']  # action _ALL
        takes = {subject: [row[2 + n] for row in rows if row[2 + n]] for n, subject in enumerate(subjects)}
        camera_ids = [element.text for element in root.find('dbcameras/index2id')]
        numbers = np.array(root.find('w0').text.strip().strip('[]').split(), np.float64)
        sizes = {camera: HEIGHTS[camera] for camera in camera_ids}
    except FileNotFoundError:
        raise ConversionError(f'{path} does not exist: it is downloaded from the page of Human3.6M once') from None
    except (ElementTree.ParseError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ConversionError(f'{path} is no metadata.xml of Human3.6M: {error!r}') from None
    if len(numbers) < 6 * SUBJECTS * CAMERAS + 9 * CAMERAS or len(camera_ids) != CAMERAS:
        raise ConversionError(f'{path} is no metadata.xml of Human3.6M: {len(numbers)} numbers of {len(sizes)} cameras')
    cameras = {
        (f'S{subject + 1}', camera): _camera(numbers, subject, number, camera)
        for subject in range(SUBJECTS)
        for number, camera in enumerate(camera_ids)
    }
    return Metadata(takes, camera_ids, cameras)


def _camera(numbers: np.ndarray, subject: int, number: int, camera: str) -> dict:
    from scipy.spatial.transform import Rotation

    begin = 6 * (number * SUBJECTS + subject)
    angles, place = numbers[begin : begin + 3], numbers[begin + 3 : begin + 6]
    begin = 6 * SUBJECTS * CAMERAS + 9 * number
    f, c, k, p = np.split(numbers[begin : begin + 9], (2, 4, 7))
    return dict(
        R=Rotation.from_euler('XYZ', angles).as_matrix().T,  # about the axes one after the other, world to camera
        T=place[:, None] / 1000,
        f=f[:, None],
        c=c[:, None],
        k=k[:, None],
        p=p[:, None],
        w=1000,
        h=HEIGHTS[camera],
        name=f'camera{number + 1}',
        id=camera,
    )


def read_cdf(path: Path, dimensions: int) -> np.ndarray:
    """Poses (T, 17, D) of a file of ``D2_Positions`` (pixels) or ``D3_Positions_mono`` (mm), float32.

    Raises:
        ImportError: cdflib is not installed.
        AnnotationError: It is missing, damaged or of another kind.
    """
    try:
        import cdflib
    except ImportError as error:
        raise ImportError(
            "Human3.6M's labels are CDF files, which the package cdflib reads: pip install mmposeda[convert]"
        ) from error
    if not path.is_file():
        raise AnnotationError(f'{path} does not exist')
    try:
        poses = np.asarray(cdflib.CDF(str(path)).varget('Pose'), np.float32)
    except Exception as error:  # cdflib fails in many ways on damaged files
        raise AnnotationError(f'{path} is no usable CDF file of poses: {error!r}') from None
    if poses.size == 0 or poses.shape[-1] != JOINTS * dimensions or not np.isfinite(poses).all():
        raise AnnotationError(f'{path} has poses {poses.shape}, expected numbers (1, T, {JOINTS * dimensions})')
    return poses.reshape(-1, JOINTS, dimensions)[:, MOVING]


def find_files(source: Path, subject: str, unpacked: Path) -> dict[str, Path]:
    """Folders of a subject's files by kind; archives are unpacked where there is no folder of their files.

    Args:
        source (Path): Holds ``S1/Videos/``, ``S1/MyPoseFeatures/D2_Positions/`` and so on, or ``S1/Videos.tgz`` (s1/
            serves, too), or ``Videos_S1.tgz`` and so on.
        subject (str): As S1.
        unpacked (Path): Where archives are unpacked to.

    Raises:
        ConversionError: Neither is there, or an archive is damaged.
    """
    found = {}
    homes = [folder for folder in (source / subject, source / subject.lower()) if folder.is_dir()]
    for kind in KINDS:
        folders = [path for home in homes for path in sorted(home.rglob(kind)) if path.is_dir()]
        own = re.compile(rf'(?:\w*_)?{kind}(?:_{subject})?\.(?:tgz|tar\.gz|tar)$', re.IGNORECASE)
        flat = re.compile(rf'(?:\w*_)?{kind}_{subject}\.(?:tgz|tar\.gz|tar)$', re.IGNORECASE)
        archives = [path for home in homes for path in sorted(home.rglob('*')) if own.match(path.name)]
        archives += [path for path in sorted(source.iterdir()) if flat.match(path.name)]
        if folders:
            found[kind] = folders[0]
        elif archives:
            found[kind] = _unpack(archives[0], subject, kind, unpacked)
        else:
            raise ConversionError(
                f'{source} has neither {subject}/{kind}.tgz nor a folder {kind} in {subject}: download it, or choose '
                'others by --subjects'
            )
    return found


def _unpack(archive: Path, subject: str, kind: str, unpacked: Path) -> Path:
    folder = unpacked / subject / kind
    folder.mkdir(parents=True, exist_ok=True)
    record, made_of = folder / '.unpacked.json', json.dumps(stamps([archive]))
    if record.is_file() and record.read_text() == made_of:
        return folder
    print(f'unpacking {archive}', flush=True)
    try:
        with tarfile.open(archive, 'r|*') as members:
            for member in members:
                path = PurePosixPath(member.name)
                if not member.isfile() or path.suffix != KINDS[kind] or path.name.startswith(('_ALL', '.')):
                    continue
                others = [part for part in path.parts if re.fullmatch(r'S\d+', part) and part != subject]
                if others or path.parent.name != kind:
                    raise ConversionError(f'{archive} holds {path}, expected files of {subject}/**/{kind}')
                target = folder / path.name
                if target.is_file() and target.stat().st_size == member.size:
                    continue
                with written_aside(target) as aside, open(aside, 'wb') as file:
                    shutil.copyfileobj(members.extractfile(member), file, 2**20)
                os.utime(target, (member.mtime, member.mtime))  # unpacked again it is the same file
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ConversionError(f'{archive} is damaged or cut short ({error}): download it again') from None
    with written_aside(record) as aside:
        aside.write_text(made_of)
    return folder
