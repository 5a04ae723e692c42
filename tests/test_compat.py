import ast
import importlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import yapf.yapflib.yapf_api

import mmposeda  # noqa: F401
from mmposeda.compat import cocotools, config_format, imports, patches


def run_python(code, tmp_path=None):
    path = [str(tmp_path)] if tmp_path else []
    code = f'import sys\nsys.path[:0] = {path!r}\n{textwrap.dedent(code)}'
    result = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class TestStandIns:
    def test_importing_mmposeda_imports_neither_torch_nor_mmpose(self):
        run_python("import mmposeda; assert not {'torch', 'mmpose'} & set(sys.modules)")

    def test_missing_mmpose_comes_with_the_way_to_install_it(self, monkeypatch):
        monkeypatch.setattr(mmposeda.compat, 'find_spec', _hide('mmpose'))
        with pytest.raises(ImportError, match='needs mmpose.*pip install --no-deps'):
            mmposeda.compat.apply()

    def test_whole_of_mmpose_can_be_imported(self):
        for name in ('models', 'datasets', 'evaluation', 'visualization', 'apis', 'engine', 'codecs'):
            importlib.import_module(f'mmpose.{name}')

    def test_nothing_of_them_is_left_in_sys_modules(self):
        run_python("""
            import importlib.util
            import mmposeda
            import mmpose.models, mmpose.visualization
            for name in ('mmdet', 'torchvision'):
                if importlib.util.find_spec(name) is None:
                    assert not [key for key in sys.modules if key.split('.')[0] == name]
            ops = sys.modules.get('mmcv.ops')
            assert ops is None or ops.__file__
        """)

    def test_used_stand_in_names_the_package_to_install(self):
        with imports.stand_ins({'no_such_package.part': ('Thing',)}):
            from no_such_package.part import Thing
        with pytest.raises(ImportError, match=r'no_such_package\.part\.Thing.*Install no_such_package'):
            Thing(3)
        with pytest.raises(ImportError, match='Install no_such_package'):
            Thing.build()
        assert not isinstance(3, Thing)
        assert 'no_such_package' not in sys.modules

    def test_names_that_were_not_asked_for_are_not_there(self):
        with imports.stand_ins({'no_such_package.part': ('Thing',)}), pytest.raises(ImportError):
            from no_such_package.part import Other  # noqa: F401

    def test_real_package_is_used_where_present(self, tmp_path):
        package = tmp_path / 'mmdet'
        package.mkdir()
        (package / '__init__.py').touch()
        (package / 'utils.py').write_text('ConfigType = dict\ndef reduce_mean(x): return x\n')
        run_python(
            """
            import mmposeda
            from mmpose.models.heads.hybrid_heads import rtmo_head
            assert rtmo_head.ConfigType is dict
            assert rtmo_head.reduce_mean.__module__ == 'mmdet.utils'
            """,
            tmp_path,
        )

    def test_broken_real_package_gives_way_to_a_stand_in_with_its_error(self, tmp_path):
        package = tmp_path / 'torchvision'
        package.mkdir()
        (package / '__init__.py').write_text("raise RuntimeError('operator torchvision::nms does not exist')")
        run_python(
            """
            import mmposeda
            from mmpose.visualization import simcc_vis
            try:
                simcc_vis.ToPILImage()
            except ImportError as error:
                assert 'operator torchvision::nms does not exist' in str(error)
                assert 'matches your torch' in str(error)
            else:
                raise SystemExit('no error')
            from mmengine.runner import runner
            assert 'not importable' in runner.collect_env()['TorchVision']
            assert 'torchvision' not in sys.modules
            """,
            tmp_path,
        )

    def test_real_xtcocotools_is_used_where_present(self, tmp_path):
        package = tmp_path / 'xtcocotools'
        package.mkdir()
        (package / '__init__.py').touch()
        (package / 'coco.py').write_text("COCO = 'the real one'")
        run_python("import mmposeda\nfrom xtcocotools.coco import COCO\nassert COCO == 'the real one'", tmp_path)

    def test_install_is_idempotent(self):
        before = list(sys.meta_path)
        mmposeda.compat.apply()
        assert sys.meta_path == before


