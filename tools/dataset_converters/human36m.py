"""Make the pictures and annotation files of Human3.6M that Human36m2DDataset and Human36mLiftingDataset read.

Example:
    pip install mmposeda[convert]
    python tools/dataset_converters/human36m.py original data/h36m --metadata metadata.xml --jobs 8

original holds of each subject Videos.tgz, D2_Positions.tgz and D3_Positions_mono.tgz, as original/S1/Videos.tgz, or
what is in them. What is written is what MMPose's preprocess_h36m.py writes, without the package spacepy: images/ and
annotation_body3d/fps10/h36m_{train,test}.npz of every fifth frame, and annotation_body3d/cameras.pkl. A run that was
stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmposeda.datasets.converters.command import command_line, existing_folder, run  # noqa: E402
from mmposeda.datasets.converters.human36m import OFFICIAL, RATE, h36m_units, write_annotations  # noqa: E402
from mmposeda.datasets.converters.human36m_files import read_metadata  # noqa: E402
from mmposeda.datasets.converters.units import one_line  # noqa: E402
from mmposeda.datasets.human36m_lifting import SUBJECTS  # noqa: E402

EVERYBODY = [subject for people in SUBJECTS.values() for subject in people]
RATES = [every for every in range(1, RATE + 1) if RATE % every == 0]


def parse_args(argv=None):
    """Parse the command line."""
    parser = command_line(__doc__)
    parser.add_argument('source', help="folder of the subjects' archives, or of what is in them")
    parser.add_argument('out', help='folder to write to')
    parser.add_argument('--metadata', required=True, metavar='FILE', help='the official metadata.xml')
    every = 'frames from one picture to the next; 5 (default) makes fps10, 1 makes fps50'
    parser.add_argument('--every', type=int, default=5, choices=RATES, help=every)
    parser.add_argument('--subjects', nargs='+', default=EVERYBODY, choices=EVERYBODY, help='default: all')
    unpacked = 'folder to unpack archives to, which may be deleted afterwards (default: OUT/unpacked)'
    parser.add_argument('--unpacked', metavar='FOLDER', help=unpacked)
    return parser.parse_args(argv)


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    with one_line():
        source = existing_folder(args.source, 'S1/Videos.tgz and so on in it')
        out, metadata = Path(args.out), read_metadata(Path(args.metadata))
        units = h36m_units(source, out, Path(args.unpacked or out / 'unpacked'), metadata, args.subjects, args.every)
        finish = partial(write_annotations, out, metadata, args.every)
        name, known = f'human36m_fps{RATE // args.every}', OFFICIAL.get(args.every)
        run(name, out, dict(every=args.every), units, finish, known, args.jobs, 'videos')


if __name__ == '__main__':
    main()
