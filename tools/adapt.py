"""Adapt a plain MMPose estimator to own pictures or videos without labels, and show what came of it.

Renders labelled people (or hands) of the estimator's joints, adapts with tools/train.py, exports a plain MMPose config
and checkpoint, and writes a report. What is done already is not repeated: the same command again goes on where it was.

Example:
    python tools/adapt.py MMPOSE_CONFIG CHECKPOINT --target my_pictures/ --work-dir work_dirs/mine
    python tools/adapt.py MMPOSE_CONFIG CHECKPOINT --target match.mp4 --fps 2 --preset standard
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmposeda.datasets.frames import few_names, own_pictures  # noqa: E402
from mmposeda.engine.commands import ROOT, run_tool, shorten_render, shorten_train  # noqa: E402
from mmposeda.engine.failures import one_line  # noqa: E402
from mmposeda.engine.own_config import METHODS, PRESETS, STAGE, AdaptationOptions, write_config  # noqa: E402
from mmposeda.engine.own_data import labelled_source, read_estimator  # noqa: E402
from mmposeda.engine.own_joints import OwnDataError, choose_rendering  # noqa: E402
from mmposeda.engine.own_report import write_report  # noqa: E402
from mmposeda.engine.own_results import Comparison, labels_of  # noqa: E402
from mmposeda.structures.skeleton import Skeleton  # noqa: E402

#: Pictures below which a target says little
FEW = 50


def parse_args(argv=None):
    """Arguments of the command line; sizes left out are those of the preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='plain top-down config of MMPose: a path, or mmpose::…')
    add('checkpoint', help='its checkpoint, a file')
    add('--target', required=True, help='folder of pictures, a video, or a folder of videos; no labels')
    add('--boxes', help='file of the boxes of people, as UnlabeledImageDataset takes it (default: whole pictures)')
    add('--fps', type=float, default=2.0, help='frames a second to take of videos')
    add('--source', default='rendered', help='rendered, or a config whose labelled training data is taken')
    add('--method', default='udape', help=f'one of {", ".join(METHODS)}')
    add('--preset', default='quick', choices=PRESETS, help='quick: two CPU cores, half an hour; standard: a GPU')
    add('--iterations', type=int, help='length of the adaptation')
    add('--batch', type=int, help='pictures in a batch, half of them of the target')
    add('--lr', type=float, help="learning rate; the backbone's is 0.3 of it")
    add('--seed', type=int, default=0)
    add('--workers', type=int, default=min(2, os.cpu_count() or 1), help='processes that render and load')
    add('--work-dir', help='folder for everything it writes (default: work_dirs/adapt_<target>_<method>)')
    add('--joints', help='meta file of the joints, where neither checkpoint nor config say them')
    render = parser.add_argument_group('rendered source; see tools/render_people.py')
    render.add_argument('--num', type=int, help='how many pictures to render')
    render.add_argument('--look', default='sport')
    render.add_argument('--poses', nargs='*', default=[], metavar='FILE', help='motion capture')
    render.add_argument('--backgrounds', help='folder of background pictures')
    render.add_argument('--frontal-share', type=float, default=0.5, help='share of views near the front (people)')
    report = parser.add_argument_group('report')
    report.add_argument('--labels', help='COCO-style labels of pictures of the target, for numbers alone')
    report.add_argument('--label-images', help='folder of their pictures (default: the target folder)')
    report.add_argument('--samples', type=int, default=12, help='pictures shown before and after')
    args = parser.parse_args(argv)
    for name in ('iterations', 'batch', 'lr', 'num'):
        if getattr(args, name) is None:
            setattr(args, name, PRESETS[args.preset][name])
    if args.work_dir is None:
        args.work_dir = str(Path('work_dirs') / f'adapt_{Path(args.target).stem or "target"}_{args.method}')
    return args


