"""Render people or hands to JPEG files with COCO-style labels.

Example:
    python tools/render_people.py --num 5000 --size 160 --joints lsp --out data/people --workers 2 --sheet \
        --poses cmu_h36m17_30fps.npz deepmimic_h36m17_30fps.npz --backgrounds FOLDER --frontal-share 0.8
    python tools/render_people.py --what hand --num 5000 --size 160 --out data/hands --workers 2 --sheet
    python tools/render_people.py --num 6000 --sequence 60 --video --poses cmu_h36m17_30fps.npz --out data/videos

A run that was stopped goes on where it was when started again with the same arguments.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
CHUNK = 32
LOOKS = ('sport', 'clean', 'shifted', 'tied', 'untied', 'dusk', 'neon', 'print', 'studio')
#: What is drawn -> name of the label file, category
KINDS = {'person': ('people', 'person'), 'hand': ('hands', 'hand')}
#: Kind of video file -> codec
VIDEOS = {'avi': 'MJPG', 'mp4': 'mp4v'}
#: Frames a second of videos, those of motion capture
FPS = 30
_FINGERS = {'thumb': (60, 60, 255), 'forefinger': (0, 190, 255), 'middle': (0, 220, 0), 'ring': (255, 150, 0)}


def parse_args(argv=None):
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--out', required=True, help='folder to write to')
    add('--num', type=int, default=1000, help='number of pictures')
    add('--first', type=int, default=0, help='index of the first picture')
    add('--size', type=int, default=128, help='side of the pictures, pixels')
    add('--what', default='person', choices=KINDS, help='what is drawn')
    add('--joints', help='joint set: lsp (default), mpii or h36m; of hands hand21 (default) or rhd2d')
    add('--seed', type=int, default=0)
    add('--look', default='sport', help=f'one of {", ".join(LOOKS)}')
    people = parser.add_argument_group('people only')
    mocap = 'motion capture; without it joint limits alone'
    people.add_argument('--poses', nargs='*', default=[], metavar='FILE', help=mocap)
    share = 'share of poses from --poses, the rest within joint limits'
    people.add_argument('--mocap-share', type=float, default=0.5, help=share)
    people.add_argument(
        '--pose-noise', type=float, nargs=2, default=(0.05, 0.35), metavar=('LOW', 'HIGH'), help='radians'
    )
    hands = parser.add_argument_group('hands only')
    hands.add_argument('--side', default='both', choices=('left', 'right', 'both'), help='which hands')
    share = 'share of poses that are gestures, the rest within joint limits'
    hands.add_argument('--gesture-share', type=float, default=0.75, help=share)
    add('--sequence', type=int, default=0, help='pictures in a row of one figure, camera and scene; 0: none')
    kinds = 'write each sequence as a video file: avi (Motion JPEG, the default) or mp4, in place of pictures'
    add('--video', nargs='?', const='avi', choices=VIDEOS, help=kinds)
    add('--backgrounds', help='folder of background pictures')
    add('--background-share', type=float, help='share of backgrounds from --backgrounds')
    add('--frontal-share', type=float, help='share of views near the front')
    add('--frontal-spread', type=float, help='standard deviation of their azimuth, degrees')
    add('--turned-share', type=float, help='share of bodies turned freely')
    add('--turned-tilt', type=float, help='tilt of those of them that are seen from the front, degrees')
    add('--elevation', type=float, nargs=2, metavar=('MEAN', 'STD'), help='degrees')
    add('--roll', type=float, help='standard deviation, degrees')
    add('--letterbox-share', type=float, help='share of pictures with black strips')
    add('--occluder-share', type=float, help='share of pictures with something in front')
    add('--rho', type=float, help="correlation of the background's hue with the pose, in looks such as tied and untied")
    add('--quality', type=int, default=95, help='JPEG quality of the files')
    add('--val', type=int, default=0, help='write annotations/train.json and val.json too, with so many in val')
    add('--masks', action='store_true', help='write person masks and part maps as PNG too')
    add('--workers', type=int, default=1, help='processes')
    add('--device', default='cpu', help='cpu or cuda')
    add('--sheet', action='store_true', help='write contact sheets, with and without joints')
    args = parser.parse_args(argv)
    other = people if args.what == 'hand' else hands
    given = [a for a in other._group_actions if getattr(args, a.dest) != a.default]
    if given:
        parser.error(f'{given[0].option_strings[0]} is for {other.title}, not for --what {args.what}')
    if args.video and not args.sequence:
        parser.error('--video wants --sequence, the frames of a video')
    if args.video and (args.first % args.sequence or args.num % args.sequence):
        parser.error(f'--video wants whole sequences: --first and --num must be multiples of {args.sequence}')
    if args.video and (args.masks or args.sheet):
        parser.error('--video writes no pictures, so that there are neither masks nor sheets of them')
    args.joints = args.joints or {'person': 'lsp', 'hand': 'hand21'}[args.what]
    return args


def figure_class(what):
    """Class that draws the pictures."""
    from mmposeda.datasets.synthetic.hands import RenderedHands
    from mmposeda.datasets.synthetic.people import RenderedPeople

    return {'person': RenderedPeople, 'hand': RenderedHands}[what]


def source_kwargs(args):
    """Arguments of ``RenderedPeople`` or ``RenderedHands`` from the command line's."""
    views = dict(
        frontal_share=args.frontal_share, frontal_spread=args.frontal_spread, turned_share=args.turned_share,
        turned_tilt=args.turned_tilt, elevation=args.elevation, roll=args.roll,
    )  # fmt: skip
    look = dict(
        folder_share=args.background_share, letterbox_share=args.letterbox_share, occluder_share=args.occluder_share
    )
    look = {k: v for k, v in look.items() if v is not None}
    look.update(name=args.look, views={k: v for k, v in views.items() if v is not None})
    if args.rho is not None:
        look['tie'] = dict(rho=args.rho)
    own = dict(sequence=args.sequence) if args.sequence else {}
    if args.what == 'hand':
        poses = dict(gesture_share=args.gesture_share)
        own['side'] = args.side
    else:
        poses = dict(
            files=[[str(Path(p).resolve()) for p in f.split(',')] for f in args.poses],
            mocap_share=args.mocap_share,
            noise=tuple(args.pose_noise),
        )
    backgrounds = str(Path(args.backgrounds).resolve()) if args.backgrounds else None
    return dict(
        size=args.size,
        joints=args.joints,
        seed=args.seed,
        look=look,
        poses=poses,
        backgrounds=backgrounds,
        device=args.device,
        **own,
    )


