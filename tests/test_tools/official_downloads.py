"""Miniatures in the formats of the official downloads."""

import cv2
import numpy as np
from scipy.io import savemat

SURREAL_SIZE = (320, 240)


def write_video(path, frames, codec='mp4v', rate=50):
    """Write frames (H, W, 3) to a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, frames[0].shape[1::-1])
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def grey_frames(count, size=(64, 48), start=20, step=8):
    """Frames that are told apart by their grey level, ``start + step * n``."""
    return [np.full((size[1], size[0], 3), np.clip(start + step * n, 0, 255), np.uint8) for n in range(count)]


def grey_numbers(paths, start=20, step=8):
    """Numbers of such frames, read from pictures."""
    return [round((float(cv2.imread(str(path)).mean()) - start) / step) for path in paths]


def snapshot(folder):
    """Every file with its time of change and content."""
    files = [path for path in sorted(folder.rglob('*')) if path.is_file()]
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def contents(folder):
    """Every file but records, with its content."""
    return {name: content for name, (_, content) in snapshot(folder).items() if not name.startswith('.')}


def surreal_clip(frames, seed, distance=6.0):
    """Labels of a clip as ``_info.mat`` holds them: a person of 24 joints, 1.6 m high, who moves to the side.

    Cameras look along the world's negative x axis; the picture's x is the world's negative z, its y the world's y.
    """
    rng = np.random.default_rng(seed)
    camera = np.array([distance, 0.5, 0.3])
    body = rng.uniform([-0.2, -0.8, -0.5], [0.2, 0.8, 0.5], (24, 3))
    world = np.array([0.0, 0.5, 0.2]) + body + np.linspace(0, 0.4, frames)[:, None, None] * [0, 0, 1]
    depth = camera[0] - world[..., 0]
    right, down = camera[2] - world[..., 2], world[..., 1] - camera[1]
    pixels = np.stack([160 + 600 * right / depth, 120 + 600 * down / depth], -1)
    return dict(
        joints2D=np.squeeze(pixels.transpose(2, 1, 0)).astype(np.float32),  # one frame loses the last axis
        joints3D=np.squeeze(world.transpose(2, 1, 0)).astype(np.float32),
        camLoc=camera.reshape(3, 1).astype(np.float32),
        gender=np.zeros((frames, 1), np.uint8),
        stride=np.uint8(50),
    )


def write_surreal_clip(folder, sequence, number, frames, seed=0, **labels):
    """Write ``SEQUENCE_c0001.mp4``, on whose first joint there is a white square, and ``_info.mat``."""
    info = {**surreal_clip(frames, seed), **labels}
    points = np.asarray(info['joints2D'], float).reshape(2, 24, -1)
    pictures = []
    for n in range(frames):
        picture = np.full((240, 320, 3), 60, np.uint8)
        x, y = np.nan_to_num(points[:, 0, n]).round().astype(int)
        picture[max(y - 3, 0) : max(y + 4, 0), max(x - 3, 0) : max(x + 4, 0)] = 255
        pictures.append(picture)
    name = f'{sequence}_c{number:04d}'
    write_video(folder / sequence / f'{name}.mp4', pictures, rate=25)
    savemat(folder / sequence / f'{name}_info.mat', info)
    return info
