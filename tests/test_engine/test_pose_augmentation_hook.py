"""The hook in a run of MMEngine's with a small model that augments."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch.utils.data import Dataset

from mmposeda.registry import HOOKS
from mmposeda.structures.skeleton import metainfo_path


class Poses(Dataset):
    """Noise with the meta info of 16 joints."""

    @property
    def metainfo(self):
        from mmpose.datasets.datasets.utils import parse_pose_metainfo

        return parse_pose_metainfo(dict(from_file=metainfo_path('body16_3d')))

    def __len__(self):
        return 40

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return dict(inputs=torch.randn(16, 3, generator=generator) * 0.4 + torch.tensor([0.0, 0.0, 4.0]))


class Augmenting(BaseModel):
    """Keeps what it did to the last batch."""

    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.zeros(3))
        self.shown, self.asked, self.noise = None, [], []

    def forward(self, inputs, mode='tensor'):
        self.noise.append(torch.rand(1).item())
        moved = inputs + self.shift
        if self.training:
            self.shown = inputs, moved.detach()
        return dict(loss=(moved - 1).square().mean())

    def augmented_examples(self, num):
        self.asked.append(num)
        if self.shown is None or len(self.asked) == 1:
            return None
        source, moved = (pose[:num] for pose in self.shown)
        return dict(
            source=source,
            ba=moved,
            bl=moved,
            rt=moved,
            projected=moved[..., :2] / moved[..., 2:],
            aspect=torch.ones(len(source)),
        )


def run(tmp_path, name, hook, model=None):
    torch.manual_seed(0)
    model = model or Augmenting()
    runner = Runner(
        model=model,
        work_dir=str(tmp_path / name),
        train_dataloader=dict(
            dataset=Poses(),
            batch_size=5,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=7),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[] if hook is None else [hook],
        visualizer=dict(type='Visualizer', name=f'{tmp_path.name}{name}', vis_backends=[dict(type='LocalVisBackend')]),
        experiment_name=f'{tmp_path.name}{name}',
        default_scope='mmposeda',
        randomness=dict(seed=0),
        log_level='ERROR',
    )
    runner.train()
    return runner, model


def hook(**kwargs):
    return dict(type='PoseAugmentationVisualizationHook', **kwargs)


def test_sheets_come_every_few_iterations_in_files_and_in_the_visualiser(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Visualizer, 'add_image', lambda self, *args, **kwargs: seen.append((args, kwargs)))
    runner, model = run(tmp_path, 'a', hook(interval=3, samples=2))
    assert model.asked == [2, 2, 2]  # iterations 1, 4 and 7; the model had nothing to show at the first
    files = sorted((tmp_path / 'a').glob('*/vis_data/augmentation_*.png'))
    assert [file.name for file in files] == ['augmentation_000004.png', 'augmentation_000007.png']
    assert [(args[0], kwargs['step']) for args, kwargs in seen] == [('augmentation', 4), ('augmentation', 7)]
    for file, (args, _) in zip(files, seen):
        written, shown = cv2.imread(str(file))[..., ::-1], args[1]
        assert shown.dtype == np.uint8 and shown.shape == written.shape and (shown == written).all()
        assert written.shape[1] == 1000 and 400 < written.shape[0] < 550  # five columns, two rows and heads
        assert len(np.unique(written.reshape(-1, 3), axis=0)) > 50


def test_the_run_is_not_disturbed(tmp_path):
    (_, with_hook), (_, without) = run(tmp_path, 'a', hook(interval=2)), run(tmp_path, 'b', None)
    assert with_hook.noise == without.noise and torch.equal(with_hook.shift, without.shift)
    assert with_hook.training == without.training


def test_only_the_first_process_draws(tmp_path, monkeypatch):
    monkeypatch.setattr('mmengine.dist.utils.is_main_process', lambda *args: False)
    built = HOOKS.build(hook(interval=1))
    built.after_train_iter(None, 0)  # would need a runner


def test_models_that_show_nothing_are_refused(tmp_path):
    class Plain(Augmenting):
        augmented_examples = property()

    with pytest.raises(TypeError, match='needs a model with `augmented_examples`, such as PoseAug, got Plain'):
        run(tmp_path, 'a', hook(), Plain())


@pytest.mark.parametrize('wrong', [dict(interval=0), dict(samples=0)])
def test_counts_below_one_are_refused(wrong):
    with pytest.raises(ValueError, match='must be at least 1, got'):
        HOOKS.build(hook(**wrong))
