"""What the panel of the reconstruction shows where, on fields and masks of known motion."""

import numpy as np
import pytest
import torch
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from mmposeda.structures.keypoint_grid import pixels_to_grid, warp_by_field
from mmposeda.structures.skeleton import Skeleton, metainfo_path
from mmposeda.visualization import reconstruction_panel
from mmposeda.visualization.reconstruction import joint_colors

INFO = parse_pose_metainfo(dict(from_file=metainfo_path('hand21')))
HAND = Skeleton.from_metainfo('hand21')
SIDE, SCALE, HEADER = 64, 3, 18
CELL = SIDE * SCALE


def preview(pairs=2, shift=(8.0, 0.0), regions=22, seed=0):
    """Pairs whose middle moves by a shift in pixels: its region is the second one, the rest is background."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.rand(pairs, 3, SIDE, SIDE, generator=generator)
    points = 10 + 44 * torch.rand(pairs, 21, 2, generator=generator)
    mask = torch.zeros(pairs, regions, SIDE // 4, SIDE // 4)
    mask[:, 0] = 1
    mask[:, 0, 6:10, 6:10], mask[:, 1, 6:10, 6:10] = 0, 1
    grid_shift = pixels_to_grid(torch.tensor(shift), (SIDE, SIDE)) + 1
    field = mask[:, 1, ..., None] * -grid_shift
    return {
        'base': base,
        'driving': torch.full_like(base, 0.4),
        'warped': warp_by_field(base, field),
        'drawn': torch.full_like(base, 0.8),
        'base points': points,
        'driving points': points + torch.tensor(shift),
        'field': field,
        'mask': mask,
        'inpainting': torch.cat([torch.zeros(pairs, 1, 8, 16), torch.ones(pairs, 1, 8, 16)], 2),
    }


def cells(panel, rows=2):
    """Pictures (rows, 7, h, w, 3) of the columns base, driving, warped, redrawn, regions, motion, trust."""
    assert panel.shape == (HEADER + rows * CELL, 7 * CELL, 3) and panel.dtype == np.uint8
    return panel[HEADER:].reshape(rows, CELL, 7, CELL, 3).transpose(0, 2, 1, 3, 4).astype(int)


def test_every_column_shows_its_own():
    shown = cells(reconstruction_panel(preview(), INFO))
    assert (shown[:, 3] == 204).all(), 'redrawn'
    assert (shown[:, 6, :60] == 0).all() and (shown[:, 6, -60:] == 255).all(), 'the trust'
    assert (shown[:, 1] == 102).all(-1).mean() > 0.5, 'driving, but for the joints'
    still = preview()
    plain = cells(reconstruction_panel({**still, 'warped': still['base']}, INFO))[:, 2]
    change = np.abs(plain - shown[:, 2])
    assert change[:, :40].max() <= 1 and change.max() > 40, 'moved in the middle alone'


def test_joints_are_drawn_in_their_colours_where_they_are():
    given = preview()
    given['base'] = torch.zeros_like(given['base'])
    given['base points'] = torch.full_like(given['base points'], torch.nan)
    given['base points'][:, HAND.index('pinky_finger4')] = torch.tensor([10.0, 50.0])
    shown = cells(reconstruction_panel(given, INFO))[:, 0]
    color = joint_colors(INFO, HAND)[HAND.index('pinky_finger4')]
    middle = round(10.5 * SCALE - 0.5), round(50.5 * SCALE - 0.5)
    assert (shown[:, middle[1], middle[0]] == color).all()
    y, x = shown[0].any(-1).nonzero()
    assert np.abs(x - middle[0]).max() <= 4 and np.abs(y - middle[1]).max() <= 4


def test_joints_have_colours_of_their_own_and_fingers_get_brighter_to_the_tip():
    colors = joint_colors(INFO, HAND)
    assert len(np.unique(colors, axis=0)) == 21
    for finger in ('thumb', 'forefinger', 'pinky_finger'):
        assert (np.diff([colors[HAND.index(f'{finger}{i}')].astype(int).sum() for i in (1, 2, 3, 4)]) > 0).all()


def test_regions_are_in_their_joints_colours_on_the_driving_picture():
    regions = cells(reconstruction_panel(preview(), INFO))[:, 4]
    assert (np.abs(regions[:, CELL // 2, CELL // 2] - joint_colors(INFO, HAND)[0]) <= 1).all()
    assert (regions[:, :40] == 51).all(), 'the background at half its brightness'


def test_regions_of_bones_are_in_the_colours_of_the_joints_they_end_in():
    regions = cells(reconstruction_panel(preview(regions=21), INFO))[:, 4]
    first = next(child for child, parent in enumerate(HAND.parents) if parent >= 0)
    assert (np.abs(regions[:, CELL // 2, CELL // 2] - joint_colors(INFO, HAND)[first]) <= 1).all()


@pytest.mark.parametrize('shift, color', [((8, 0), (1, 0, 0)), ((-8, 0), (0, 1, 1)), ((0, 8), (0.5, 1, 0))])
def test_motion_has_the_hue_of_where_the_content_went(shift, color):
    motion = cells(reconstruction_panel(preview(shift=shift), INFO))[:, 5]
    assert (motion[:, :30] == 255).all(), 'white stands still'
    middle = motion[0, CELL // 2 - 15 : CELL // 2 + 15, CELL // 2 - 15 : CELL // 2 + 15].reshape(-1, 3)
    near = np.abs(middle - 255 * np.array(color)).max(-1) <= 12
    assert near.mean() > 0.4, 'the rest are arrows'
    assert (middle.max(-1) < 90).any()


def test_arrows_end_where_the_content_came_to():
    given = preview(pairs=1, shift=(20, 0))
    motion = cells(reconstruction_panel(given, INFO), 1)[0, 5]
    dark = (motion.max(-1) < 60).nonzero()[1]
    # the moved square begins at 24 of 64 pixels; what is seen there was 20 pixels to the left of it
    assert dark.min() < 20 * SCALE < 24 * SCALE < dark.max() < 44 * SCALE


def test_pairs_that_stand_still_have_no_arrows():
    assert (cells(reconstruction_panel(preview(shift=(0, 0)), INFO))[:, 5] == 255).all()


def test_rows_are_cut_to_the_samples_asked_for():
    given = preview(pairs=3)
    whole, cut = cells(reconstruction_panel(given, INFO), 3), cells(reconstruction_panel(given, INFO, 2))
    assert (whole[:2] == cut).all()


@pytest.mark.parametrize('name, regions', [('lsp', 22), ('hand21', 5)])
def test_another_joint_set_is_refused(name, regions):
    info = parse_pose_metainfo(dict(from_file=metainfo_path(name)))
    with pytest.raises(ValueError, match=f'got 21 joints and {regions} regions, but joint set .{name}. has'):
        reconstruction_panel(preview(regions=regions), info)
