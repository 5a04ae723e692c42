"""Annotation files that are wrong, absurd or hostile are refused at build time, before a picture is read."""

import builtins
import json
import os
import pickle
import time

import numpy as np
import pytest
from scipy.io import savemat

from mmposeda.datasets.annotations import AnnotationError, check_numbers, check_paths
from mmposeda.registry import DATASETS
from mmposeda.structures.skeleton import metainfo_path

LSP = dict(from_file=metainfo_path('lsp'))


def lsp_style(root, **kwargs):
    return dict(type='LSPDataset', data_root=str(root), ann_file='ann.json', data_prefix=dict(img='images/'), **kwargs)


def coco_style(root, **kwargs):
    return dict(lsp_style(root, metainfo=LSP, **kwargs), type='CocoDataset')


def pictures_only(root, **kwargs):
    return dict(lsp_style(root, metainfo=LSP, **kwargs), type='UnlabeledImageDataset')


def combined(root, **kwargs):
    return dict(type='CombinedDataset', metainfo=LSP, datasets=[coco_style(root, **kwargs)])


def unlabeled(root, **kwargs):
    return dict(type='UnlabeledDataset', dataset=coco_style(root, pipeline=[dict(type='LoadImage')], **kwargs))


KINDS = dict(lsp=lsp_style, coco=coco_style, combined=combined, unlabeled=unlabeled, pictures=pictures_only)


@pytest.fixture
def people(tmp_path, write_people):
    """Return a function that rewrites the annotation file of a tiny data set and returns its folder."""
    root = write_people(tmp_path / 'people')

    def rewrite(change=None):
        content = json.loads((root / 'ann.json').read_text())
        replaced = change(content) if change else None
        (root / 'ann.json').write_text(json.dumps(content if replaced is None else replaced))
        return root

    return rewrite


@pytest.fixture
def no_picture_is_opened(monkeypatch):
    real = builtins.open

    def watched(path, *args, **kwargs):
        assert not str(path).endswith(('.jpg', '.png')), f'{path} was opened'
        return real(path, *args, **kwargs)

    monkeypatch.setattr(builtins, 'open', watched)


@pytest.mark.usefixtures('no_picture_is_opened')
class TestPaths:
    @pytest.mark.parametrize('kind', KINDS)
    @pytest.mark.parametrize('name', ['../../secret.jpg', '/etc/secret.jpg', 'a/../../../people2/x.jpg'])
    def test_pictures_outside_the_data_root_are_refused(self, people, tmp_path, kind, name):
        for place in ('secret.jpg', 'people2/x.jpg'):  # there to be had
            (tmp_path / place).parent.mkdir(exist_ok=True)
            (tmp_path / place).write_bytes(b'x')
        root = people(lambda c: c['images'][3].update(file_name=name))
        with pytest.raises(
            AnnotationError, match=r'ann\.json names a picture outside the data folder: entry \d'
        ) as caught:
            DATASETS.build(KINDS[kind](root))
        assert name in str(caught.value)
        assert 'set a data_root that holds all pictures' in str(caught.value)

    @pytest.mark.parametrize('kind', ['lsp', 'coco', 'combined', 'unlabeled'])
    def test_a_data_root_that_holds_all_is_the_way_out(self, people, tmp_path, kind):
        root = people(lambda c: c['images'][3].update(file_name='../../elsewhere/x.jpg'))
        wider = dict(data_root=str(tmp_path), ann_file='people/ann.json', data_prefix=dict(img='people/images/'))
        cfg = KINDS[kind](root)
        inner = cfg['datasets'][0] if kind == 'combined' else cfg.get('dataset', cfg)
        inner.update(wider)
        assert len(DATASETS.build(cfg)) == 6

    def test_linked_folders_and_folders_beside_the_prefix_are_inside(self, people, tmp_path):
        root = people(lambda c: c['images'][0].update(file_name='../more/x.jpg'))
        (tmp_path / 'link').symlink_to(root)
        assert len(DATASETS.build(coco_style(tmp_path / 'link'))) == 6

    def test_without_a_declared_folder_nothing_is_checked(self):
        check_paths(['/etc/x', '../y'], [None, ''], 'a.json')

    @pytest.mark.parametrize(
        'root', ['data', './data', '../data', 'data/', 'data/deep/..', '/data', 's3://bucket/data']
    )
    def test_roots_of_any_spelling(self, root):
        join = os.path.join
        inside = [join(root, name) for name in ('a.jpg', 'b/../c..jpg', './d.jpg', '..e/f.jpg')]
        check_paths(inside, [root], 'a.json')
        for name in ('../x.jpg', '../data2/x.jpg', '/else/x.jpg', 'a/../../x.jpg'):
            with pytest.raises(AnnotationError, match='entry 4, '):
                check_paths([*inside, join(root, name)], [root], 'a.json')

    def test_surreal_too(self, tmp_path):
        entry = dict(name='../../../x.jpg', keypoint2d=[[1, 1]] * 24, keypoint3d=[[1, 1, 1]] * 24)
        entry['intrinsic_matrix'] = np.eye(3).tolist()
        (tmp_path / 'val').mkdir()
        for run in range(3):
            (tmp_path / 'val' / f'run{run}.json').write_text(json.dumps([entry]))
        with pytest.raises(AnnotationError, match='outside the data folder'):
            DATASETS.build(dict(type='SURREALDataset', data_root=str(tmp_path), split='val'))

    def test_a_hundred_thousand_people_are_checked_in_less_than_a_second(self):
        box, joints, seen = np.ones((1, 4), np.float32), np.ones((1, 17, 2), np.float32), np.ones((1, 17), np.float32)
        path = 'data/coco/train2017/{:012d}.jpg'.format
        infos = [
            dict(id=i, img_path=path(i), bbox=box.copy(), keypoints=joints.copy(), keypoints_visible=seen)
            for i in range(100_000)
        ]
        start = time.perf_counter()
        check_paths((i['img_path'] for i in infos), ['data/coco/', 'data/coco/train2017/'], 'a.json')
        check_numbers(infos, 'a.json')
        assert time.perf_counter() - start < 1
        infos[70_000]['keypoints'][0, 3, 1] = np.nan
        with pytest.raises(AnnotationError, match='annotation 70000 of a.json has keypoints'):
            check_numbers(infos, 'a.json')


