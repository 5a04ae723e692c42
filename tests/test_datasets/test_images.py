"""Pictures that are too large, broken or none: refused by name, the too large ones before they are decoded."""

import io
import json
import struct
import zlib

import cv2
import mmcv
import numpy as np
import pytest
from PIL import Image

from mmposeda.datasets.images import MAX_PIXELS, SampleError, image_size, read_size
from mmposeda.datasets.synthetic import backgrounds
from mmposeda.datasets.transforms import LoadImage
from mmposeda.registry import DATASETS, TRANSFORMS
from mmposeda.structures.skeleton import metainfo_path

SIDE = 40_000


def png_header(width, height, data=b''):
    """A PNG that claims a size; ``data`` is what it holds."""

    def chunk(kind, content):
        return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))

    start = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + start + chunk(b'IDAT', zlib.compress(data)) + chunk(b'IEND', b'')


def claimed(suffix):
    """A small picture whose header is changed to claim SIDE x SIDE pixels."""
    if suffix == '.png':
        return png_header(SIDE, SIDE)
    content = bytearray(cv2.imencode(suffix, np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    if suffix == '.jpg':
        place = content.index(b'\xff\xc0') + 5
        content[place : place + 4] = struct.pack('>HH', SIDE, SIDE)
    elif suffix == '.bmp':
        content[18:26] = struct.pack('<ii', SIDE, SIDE)
    return bytes(content)


@pytest.fixture
def never_decoded(monkeypatch):
    def decode(*args, **kwargs):
        raise AssertionError('it was decoded')

    monkeypatch.setattr(mmcv, 'imfrombytes', decode)
    monkeypatch.setattr(cv2, 'imread', decode)
    monkeypatch.setattr(cv2, 'imdecode', decode)


def picture(suffix='.jpg', size=(30, 20)):
    rng = np.random.default_rng(0)
    return cv2.imencode(suffix, rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))[1].tobytes()


def write(path, content):
    path.write_bytes(content)
    return str(path)


class TestLoadImage:
    def test_it_is_the_one_that_pipelines_get(self):
        assert type(TRANSFORMS.build(dict(type='LoadImage'))) is LoadImage

    @pytest.mark.parametrize('kwargs', [{}, dict(to_float32=True), dict(color_type='grayscale')])
    def test_good_pictures_are_mmposes(self, tmp_path, kwargs):
        path = write(tmp_path / 'a.png', picture('.png'))
        theirs = TRANSFORMS.get('mmpose.LoadImage')(**kwargs)(dict(img_path=path))
        ours = LoadImage(**kwargs)(dict(img_path=path))
        assert ours.keys() == theirs.keys()
        np.testing.assert_array_equal(ours.pop('img'), theirs.pop('img'))
        assert ours == theirs
        given = dict(img=np.zeros((4, 5, 3), np.uint8))
        assert LoadImage()(dict(given))['img_shape'] == (4, 5)

    @pytest.mark.usefixtures('never_decoded')
    @pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp'])
    def test_bombs_are_refused_before_they_are_decoded(self, tmp_path, suffix):
        content = claimed(suffix)
        assert len(content) < 2000
        path = write(tmp_path / f'bomb{suffix}', content)
        with pytest.raises(SampleError, match=rf'bomb\{suffix} has {SIDE} x {SIDE} pixels .*not decoded.*max_pixels'):
            LoadImage()(dict(img_path=path))
        assert image_size(path) == (SIDE, SIDE), 'a size can be asked for without decoding'

    def test_the_limit_can_be_set(self, tmp_path):
        path = write(tmp_path / 'a.jpg', picture(size=(30, 20)))
        assert LoadImage(max_pixels=600)(dict(img_path=path))['img_shape'] == (20, 30)
        with pytest.raises(SampleError, match='30 x 20 .* more than the 599 allowed'):
            LoadImage(max_pixels=599)(dict(img_path=path))

    def test_limits_above_pillows_hold_without_touching_pillows(self, tmp_path):
        """Pillow itself refuses from twice 8.9e7 pixels on, which would come before a larger limit of ours."""
        before = Image.MAX_IMAGE_PIXELS
        path = write(tmp_path / 'a.png', png_header(SIDE, SIDE))
        with pytest.raises(SampleError, match='cannot be decoded'):
            LoadImage(max_pixels=SIDE**2)(dict(img_path=path))
        assert before is Image.MAX_IMAGE_PIXELS
        assert before < MAX_PIXELS

    @pytest.mark.parametrize('suffix', ['.jpg', '.png', '.bmp', '.webp'])
    @pytest.mark.parametrize('share', [0, 0.02, 0.5, 0.95])
    def test_what_is_cut_short_is_named(self, tmp_path, suffix, share):
        content = picture(suffix, (60, 50))
        path = write(tmp_path / f'cut{suffix}', content[: int(len(content) * share)])
        with pytest.raises(SampleError, match=rf'picture .*cut\{suffix} cannot be (read|decoded)'):
            LoadImage()(dict(img_path=path))
        assert LoadImage(ignore_empty=True)(dict(img_path=path)) is None

    @pytest.mark.parametrize(
        'content', [b'no picture', b'<svg></svg>', b'%!PS-Adobe-3.0 EPSF-3.0\n', bytes(1000), b'\xff\xd8']
    )
    def test_what_is_no_picture_is_named(self, tmp_path, content):
        with pytest.raises(SampleError, match=r'picture .*a\.jpg cannot be read'):
            LoadImage()(dict(img_path=write(tmp_path / 'a.jpg', content)))

    def test_missing_file_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'picture .*gone\.jpg does not exist'):
            LoadImage()(dict(img_path=str(tmp_path / 'gone.jpg')))