_figures = None


def start(what, kwargs):
    """Build the renderer once a process."""
    global _figures
    import cv2

    cv2.setNumThreads(1)
    _figures = figure_class(what)(**kwargs)


def write_chunk(job):
    """Render and write some pictures, then their labels; the label file marks the chunk as done."""
    out, indices, args = job
    entries = []
    writers = {}
    for start_at in range(0, len(indices), 8):
        for sample in _figures.render(indices[start_at : start_at + 8]):
            entry = annotation(sample)
            if args.video:
                write_frame(out / 'videos' / file_name(entry, args), sample, args, writers)
            else:
                write_picture(out, file_name(entry, args), sample, args)
            entries.append(entry)
    for path, (writer, aside) in writers.items():
        writer.release()
        aside.replace(path)
    path = out / 'parts_done' / f'{indices[0]:07d}.json'
    path.with_suffix('.tmp').write_text(json.dumps(entries))
    path.with_suffix('.tmp').replace(path)
    return len(indices)


def file_name(entry, args):
    """File of an annotated picture below its folder; with sequences each has a folder, or is a video."""
    if args.video:
        return f'{entry["sequence_id"]:07d}.{args.video}'
    if args.sequence:
        return f'{entry["sequence_id"]:07d}/{entry["frame"]:07d}.jpg'
    return f'{entry["image_id"]:07d}.jpg'