BAD = {
    'joint is not a number': lambda a: a['keypoints'].__setitem__(4, float('nan')),
    'joint is infinite': lambda a: a['keypoints'].__setitem__(3, float('inf')),
    'joint is absurd': lambda a: a['keypoints'].__setitem__(3, -1e12),
    'joint overflows': lambda a: a['keypoints'].__setitem__(3, 1e300),
    'joint is null': lambda a: a['keypoints'].__setitem__(3, None),
    'visibility is not a number': lambda a: a['keypoints'].__setitem__(5, float('nan')),
    'joint is a word': lambda a: a['keypoints'].__setitem__(3, 'x'),
    'box is not a number': lambda a: a['bbox'].__setitem__(0, float('nan')),
    'box is infinite': lambda a: a['bbox'].__setitem__(2, float('inf')),
}


@pytest.mark.filterwarnings('ignore:overflow')
class TestNumbers:
    @pytest.mark.parametrize('kind', ['lsp', 'coco', 'combined'])
    @pytest.mark.parametrize('bad', BAD)
    def test_annotations_that_are_no_pixels_are_refused(self, people, kind, bad):
        cfg = KINDS[kind](
            people(lambda c: BAD[bad](c['annotations'][2])), **(dict(bbox='ann') if kind == 'lsp' else {})
        )
        if kind != 'lsp' and bad == 'box is infinite':
            assert DATASETS.build(cfg), 'MMPose cuts boxes to the picture'
            return
        named = r'ann\.json' if bad == 'joint is a word' and kind != 'lsp' else r'annotation 3 of .*ann\.json'
        with pytest.raises(AnnotationError, match=named) as caught:
            DATASETS.build(cfg)
        assert '\n' not in str(caught.value)

    @pytest.mark.parametrize('size', [0, -5, float('nan'), 1e12, None, 'wide'])
    def test_pictures_of_absurd_size(self, people, size):
        root = people(lambda c: c['images'][2].update(width=size))
        with pytest.raises(AnnotationError, match=r'(picture|annotation) 3 of .*ann\.json'):
            DATASETS.build(lsp_style(root))

    def test_negative_box(self, people):
        root = people(lambda c: c['annotations'][2].update(bbox=[1, 1, -4, 4]))
        with pytest.raises(AnnotationError, match=r"annotation 3 of .*ann\.json has the box .*bbox='image'"):
            DATASETS.build(lsp_style(root, bbox='ann'))
        assert len(DATASETS.build(lsp_style(root))) == 6

    @pytest.mark.parametrize('kind', ['lsp', 'coco'])
    def test_unknown_joints_may_be_anywhere(self, people, kind):
        """NaN is a common way to write that a joint is missing; joints beyond the border may be negative."""

        def change(content):
            content['annotations'][0]['keypoints'][:6] = [float('nan'), float('nan'), 0, -20.0, -3.0, 2]

        dataset = DATASETS.build(KINDS[kind](people(change)))
        info = dataset.get_data_info(0)
        assert info['keypoints_visible'][0, :2].tolist() == [0, 1]
        assert info['keypoints'][0, 1].tolist() == [-20, -3]

    @pytest.mark.parametrize('inner', ['lsp', 'coco'])
    @pytest.mark.parametrize('bad', [name for name in BAD if not name.startswith('box')])
    def test_an_unlabelled_target_does_not_look_at_joints(self, people, inner, bad, top_down_pipeline):
        root = people(lambda c: BAD[bad](c['annotations'][2]))
        cfg = dict(type='UnlabeledDataset', dataset=KINDS[inner](root, pipeline=top_down_pipeline()))
        assert len(DATASETS.build(cfg)) == 6

    def test_joints_do_not_choose_the_people_of_an_unlabelled_target(self, people):
        def hide(content):
            content['annotations'][0].update(keypoints=[0] * 42, num_keypoints=0)
            del content['annotations'][1]['keypoints'], content['annotations'][1]['num_keypoints']
            content['annotations'][2].update(iscrowd=1)
            content['annotations'][3].update(bbox=[1, 1, 0, 0])

        root = people(hide)
        assert [i['img_id'] for i in map(DATASETS.build(coco_style(root)).get_data_info, range(2))] == [5, 6]
        target = DATASETS.build(unlabeled(root))
        assert [target.get_data_info(i)['img_id'] for i in range(len(target))] == [1, 2, 5, 6]

    def test_labels_of_the_file_are_not_even_in_memory(self, people):
        root = people(lambda c: [a['keypoints'].__setitem__(0, 12345.0) for a in c['annotations']] and None)
        assert b'12345' in pickle.dumps(
            DATASETS.build(coco_style(root)).get_data_info(0)['raw_ann_info']['keypoints'], 0
        )
        wrapped = DATASETS.build(unlabeled(root)).dataset
        assert wrapped.get_data_info(0)['keypoints'].max() == 1
        assert 12345.0 not in wrapped.get_data_info(0)['raw_ann_info']['keypoints']