def make_coco(sigma_distance=0.0, count=3, first_id=1, **fields):
    """One image with one person of ``count`` keypoints; the result is shifted by ``sigma_distance`` pixels."""
    xs = np.arange(count) * 10.0
    truth = np.stack([xs, xs, np.full(count, 2.0)], axis=1)
    ann = dict(id=first_id, image_id=7, category_id=1, bbox=[0, 0, 60, 40], keypoints=truth.reshape(-1).tolist())
    ann.update(dict(num_keypoints=count, area=1000.0, iscrowd=0), **fields)
    dataset = dict(
        images=[dict(id=7, width=64, height=64, crowdIndex=0.5)],
        categories=[dict(id=1, name='person')],
        annotations=[ann],
    )
    coco = cocotools.COCO(ann_data=dataset)
    moved = truth + [sigma_distance, 0, 0]
    result = dict(image_id=7, category_id=1, keypoints=moved.reshape(-1).tolist(), score=0.9)
    return coco, result


def oks(coco, result, sigmas, **kwargs):
    evaluation = cocotools.COCOeval(coco, coco.loadRes([result]), kwargs.pop('iouType', 'keypoints'), sigmas, **kwargs)
    evaluation.params.useSegm = None
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation, float(np.asarray(evaluation.ious[7, 1]).squeeze())


class TestCocotools:
    SIGMAS = np.array([0.05, 0.1, 0.2])

    @pytest.mark.parametrize('use_area, area', [(True, 1000.0), (False, 0.53 * 60 * 40)])
    def test_oks_follows_its_formula_for_any_number_of_keypoints(self, use_area, area):
        coco, result = make_coco(4.0)
        expected = np.mean(np.exp(-(4.0**2) / (2 * self.SIGMAS) ** 2 / area / 2))
        assert oks(coco, result, self.SIGMAS, use_area=use_area)[1] == pytest.approx(expected, rel=1e-6)

    def test_area_is_not_needed_without_use_area(self):
        coco, result = make_coco(4.0)
        del coco.dataset['annotations'][0]['area']
        oks(coco, result, self.SIGMAS, use_area=False)

    def test_annotations_are_left_as_they_were(self):
        coco, result = make_coco(4.0)
        before = dict(coco.dataset['annotations'][0])
        oks(coco, result, self.SIGMAS, use_area=False)
        assert coco.dataset['annotations'][0] == before

    def test_match_with_annotation_id_zero_counts(self):
        coco, result = make_coco(0.0, first_id=0)
        evaluation, _ = oks(coco, result, self.SIGMAS)
        evaluation.summarize()
        assert evaluation.stats[0] == pytest.approx(1.0)

    def test_part_uses_its_own_keypoints_and_score(self):
        coco, result = make_coco(50.0, foot_kpts=[1, 1, 2, 5, 5, 2])
        result.update(foot_kpts=[1, 1, 0.9, 5, 5, 0.9], foot_score=0.25)
        evaluation, value = oks(coco, result, self.SIGMAS[:2], iouType='keypoints_foot')
        assert value == pytest.approx(1.0)
        assert evaluation.evalImgs[0]['dtScores'] == [0.25]

    def test_crowd_statistics(self):
        coco, result = make_coco(0.0)
        evaluation, _ = oks(coco, result, self.SIGMAS, iouType='keypoints_crowd')
        evaluation.summarize()
        np.testing.assert_allclose(evaluation.stats, [1, 1, 1, 1, 1, 1, -1, 1, -1])

    def test_no_result_at_all_scores_zero(self):
        coco, _ = make_coco()
        evaluation = cocotools.COCOeval(coco, coco.loadRes([]), 'keypoints', self.SIGMAS)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] == 0

    def test_test_index_keeps_the_named_keypoints(self):
        data = make_coco()[0].dataset
        coco = cocotools.COCO(ann_data=data, test_index=[2, 0])
        assert coco.dataset['annotations'][0]['keypoints'] == [20, 20, 2, 0, 0, 2]

    def test_unknown_type_names_the_choices(self):
        with pytest.raises(ValueError, match="'keypoint'.*keypoints_crowd"):
            cocotools.COCOeval(iouType='keypoint')


