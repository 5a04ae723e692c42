"""Write the training videos of MPI-INF-3DHP as pictures, and their labels as one file.

Example:
    python tools/dataset_converters/mpi_inf_3dhp.py mpi_inf_3dhp data/mpi_inf_3dhp --every 5 --jobs 8

mpi_inf_3dhp is the training set as the official scripts download and unpack it, S1/Seq1/imageSequence/video_0.avi,
S1/Seq1/annot.mat and S1/Seq1/camera.calibration. The test set is read as it is. Pictures go to images/, labels to
annotations/. A run that was stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmposeda.datasets.converters.command import command_line, existing_folder, positive, run  # noqa: E402
from mmposeda.datasets.converters.mpi_inf_3dhp import CAMERAS, FRAMES, mpi_units, official, write_labels  # noqa: E402
from mmposeda.datasets.converters.units import one_line  # noqa: E402


def parse_args(argv=None):
    """Parse the command line."""
    parser = command_line(__doc__)
    parser.add_argument('source', help='folder that holds S1/ to S8/, or train/ with them')
    parser.add_argument('out', help='folder to write to; may be the same')
    parser.add_argument('--every', type=positive, default=1, help='frames from one picture to the next (default: 1)')
    parser.add_argument('--subjects', nargs='+', default=list(FRAMES), choices=FRAMES, help='default: all')
    cameras = 'default: the eight at chest height'
    parser.add_argument('--cameras', nargs='+', type=int, default=list(CAMERAS), choices=range(14), help=cameras)
    return parser.parse_args(argv)


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    with one_line():
        source = existing_folder(args.source, 'the training set of MPI-INF-3DHP')
        out = Path(args.out)
        units = mpi_units(source, out, args.subjects, args.cameras, args.every)
        finish, known = partial(write_labels, source, out), official(args.cameras, args.every)
        run('mpi_inf_3dhp', out, dict(every=args.every), units, finish, known, args.jobs, 'videos')


if __name__ == '__main__':
    main()
