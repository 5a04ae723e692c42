"""Put motion capture from text files into one npz pack, which is read in seconds.

Example:
    python tools/dataset_converters/mocap_pack.py data/cmu_mocap/subjects data/cmu_mocap/cmu_30fps.npz --jobs 8

The folder holds BVH files of CMU's skeleton, or AMC files with their ASF beside, as 02/02_01.amc and 02/02.asf. A run
that was stopped, or to which files were added, goes on where it was when it is started again; for that it keeps each
file's poses in the folder .cmu_30fps beside the pack.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmposeda.datasets.converters.command import command_line, existing_folder, run  # noqa: E402
from mmposeda.datasets.converters.mocap_pack import join_packs, motion_units  # noqa: E402
from mmposeda.datasets.converters.units import one_line  # noqa: E402


def parse_args(argv=None):
    """Parse the command line."""
    parser = command_line(__doc__)
    parser.add_argument('source', help='folder of the files')
    parser.add_argument('out', help='pack to write, .npz')
    parser.add_argument('--fps', type=float, default=30, help='frames a second (default: 30)')
    parser.add_argument('--no-toes', action='store_true', help='17 joints, for files without toes')
    args = parser.parse_args(argv)
    if not args.out.endswith('.npz'):
        parser.error(f'{args.out} is no name of a pack: expected one that ends in .npz')
    if not args.fps > 0:
        parser.error(f'--fps must be positive, got {args.fps}')
    return args


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    with one_line():
        source, out, toes = existing_folder(args.source, 'motion capture files'), Path(args.out), not args.no_toes
        units = motion_units(source, out, args.fps, toes)
        run(out.stem, out.parent, dict(fps=args.fps, toes=toes), units, partial(join_packs, out, toes), jobs=args.jobs)


if __name__ == '__main__':
    main()