def write_picture(out, name, sample, args):
    """Write one picture, and its masks if they are wanted."""
    import cv2

    path = out / 'images' / name
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), sample['img'], [cv2.IMWRITE_JPEG_QUALITY, args.quality])
    for folder, key in (('masks', 'mask'), ('parts', 'part')) if args.masks else ():
        path = (out / folder / name).with_suffix('.png')
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), sample[key])


def write_frame(path, sample, args, writers):
    """Write a frame to a video, which is begun aside where there is none; it has its name when it is whole."""
    import cv2

    if path not in writers:
        aside = path.with_name(f'.{path.name}')
        # OpenCV's own writer of Motion JPEG, FFmpeg's has no quality
        api = cv2.CAP_OPENCV_MJPEG if args.video == 'avi' else cv2.CAP_ANY
        writer = cv2.VideoWriter(
            str(aside), api, cv2.VideoWriter_fourcc(*VIDEOS[args.video]), FPS, sample['img'].shape[1::-1]
        )
        if not writer.isOpened():
            raise SystemExit(f'this OpenCV cannot write {path.suffix} files; take --video avi, or pictures')
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, args.quality)
        writers[path] = writer, aside
    writers[path][0].write(sample['img'])


def annotation(sample):
    """COCO-style annotation of one sample, with the 3D labels beside."""
    x0, y0, x1, y1 = sample['bbox'].astype(float)
    seen = sample['visibility']
    points = np.concatenate([sample['keypoints'], seen[:, None]], axis=1).astype(float)
    points[seen == 0] = 0
    view = {k: v for k, v in sample['view'].items() if isinstance(v, (float, bool))}
    return dict(
        id=sample['index'] + 1,  # COCOeval takes 0 for 'no match'
        image_id=sample['index'],
        category_id=1,
        iscrowd=0,
        keypoints=[round(v, 3) for v in points.ravel().tolist()],
        num_keypoints=int((seen > 0).sum()),
        bbox=[round(v, 2) for v in (x0, y0, x1 - x0 + 1, y1 - y0 + 1)],
        area=float((sample['mask'] > 0).sum()),
        joints_3d=np.round(sample['keypoints_3d_cam'].astype(float), 2).tolist(),
        camera=dict(f=sample['camera']['f'].tolist(), c=sample['camera']['c'].tolist()),
        view=view,
        subject=sample['subject'],
        pose_source=sample['pose_source'],
        sequence_id=sample['clip'],
        frame=sample['frame'],
        **({'tie': sample['tie']} if 'tie' in sample else {}),
    )


def merge(out, args, names):
    """Join the chunks' labels to COCO-style files."""
    wanted = range(args.first, args.first + args.num)
    entries = [e for f in sorted((out / 'parts_done').glob('*.json')) for e in json.loads(f.read_text())]
    entries = [e for e in entries if e['image_id'] in wanted]
    (out / 'annotations').mkdir(exist_ok=True)
    split = len(entries) - args.val
    name, kind = KINDS[args.what]
    files = {name: entries}
    if args.val:
        files.update(train=entries[:split], val=entries[split:])
    for name, part in files.items():
        images = [
            dict(
                id=e['image_id'],
                file_name=file_name(e, args),
                width=args.size,
                height=args.size,
                **({'frame': e['frame']} if args.video else {}),
            )
            for e in part
        ]
        category = dict(id=1, name=kind, keypoints=names, skeleton=[])
        info = dict(description=f'rendered {KINDS[args.what][0]}', settings=source_kwargs(args))
        label = dict(info=info, images=images, annotations=part, categories=[category])
        (out / 'annotations' / f'{name}.json').write_text(json.dumps(label))
    return out / 'annotations'


def sheet(out, args, num=48, columns=12):
    """Contact sheets: pictures alone, and with joints, hollow where hidden: right red, left blue, a colour a finger."""
    import cv2

    data = json.loads((out / 'annotations' / f'{KINDS[args.what][0]}.json').read_text())
    names = data['categories'][0]['keypoints']
    for suffix in ('', '_joints'):
        tiles = []
        for entry in data['annotations'][: min(num, args.num)]:
            image = cv2.imread(str(out / 'images' / file_name(entry, args)))
            if suffix:
                draw_joints(image, names, np.reshape(entry['keypoints'], (-1, 3)), args.what)
            tiles.append(image)
        tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
        rows = [np.hstack(tiles[r : r + columns]) for r in range(0, len(tiles), columns)]
        cv2.imwrite(str(out / f'sheet{suffix}.png'), np.vstack(rows))