class Steps:
    """Minutes of each step, kept in the work dir; of those that go on where they were over all calls."""

    PARTS = ('Labelled source', 'Adapting')

    def __init__(self, folder):
        self.path = folder / 'minutes.json'
        self.minutes = json.loads(self.path.read_text()) if self.path.is_file() else {}

    @contextmanager
    def timed(self, name):
        """Keep what the step inside takes, whether it ends or breaks off."""
        print(f'\n{name}', flush=True)
        start = time.time()
        try:
            yield
        finally:
            before = self.minutes.get(name, 0.0) if name in self.PARTS else 0.0
            self.minutes[name] = before + (time.time() - start) / 60
            self.path.write_text(json.dumps(self.minutes, indent=2))


def same_run(folder, args):
    """Settings that decide what is computed, compared with those of the run that is there, if one is.

    Raises:
        OwnDataError: The folder holds a run of other settings.
    """
    shown = ('work_dir', 'workers', 'labels', 'label_images', 'samples', 'preset')
    settings = {key: value for key, value in vars(args).items() if key not in shown}
    record = folder / 'settings.json'
    if record.is_file():
        before = json.loads(record.read_text())
        changed = [key for key in settings if settings[key] != before.get(key)]
        if changed:
            said = ', '.join(f'{key} {before.get(key)!r}, now {settings[key]!r}' for key in changed)
            raise OwnDataError(f'{folder} holds a run with {said}: choose another --work-dir, or delete that folder')
    return settings


def find_target(args, folder):
    """Arguments of the target's data set, and what there is to say of it."""
    found = own_pictures(args.target, folder, args.fps)
    target, notes = dict(data_root=found.folder), []
    if found.left_out:
        notes.append(f'left out: {few_names(found.left_out)}')
    if args.boxes:
        if not Path(args.boxes).is_file():
            raise OwnDataError(f'--boxes {args.boxes} does not exist')
        target['ann_file'] = str(Path(args.boxes).resolve())
        notes.append(f'people by their boxes in {args.boxes}')
    elif found.left_out and not found.videos:
        (folder / 'pictures.txt').write_text('\n'.join(found.names))
        target['ann_file'] = str(folder / 'pictures.txt')
    what = f'{len(found.names)} frames of {found.videos} videos' if found.videos else f'{len(found.names)} pictures'
    notes.insert(0, what)
    if len(found.names) < FEW:
        notes.append(f'{len(found.names)} pictures are few: what is learnt from them may not hold for others')
    return target, notes


