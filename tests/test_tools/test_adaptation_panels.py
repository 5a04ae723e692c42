import cv2
from test_resume import last, same_run
from toy_adaptation import UDAPE


def test_panels_are_drawn_and_the_run_is_bitwise_the_same(toy_adaptation, tool, tmp_path):
    config, drawn = toy_adaptation(UDAPE), tmp_path / 'drawn.py'
    hook = "dict(type='AdaptationVisualizationHook', interval=2, samples=2)"
    drawn.write_text(f"_base_ = ['{config}']\ncustom_hooks = [*_base_.custom_hooks, {hook}]\n")
    for path, name in ((drawn, 'with'), (config, 'without')):
        tool('train').main([str(path), '--work-dir', str(tmp_path / name), '--no-validate'])
    same_run(last(tmp_path / 'with'), last(tmp_path / 'without'))
    panels = sorted((tmp_path / 'with').glob('*/vis_data/adaptation_*.png'))
    assert [path.name for path in panels] == ['adaptation_000001.png', 'adaptation_000003.png']
    assert cv2.imread(str(panels[0])).shape == (18 + 2 * 32, 6 * 32, 3)