@pytest.mark.parametrize('format', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
@pytest.mark.parametrize('turn', [1, 3, 6, 8])
def test_sizes_follow_the_turns_that_opencv_makes(format, turn):
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = turn
    Image.new('RGB', (40, 20)).save(file, format, exif=exif)
    height, width = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR).shape[:2]
    assert read_size(io.BytesIO(file.getvalue()), 'a') == (width, height)


class TestInDataSets:
    @pytest.fixture
    def broken(self, domain_pair, request):
        """Return a function that breaks the source's third picture and builds the joined data set."""

        def build(content, type_='CocoDataset'):
            path = domain_pair['root'] / 'source' / 'images' / 'im00003.jpg'
            path.write_bytes(content) if content is not None else path.unlink()
            domain_pair['source'].update(type=type_, metainfo=dict(from_file=metainfo_path('lsp')))
            return DATASETS.build(domain_pair['joined'])

        return build

    @pytest.mark.parametrize('type_', ['CocoDataset', 'LSPDataset'])
    @pytest.mark.parametrize('content', [None, b'', b'junk', picture()[:300], png_header(SIDE, SIDE)])
    def test_labelled_samples_are_named_with_their_file(self, broken, type_, content):
        dataset = broken(content, type_)
        with pytest.raises(SampleError, match=rf'{type_} sample 2 .*im00003\.jpg') as caught:
            dataset[2]
        assert len(str(caught.value).splitlines()) == 1
        assert dataset[1] is not None

    def test_any_failing_transform_names_the_sample(self, broken, domain_pair):
        pipeline = domain_pair['source']['pipeline']
        domain_pair['source']['pipeline'] = [
            *pipeline[:-1],
            dict(type='KeypointConverter', num_keypoints=2, mapping=[(30, 0)]),
        ]
        with pytest.raises(SampleError, match=r'CocoDataset sample 2 \(.*im00003\.jpg\) failed: IndexError'):
            broken(picture())[2]

    def test_target_pictures_too(self, domain_pair):
        (domain_pair['root'] / 'target' / 'images' / 'im00002.jpg').write_bytes(png_header(SIDE, SIDE))
        dataset = DATASETS.build(domain_pair['joined'])
        with pytest.raises(SampleError, match=r'UnlabeledDataset sample 1 failed: picture .*im00002\.jpg has 40000 x'):
            dataset[7]

    def test_sizes_in_the_annotations_are_not_the_pictures(self, domain_pair):
        """The picture itself is looked at, whatever the annotation file says of it."""
        folder = domain_pair['root'] / 'source'
        raw = json.loads((folder / 'ann.json').read_text())
        (folder / 'images' / raw['images'][0]['file_name']).write_bytes(png_header(SIDE, SIDE))
        with pytest.raises(SampleError, match='not decoded'):
            DATASETS.build(domain_pair['source'])[0]


@pytest.mark.usefixtures('never_decoded')
def test_background_pictures_have_the_same_limit(tmp_path):
    write(tmp_path / 'a.png', png_header(SIDE, SIDE))
    with pytest.raises(SampleError, match='not decoded. Scale it down$'):
        backgrounds.from_folder(np.random.default_rng(0), str(tmp_path), 32)