LAYOUTS = {
    'a list': [1, 2],
    'a string': 'annotations',
    'a number': 3,
    'no annotations': dict(images=[]),
    'no images': dict(annotations=[dict(id=1, image_id=1)]),
    'entries are numbers': dict(images=[1], annotations=[2], categories=[]),
    'entries are empty': dict(images=[{}], annotations=[{}], categories=[]),
    'lists are dicts': dict(images={'a': 1}, annotations={'b': 2}, categories=[]),
}


class TestLayouts:
    @pytest.mark.parametrize('kind', ['lsp', 'coco', 'combined', 'unlabeled'])
    @pytest.mark.parametrize('layout', LAYOUTS)
    def test_json_of_another_layout(self, people, kind, layout):
        with pytest.raises(AnnotationError, match=r'ann\.json') as caught:
            DATASETS.build(KINDS[kind](people(lambda _: LAYOUTS[layout])))
        assert '\n' not in str(caught.value)

    @pytest.mark.parametrize(
        'layout', [[1, 2], 'x', 3, dict(images=[{}]), {'a.jpg': 3}, dict(images=[dict(id=1, file_name=2)])]
    )
    def test_lists_of_pictures_of_another_layout(self, people, layout):
        with pytest.raises(AnnotationError, match=r'ann\.json'):
            DATASETS.build(pictures_only(people(lambda _: layout)))

    @pytest.mark.parametrize('kind', ['lsp', 'coco', 'unlabeled', 'pictures'])
    @pytest.mark.parametrize(
        'content', [b'', b'{"images": [', b'\xff\xfe\x00', b'[' * 200_000, b'{"a":' * 200_000, pickle.dumps([1])]
    )
    def test_what_is_no_json(self, people, kind, content):
        root = people()
        (root / 'ann.json').write_bytes(content)
        with pytest.raises(AnnotationError, match=r'ann\.json (is|cannot)') as caught:
            DATASETS.build(KINDS[kind](root))
        assert len(str(caught.value)) < 400

    def test_text_lists_that_are_none(self, people):
        root = people()
        (root / 'list.txt').write_bytes(b'\xff\xfe\x00\x80')
        with pytest.raises(AnnotationError, match=r'list\.txt is no text file'):
            DATASETS.build({**pictures_only(root), 'ann_file': 'list.txt'})

    @pytest.mark.parametrize(
        'content',
        [
            dict(other=np.ones((3, 14, 4))),
            dict(joints=np.array([['a', 1]], object)),
            dict(joints='text'),
            dict(joints=dict(x=1)),
            b'MATLAB 7.3 MAT-file' + bytes(105) + b'\x00\x02IM' + b'\x89HDF\r\n\x1a\n' + bytes(64),
            b'junk',
            b'',
        ],
    )
    def test_mat_of_another_layout(self, tmp_path, content):
        if isinstance(content, bytes):
            (tmp_path / 'joints.mat').write_bytes(content)
        else:
            savemat(tmp_path / 'joints.mat', content)
        with pytest.raises(AnnotationError, match=r'joints\.mat (is no|holds no).*Get LSP'):
            DATASETS.build({**lsp_style(tmp_path), 'ann_file': 'joints.mat'})

    def test_no_pickle_is_taken_for_annotations(self, people):
        root = people()
        (root / 'ann.pkl').write_bytes(pickle.dumps(json.loads((root / 'ann.json').read_text())))
        with pytest.raises(AnnotationError, match=r'ann\.pkl is no JSON'):
            DATASETS.build({**lsp_style(root), 'ann_file': 'ann.pkl'})

    def test_detections_that_hold_code_are_refused(self, people, tmp_path):
        class Payload:
            def __reduce__(self):
                return open, (str(tmp_path / 'ran'), 'w')

        root = people()
        (root / 'boxes.pkl').write_bytes(pickle.dumps([Payload()]))
        with pytest.raises(AnnotationError, match=r'boxes\.pkl cannot be used .*UnsafeFileError'):
            DATASETS.build(coco_style(root, bbox_file=str(root / 'boxes.pkl'), test_mode=True))
        assert not (tmp_path / 'ran').exists()