def find_source(args, given, folder):
    """Config of the labelled data set, its joints, and what there is to say of it; rendered if it is to be."""
    if args.source != 'rendered':
        source, skeleton = labelled_source(args.source, given)
        return source, skeleton, [f'training data of {args.source}']
    rendering = choose_rendering(given.skeleton)
    out = folder / 'source'
    size = -(-max(given.input_size) * 5 // 4 // 16) * 16
    command = [str(ROOT / 'tools' / 'render_people.py'), '--out', str(out), '--what', rendering.what]
    command += ['--joints', rendering.joints, '--num', str(args.num), '--size', str(size), '--look', args.look]
    command += ['--seed', str(args.seed), '--workers', str(args.workers), '--sheet']
    if rendering.what == 'person':
        command += ['--frontal-share', str(args.frontal_share)]
        command += ['--poses', *args.poses] if args.poses else []
    command += ['--backgrounds', args.backgrounds] if args.backgrounds else []
    run_tool(command, folder / 'adapt.log', shorten_render)
    notes = [f'{args.num} rendered {"people" if rendering.what == "person" else "hands"}, look {args.look!r}']
    if rendering.missing:
        notes.append(
            f'the renderer has no label for {", ".join(rendering.missing)}: of these the source teaches nothing '
            '(weight 0)'
        )
    name = dict(person='people', hand='hands')[rendering.what]
    source = dict(
        type='RenderedDataset',
        data_root='{{ fileDirname }}/source',  # so that the folder can be moved
        ann_file=f'annotations/{name}.json',
        # framed as the target is
        bbox='ann' if args.boxes else 'image',
        metainfo='@joint_set@',
    )
    return source, Skeleton.from_metainfo(rendering.joints), notes


class Twentieths:
    """Shortens the training's output: of its iterations a line every twentieth of the way."""

    def __init__(self):
        self.shown = -1

    def __call__(self, line):
        """What to show of a line, or None."""
        step = re.search(r'Iter\(train\) \[\s*(\d+)/(\d+)\]', line)
        if step and int(step[1]) * 20 // int(step[2]) == self.shown:
            return None
        self.shown = int(step[1]) * 20 // int(step[2]) if step else self.shown
        return shorten_train(line)


def train(folder, path):
    """Run the config, or go on with it; return the folder of its stage."""
    command = [str(ROOT / 'tools' / 'train.py'), str(path), '--work-dir', str(folder), '--resume']
    run_tool(command, folder / 'adapt.log', Twentieths())
    return folder / STAGE


def export(folder, path):
    """Write the plain MMPose config and checkpoint; return the adapter's checkpoint and the folder of the export."""
    stage = folder / STAGE
    checkpoint = stage / json.loads((stage / 'finished.json').read_text())['checkpoint']
    out = folder / 'exported'
    command = [str(ROOT / 'tools' / 'export.py'), str(path), str(checkpoint), '--out', str(out)]
    run_tool(command, folder / 'adapt.log', lambda line: None)
    return checkpoint, out


@contextmanager
def naming_missing_files():
    """Turn a missing file, which the messages of our readers name, into an error that ends in one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise OwnDataError(str(error)) from error


def main(argv=None):
    """Go through the steps."""
    args = parse_args(argv)
    command = shlex.join(['python', 'tools/adapt.py', *(sys.argv[1:] if argv is None else argv)])
    folder = Path(args.work_dir).resolve()
    with one_line(args.config), naming_missing_files():
        options = AdaptationOptions(
            method=args.method,
            iterations=args.iterations,
            batch=args.batch,
            lr=args.lr,
            keep_rate=PRESETS[args.preset]['keep_rate'],
            workers=args.workers,
            seed=args.seed,
        )
        given = read_estimator(args.config, args.checkpoint, args.joints)
        if args.labels:  # what is wrong with them is better known before the training than after
            labels_of(args.labels, args.label_images or args.target, given, whole=not args.boxes)
        with tempfile.TemporaryDirectory() as aside:  # a method that does not fit is refused before hours are spent
            write_config(aside, given, dict(type='RenderedDataset'), dict(data_root=args.target), options)
        settings = same_run(folder, args)
        folder.mkdir(parents=True, exist_ok=True)
        steps, found = Steps(folder), {}
        with steps.timed('Looking at the target'):
            target, found['target'] = find_target(args, folder)
            print(*found['target'], sep='\n')
        with steps.timed('Labelled source'):
            source, found['joints'], found['source'] = find_source(args, given, folder)
            print(*found['source'], sep='\n')
        path = write_config(folder, given, source, target, options)
        (folder / 'settings.json').write_text(json.dumps(settings, indent=2))
        with steps.timed('Adapting'):
            train(folder, path)
        with steps.timed('Exporting'):
            checkpoint, exported = export(folder, path)
        with steps.timed('Comparing before and after'):
            comparison = Comparison(path, given, checkpoint)
            compared, pck = comparison.on_target(), {}
            if args.labels:
                images = args.label_images or target['data_root']
                pck = comparison.on_labels(args.labels, images, not args.boxes, folder)
        report = write_report(args, given, compared, pck, found, steps.minutes, command)
    for side, metrics in pck.items():
        print(f'PCK@0.1 {side}: {metrics["PCK/all@0.1"]:.1f} %')
    print(f'\nReport: {os.path.relpath(report)}')
    print(f'Plain MMPose config and checkpoint: {os.path.relpath(exported)}/model.py, model.pth')
    print(f'Time: {sum(steps.minutes.values()):.1f} min')


if __name__ == '__main__':
    main()
