"""Write videos as folders of frames.

Example:
    python tools/dataset_converters/video_frames.py videos data/clips --fps 25 --jobs 4
    python tools/dataset_converters/video_frames.py data/humaneva --layout humaneva --jobs 4
    python tools/dataset_converters/video_frames.py data/panoptic --layout panoptic --every 10 --jobs 4

Layouts:
    clips     videos/a/b.mp4 -> clips/a/b/000000.jpg, numbered one after the other; for pairs of own videos
    humaneva  S1/Image_Data/Walking_1_(C1).avi -> S1/Image_Data/Walking_1_(C1)/000001.jpg; for HumanEvaDataset
    panoptic  171204_pose3/hdVideos/hd_00_00.mp4 -> 171204_pose3/hdImgs/00_00/00_00_00000000.jpg, of the frames that
              have labels in hdHand3d/, and --every of these; for PanopticHand3DDataset

A run that was stopped goes on where it was when it is started again. Frames that cannot be decoded are named and
skipped.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmposeda.datasets.converters.command import command_line, existing_folder, positive, run  # noqa: E402
from mmposeda.datasets.converters.units import one_line  # noqa: E402
from mmposeda.datasets.converters.video_layouts import LAYOUTS, video_units  # noqa: E402


def parse_args(argv=None):
    """Parse the command line."""
    parser = command_line(__doc__)
    parser.add_argument('source', help='folder of the videos')
    parser.add_argument('out', nargs='?', help='folder to write to (default, but for clips: the source)')
    parser.add_argument('--layout', default='clips', choices=LAYOUTS, help='how videos and frames are named')
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument('--every', type=positive, default=1, help='frames from one picture to the next (default: 1)')
    rate.add_argument('--fps', type=float, help='frames a second to take, of own videos')
    args = parser.parse_args(argv)
    if args.fps is not None and not (args.layout == 'clips' and args.fps > 0):
        parser.error('--fps wants a positive number, and --layout clips: elsewhere frames are found by their numbers')
    if args.out is None and args.layout == 'clips':
        parser.error('--layout clips wants a folder to write to')
    return args


def main(argv=None):
    """Run the command."""
    args = parse_args(argv)
    with one_line():
        source = existing_folder(args.source, 'the folder of the videos')
        out = Path(args.out or args.source)
        settings = dict(layout=args.layout, every=args.every, fps=args.fps)
        units = video_units(source, out, args.layout, args.every, args.fps)
        run('video_frames', out, settings, units, jobs=args.jobs, what='videos')


if __name__ == '__main__':
    main()
