"""Cut single pictures of people with their joints out of SURREAL's clips, for SURREALDataset.

Example:
    python tools/dataset_converters/surreal.py SURREAL/data/cmu data/surreal_processed --every 50 --jobs 8

SURREAL/data/cmu is the release as it is downloaded, {train,val,test}/run{0,1,2}/01_01/01_01_c0001.mp4 with
01_01_c0001_info.mat beside; depth and segmentation are not needed. A run that was stopped goes on where it was when it
is started again.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmposeda.datasets.converters.command import command_line, existing_folder, positive, run  # noqa: E402
from mmposeda.datasets.converters.surreal import OFFICIAL, SPLITS, surreal_units, write_runs  # noqa: E402
from mmposeda.datasets.converters.units import one_line  # noqa: E402


def parse_args(argv=None):
    """Parse the command line."""
    parser = command_line(__doc__)
    parser.add_argument('source', help='folder that holds train/, val/ and test/')
    parser.add_argument('out', help='folder to write to')
    parser.add_argument('--every', type=positive, default=50, help='frames from one picture to the next (default: 50)')
    parser.add_argument('--splits', nargs='+', default=list(SPLITS), choices=SPLITS, help='default: all')
    return parser.parse_args(argv)


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    with one_line():
        source = existing_folder(args.source, "SURREAL's train/, val/ and test/")
        out = Path(args.out)
        units = surreal_units(source, out, args.splits, args.every)
        run('surreal', out, dict(every=args.every), units, partial(write_runs, out), OFFICIAL, args.jobs)


if __name__ == '__main__':
    main()
