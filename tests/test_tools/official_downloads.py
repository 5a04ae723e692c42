"""Miniatures in the formats of the official downloads."""

import cv2
import numpy as np
from scipy.io import savemat
from scipy.spatial.transform import Rotation

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


H36M_CAMERAS = ('54138969', '55011271', '58860488', '60457274')
H36M_SUBJECTS = ('S1', 'S5', 'S6', 'S7', 'S8', 'S9', 'S11')
#: intrinsic numbers of all cameras as ``w0`` has them: f, c, k, p
H36M_LENS = (1145.0, 1143.5, 512.5, 515.0, -0.2, 0.24, -0.002, -0.0009, -0.0014)


def h36m_camera(subject, camera):
    """World (z up) to camera, (3, 3), and place (3,) in mm: 4 m before the middle of the room and 1.5 m above it."""
    around = Rotation.from_euler('z', 90 * camera + 3 * subject, degrees=True).as_matrix()
    turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ around.T
    return turn, around @ np.array([0, -4000.0, 1500])


def write_h36m_metadata(path):
    """``metadata.xml`` of 11 subjects and four cameras, in which takes 2 and 3 have a name and the others are empty."""
    subjects = [f'S{n}' for n in range(1, 12)]
    rows = [['', '', *subjects], *(['1', str(n), *[f'_ALL {n}'] * 11] for n in (1, 2))]
    for action in range(2, 17):
        for take in (1, 2):
            names = ['Directions 1' if take == 1 else 'Directions'] * 11 if action == 2 else [''] * 11
            rows.append([str(action), str(take), *names])
    rows.append(['not', 'a', *['take'] * 11])
    table = ''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)
    numbers = []
    for camera in range(4):
        for subject in range(1, 12):
            turn, place = h36m_camera(subject, camera)
            numbers += [*Rotation.from_matrix(turn).as_euler('XYZ'), *place]
    numbers += [*H36M_LENS] * 4
    ids = ''.join(f'<id>{camera}</id>' for camera in H36M_CAMERAS)
    path.write_text(
        f'<metadata><mapping>{table}</mapping><actionnames><name>Directions</name></actionnames><dbcameras>'
        f'<index2id>{ids}</index2id></dbcameras><w0>[{" ".join(map(repr, map(float, numbers)))}]</w0></metadata>'
    )
    return path


def h36m_person(frames, seed):
    """Someone (frames, 32, 3) in the middle of the room, mm."""
    rng = np.random.default_rng(seed)
    return rng.uniform([-500, -500, 900], [500, 500, 1100], (frames, 1, 3)) + rng.uniform(-500, 500, (frames, 32, 3))


def h36m_pixels(space):
    """Pixels (T, 32, 2) of joints before the camera, as the data set's authors project them."""
    f, c, k, p = np.split(np.array(H36M_LENS), (2, 4, 7))
    flat = space[..., :2] / space[..., 2:]
    squared = (flat**2).sum(-1, keepdims=True)
    radial = 1 + k[0] * squared + k[1] * squared**2 + k[2] * squared**3
    return f * (flat * (radial + (flat * p[::-1]).sum(-1, keepdims=True)) + p[::-1] * squared) + c


def write_cdf(path, poses):
    """Write poses (T, J, D) as the variable ``Pose`` (1, T, J D) of a CDF file."""
    from cdflib.cdfwrite import CDF

    path.parent.mkdir(parents=True, exist_ok=True)
    file = CDF(path, cdf_spec={'Compressed': 6}, delete=True)
    values = poses.reshape(1, len(poses), -1).astype(np.float32)
    shape = list(values.shape[1:])
    spec = {'Variable': 'Pose', 'Data_Type': 44, 'Num_Elements': 1, 'Rec_Vary': True, 'Dim_Sizes': shape, 'Compress': 6}
    file.write_var(spec, var_data=values)
    file.close()


def write_h36m(root, subjects=H36M_SUBJECTS, frames=11, more=2):
    """What is in the archives: videos, which are ``more`` frames longer, and labels; returns joints before cameras."""
    joints = {}
    for subject in subjects:
        number, folder = int(subject[1:]), root / subject
        for take in ('Directions 1', 'Directions'):
            world = h36m_person(frames, number)
            for camera, name in enumerate(H36M_CAMERAS):
                turn, place = h36m_camera(number, camera)
                space = (world - place) @ turn.T
                joints[subject, take, name] = space
                write_cdf(folder / 'MyPoseFeatures/D3_Positions_mono' / f'{take}.{name}.cdf', space)
                write_cdf(folder / 'MyPoseFeatures/D2_Positions' / f'{take}.{name}.cdf', h36m_pixels(space))
                pictures = grey_frames(frames + more, (1000, 1002 if camera in (0, 3) else 1000), 20 + camera)
                write_video(folder / 'Videos' / f'{take}.{name}.mp4', pictures)
    return joints