class TestPatches:
    def test_one_element_radius_is_drawn(self):
        from mmpose.visualization import PoseLocalVisualizer

        visualizer = PoseLocalVisualizer(backend='opencv')
        visualizer.set_image(np.zeros((20, 20, 3), np.uint8))
        visualizer.draw_circles(np.array([10, 10]), radius=np.array([3]), face_colors=(255, 255, 255), alpha=1.0)
        assert visualizer.get_image()[10, 10].tolist() == [255, 255, 255]

    def test_packages_are_found_without_pkg_resources(self, monkeypatch):
        from types import SimpleNamespace

        monkeypatch.setattr('importlib.util.find_spec', _hide('pkg_resources'))
        module = SimpleNamespace()
        patches._do_without_pkg_resources(module)
        assert module.is_installed('mmpose')
        assert not module.is_installed('no_such_package')
        assert module.get_installed_path('mmpose').endswith('mmpose')
        assert module.get_installed_path('pyyaml').endswith('yaml')


def _hide(name):
    real = importlib.util.find_spec
    return lambda wanted, *args: None if wanted == name else real(wanted, *args)


ROWS = [
    "a = 1\nb=dict(\n    c='x', d=[dict(e=(1,)), -1.5e-05], f={'g h': None, 2: {}})",
    'long = [' + ', '.join(f"dict(type='Step{i}', options=dict(a={i}, text='#{i}'))" for i in range(9)) + ']',
    "from os import path\nx = path.join('a', *['b'], **{})\nempty = dict()\none, two = (), []",
]


@pytest.mark.parametrize('text', ROWS)
def test_a_laid_out_config_says_the_same(text):
    laid_out = config_format.format_config(text)
    assert ast.dump(ast.parse(laid_out)) == ast.dump(ast.parse(text))
    assert config_format.format_config(laid_out) == laid_out
    assert max(map(len, laid_out.splitlines())) <= config_format.WIDTH


def test_configs_are_laid_out_without_yapf_and_read_back(monkeypatch, tmp_path):
    from mmengine.config import Config
    from mmengine.config import config as module

    assert module.FormatCode.__wrapped__ is yapf.yapflib.yapf_api.FormatCode
    monkeypatch.setattr(yapf.yapflib.yapf_api, 'FormatTree', None)
    values = dict(a=1, b=dict(c='only here', d=[dict(e=(1, 2)), ('f',)]), g={'not a name': [1.5, None]})
    config = Config(values)
    config.dump(tmp_path / 'config.py')
    assert Config.fromfile(tmp_path / 'config.py')._cfg_dict.to_dict() == values
    before = config.pretty_text
    config.b.c = 'changed'
    assert 'only here' in before and 'changed' in config.pretty_text


def test_bases_of_mmpose_are_found_without_its_lists_of_models(monkeypatch):
    from mmengine.config import Config
    from mmengine.config import utils as module

    base = "_base_ = ['mmpose::_base_/datasets/mpii.py']"
    monkeypatch.setattr(module, '_get_cfg_metainfo', None)
    assert Config.fromstring(base, '.py').dataset_info.dataset_name == 'mpii'
    monkeypatch.undo()
    model = "_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py']"
    assert Config.fromstring(model, '.py').model.backbone.depth == 50
    with pytest.raises(FileNotFoundError, match='no_such'):
        Config.fromstring("_base_ = ['mmpose::_base_/datasets/no_such.py']", '.py')


def test_comments_are_kept_by_yapf():
    from mmengine.config import config as module

    assert '# why' in module.FormatCode('a = 1  # why\n')[0]
    assert '#fff' in module.FormatCode("a = '#fff'\n")[0]


def test_synchronised_batch_normalisation_is_refused_without_gpus(monkeypatch):
    from mmengine.config import Config

    from mmposeda.compat.distributed import prepare_cpu_launch

    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match="sync_bn='torch' needs GPUs.*SyncBuffersHook"):
        prepare_cpu_launch(Config(dict(launcher='pytorch', sync_bn='torch')))
