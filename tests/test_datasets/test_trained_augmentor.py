from copy import deepcopy
from pathlib import Path

import pytest
import torch
from pose_augment_samples import LEARNED, build, run, sample

from mmposeda.compat.safe_loading import UnsafeFileError
from mmposeda.registry import MODELS


class TestCheckpoint:
    def test_that_of_an_adapter(self, tmp_path):
        estimator = dict(
            type='PoseLifter',
            backbone=dict(type='MLPLifter', channels=8, num_blocks=1),
            head=dict(type='LiftingHead', decoder=dict(type='ScreenPoseLifting')),
        )
        adapter = MODELS.build(dict(type='PoseAug', estimator=estimator, augmentor=LEARNED, pool_size=8))
        path = str(tmp_path / 'iter_1.pth')
        torch.save(dict(state_dict=adapter.state_dict()), path)
        transform = build(LEARNED, checkpoint=path, joints='body16_3d')
        for key, value in adapter.augmentor.state_dict().items():
            assert torch.equal(transform.augmentor.state_dict()[key], value)

    def test_missing(self):
        with pytest.raises(FileNotFoundError, match='checkpoint nowhere.pth does not exist'):
            build(LEARNED, checkpoint='nowhere.pth')

    def test_without_an_augmentor(self, tmp_path):
        path = str(tmp_path / 'a.pth')
        torch.save(dict(state_dict={'student.a': torch.zeros(1), 'disc3d.b': torch.zeros(1)}), path)
        with pytest.raises(ValueError, match=r'no weights augmentor\.\*, but of disc3d, student'):
            build(LEARNED, checkpoint=path)

    def test_for_an_augmentor_without_weights(self, trained):
        with pytest.raises(ValueError, match='RandomPoseAugmentor has no weights'):
            build(checkpoint=trained()[0])

    @pytest.mark.parametrize('names', [True, False])
    def test_other_joints(self, trained, names):
        path = trained('body16_3d', names)[0]
        message = r"'body16_3d' \(16 joints\), not of 'h36m'" if names else 'of other joints or layers .* instead of'
        with pytest.raises(ValueError, match=message):
            build(LEARNED, checkpoint=path)

    def test_other_layers(self, trained):
        path = trained(num_hidden=3)[0]
        with pytest.raises(
            ValueError, match=r'other joints or layers .*first layers.3.weight missing instead of \(4, 32'
        ):
            build(LEARNED, checkpoint=path)
        with pytest.raises(ValueError, match='layers.2.weight too many'):
            build(dict(LEARNED, num_hidden=2), checkpoint=path)

    def test_truncated_and_of_another_kind(self, trained, tmp_path):
        path = trained()[0]
        content = Path(path).read_bytes()
        for part in (content[: len(content) // 2], b'no checkpoint', b''):
            broken = tmp_path / 'broken.pth'
            broken.write_bytes(part)
            with pytest.raises(ValueError, match='broken.pth cannot be read as a checkpoint'):
                build(LEARNED, checkpoint=str(broken))
        torch.save([1, 2], broken)
        with pytest.raises(ValueError, match='broken.pth cannot be read as a checkpoint'):
            build(LEARNED, checkpoint=str(broken))

    def test_hostile(self, tmp_path):
        class Hostile:
            def __reduce__(self):
                return (open, (str(tmp_path / 'run'), 'w'))

        path = str(tmp_path / 'hostile.pth')
        torch.save(dict(state_dict={'augmentor.a': Hostile()}), path)
        with pytest.raises(UnsafeFileError):
            build(LEARNED, checkpoint=path)
        assert not (tmp_path / 'run').exists()

    def test_it_does_not_train(self, trained):
        transform = build(LEARNED, checkpoint=trained()[0])
        before = deepcopy(transform.augmentor.state_dict())
        run(transform, sample())
        assert not transform.augmentor.training
        assert not any(p.requires_grad for p in transform.augmentor.parameters())
        for key, value in transform.augmentor.state_dict().items():
            assert torch.equal(value, before[key])