def draw_joints(image, names, points, what):
    """Draw joints (K, 3) of x, y, visibility into a picture; of hands the fingers' bones too."""
    import cv2

    place = {name: (int(x + 0.5), int(y + 0.5)) for name, (x, y, v) in zip(names, points) if v}
    for name, x in place.items() if what == 'hand' else ():
        above = 'wrist' if name[-1] == '1' else f'{name[:-1]}{ord(name[-1]) - ord("1")}'
        if above in place and name != 'wrist':
            cv2.line(image, place[above], x, joint_color(name, what), 1, cv2.LINE_AA)
    for name, (_, _, v) in zip(names, points):
        if v:
            cv2.circle(image, place[name], 2, joint_color(name, what), -1 if v == 2 else 1, cv2.LINE_AA)


def joint_color(name, what):
    """BGR colour of a joint."""
    if what == 'hand':
        return next((c for f, c in _FINGERS.items() if name.startswith(f)), (255, 60, 255))
    return (60, 60, 255) if name.startswith('right') else (255, 120, 0) if name.startswith('left') else (0, 255, 0)


def main(argv=None):
    """Render what is not there yet, then write the label file."""
    args = parse_args(argv)
    out = Path(args.out)
    for name in ('videos' if args.video else 'images', 'parts_done', *(('masks', 'parts') if args.masks else ())):
        (out / name).mkdir(parents=True, exist_ok=True)
    kwargs = source_kwargs(args)
    kind = {} if args.what == 'person' else dict(what=args.what)
    if args.sequence:
        kind['files'] = args.video or 'folders'
    settings = json.dumps(dict(kwargs, quality=args.quality, masks=args.masks, **kind), sort_keys=True)
    record = out / 'settings.json'
    if record.exists() and record.read_text() != settings:
        raise SystemExit(f'{out} holds pictures of other settings ({record}); choose another --out or delete it')
    record.write_text(settings)
    stop = args.first + args.num
    step = args.sequence * max(CHUNK // args.sequence, 1) if args.video else CHUNK  # a video is of one process
    chunks = [list(range(i, min(i + step, stop))) for i in range(args.first, stop, step)]
    jobs = [(out, c, args) for c in chunks if not _done(out, c)]
    total = sum(len(job[1]) for job in jobs)
    print(f'{args.num - total} of {args.num} pictures are there, rendering {total}', flush=True)
    begin, done = time.time(), 0
    if jobs:
        # The first chunk is drawn here: the first use of the body model builds its cache, once and not once a process.
        start(args.what, kwargs)
        done = _progress(write_chunk(jobs.pop(0)), total, begin)
    if args.workers > 1 and jobs:
        os.environ.setdefault('OMP_NUM_THREADS', '1')  # of each process; more would get in each other's way
        context = multiprocessing.get_context('spawn')
        with context.Pool(args.workers, start, (args.what, kwargs)) as pool:
            for count in pool.imap_unordered(write_chunk, jobs):
                done = _progress(done + count, total, begin)
    for job in jobs if args.workers == 1 else ():
        done = _progress(done + write_chunk(job), total, begin)
    path = merge(out, args, figure_class(args.what)(**kwargs).joint_names)
    if args.sheet:
        sheet(out, args)
    print(f'wrote {path}')


def _done(out, chunk):
    path = out / 'parts_done' / f'{chunk[0]:07d}.json'
    return path.exists() and [e['image_id'] for e in json.loads(path.read_text())] == chunk


def _progress(done, total, begin):
    spent = time.time() - begin
    left = spent / done * (total - done)
    print(f'{done}/{total} pictures, {done / spent:.1f}/s, {left / 60:.1f} min left', flush=True)
    return done


if __name__ == '__main__':
    main()
