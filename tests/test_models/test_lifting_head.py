"""Lifters train and predict in MMPose's ``PoseLifter`` on MMPose's own samples of Human3.6M, and beside its TCN."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope

from mmposeda.models.lifting_head import LiftingHead, check_lifter, lift
from mmposeda.registry import DATASETS, METRICS, MODELS
from mmposeda.structures.skeleton import metainfo_path

SMALL = dict(
    VideoPoseLifter=dict(channels=32),
    MLPLifter=dict(channels=32),
    SemGCNLifter=dict(channels=16),
    STGCNLifter=dict(channels=(8, 8, 12), part_channels=16),
)
KINDS = [*SMALL, 'TCN']


def codec(**kwargs):
    return dict(type='ScreenPoseLifting', **{'skeleton': 'h36m', **kwargs})


def lifter(kind, head=None, joints='h36m', **kwargs):
    backbone = dict(type=kind, skeleton=joints, **{**SMALL[kind], **kwargs})
    return dict(type='PoseLifter', backbone=backbone, head=head or dict(type='LiftingHead', decoder=codec()))


def temporal(kernels=(1, 1, 1), num_joints=17, width=32, remove_root=True, **kwargs):
    """MMPose's network; its head leaves the root out."""
    channels = dict(in_channels=2 * num_joints, stem_channels=width)
    decoder = {**codec(remove_root=remove_root), **kwargs}
    head = dict(type='TemporalRegressionHead', in_channels=width, num_joints=num_joints - remove_root, decoder=decoder)
    backbone = dict(type='TCN', num_blocks=len(kernels) - 1, kernel_sizes=kernels, **channels)
    return dict(type='PoseLifter', backbone=backbone, head=head)


def build(kind, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(temporal(**kwargs) if kind == 'TCN' else lifter(kind, **kwargs))


def batch(people, keys=('target_img_path',), **kwargs):
    steps = [dict(type='GenerateTarget', encoder=codec(**kwargs)), dict(type='PackPoseInputs', meta_keys=keys)]
    pipeline = Compose(steps)
    return pseudo_collate([pipeline(deepcopy(person)) for person in people])


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmposeda')


@pytest.fixture(scope='module')
def people(shared_data):
    """What MMPose's data set hands to a pipeline, of four frames."""
    init_default_scope('mmposeda')
    data = DATASETS.build(
        dict(
            type='Human36mDataset',
            data_root=str(shared_data / 'mmpose_samples' / 'h36m'),
            ann_file='test_h36m_body3d.npz',
            camera_param_file='cameras.pkl',
            metainfo=dict(from_file=metainfo_path('h36m')),
        )
    )
    return [data[i] for i in range(len(data))]


@pytest.mark.parametrize('kind', KINDS)
def test_four_poses_are_learned_by_heart(kind, people):
    """Training through MMPose lowers the loss on its four samples, and the metric sees it."""
    model, data = build(kind), batch(people, remove_root=kind == 'TCN')
    model.init_weights()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    optimizer = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-2))
    losses = [model.train().train_step(data, optimizer) for _ in range(30)]
    assert losses[-1]['loss_pose3d'] < 0.2 * losses[0]['loss_pose3d']
    assert losses[-1]['mpjpe'] < 0.6 * losses[0]['mpjpe']


@pytest.mark.parametrize('kind', KINDS)
def test_predictions_are_what_mmposes_metric_takes(kind, people):
    removed = dict(remove_root=kind == 'TCN')
    model = build(kind).eval()
    here = model.test_step(batch(people, **removed))
    there = model.test_step(batch(people, keys=('target_img_path', 'target_root'), **removed))
    for relative, absolute in zip(here, there):
        relative_pose, absolute_pose = relative.pred_instances.keypoints, absolute.pred_instances.keypoints
        assert relative_pose.shape == (1, 17, 3) and relative.pred_instances.keypoint_scores.shape == (1, 17)
        if kind != 'TCN':  # which MMPose decodes, as its codec's root says
            root = absolute.gt_instances.lifting_target[:, :1]
            np.testing.assert_allclose(absolute_pose, relative_pose + root, atol=1e-4)
    metric = METRICS.build(dict(type='MPJPE', mode='mpjpe'))
    metric.dataset_meta = {}
    metric.process([], [sample.to_dict() for sample in there])
    errors = metric.compute_metrics(metric.results)
    gaps = [s.pred_instances.keypoints - s.gt_instances.lifting_target for s in there]
    assert errors['MPJPE'] == pytest.approx(np.linalg.norm(gaps, axis=-1).mean(), rel=1e-4)


@pytest.mark.parametrize('kind', KINDS)
def test_lift_is_what_predict_gives(kind, people):
    model, data = build(kind).eval(), batch(people, remove_root=kind == 'TCN')
    predicted = np.concatenate([s.pred_instances.keypoints for s in model.test_step(data)])
    with torch.no_grad():
        lifted = lift(model, torch.stack(data['inputs']).view(-1, 17, 2))
    np.testing.assert_allclose(lifted.numpy(), predicted, atol=1e-5)


def test_lift_puts_the_root_back_where_it_belongs():
    model = build('TCN', skeleton='mpi_inf_3dhp').eval()
    out = lift(model, torch.rand(3, 17, 2))
    assert out.shape == (3, 17, 3) and not out[:, 14].any() and out[:, :14].any(2).all() and out[:, 15:].any(2).all()


def test_lift_gives_gradients_to_points_and_weights():
    model, points = build('TCN'), torch.rand(4, 17, 2, requires_grad=True)
    lift(model, points).square().sum().backward()
    assert points.grad.abs().sum() > 0 and all(p.grad is not None for p in model.parameters())


def test_video_pose_lifter_is_mmposes_network():
    """With the same weights and in either mode."""
    ours = build('VideoPoseLifter', num_blocks=2, dropout=0.0)
    theirs = build('TCN')
    for module in theirs.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    assert len(ours.state_dict()) == len(theirs.state_dict())
    weights = zip(theirs.state_dict().items(), ours.state_dict().values())
    theirs.load_state_dict({key: value.view(own.shape) for (key, own), value in weights})
    x = torch.rand(8, 17, 2)
    for mode in (True, False):
        torch.testing.assert_close(lift(ours.train(mode), x), lift(theirs.train(mode), x), rtol=1e-4, atol=1e-5)


class TestHead:
    def samples(self, people):
        return batch(people)['data_samples']

    def test_loss_is_the_mean_square_and_the_error_is_in_millimetres(self, people):
        samples = self.samples(people)
        target = torch.cat([s.gt_instance_labels.lifting_target_label for s in samples])
        losses = LiftingHead().loss(target + torch.tensor([0.03, 0.0, 0.04]), samples)
        assert losses['loss_pose3d'].item() == pytest.approx((0.03**2 + 0.04**2) / 3, rel=1e-4)
        assert losses['mpjpe'].item() == pytest.approx(50, rel=1e-4)

    def test_invisible_joints_can_be_left_out(self, people):
        samples = self.samples(people)
        poses = torch.cat([s.gt_instance_labels.lifting_target_label for s in samples]).clone()
        poses[:, 5] += 9
        for sample in samples:
            sample.gt_instance_labels.lifting_target_weight[:, 5] = 0
        losses = LiftingHead(loss=dict(type='MSELoss', use_target_weight=True)).loss(poses, samples)
        assert losses['loss_pose3d'] == losses['mpjpe'] == 0
        assert LiftingHead().loss(poses, samples)['loss_pose3d'] > 1

    def test_samples_without_a_visible_joint_have_no_error(self, people):
        samples = self.samples(people)
        for sample in samples:
            sample.gt_instance_labels.lifting_target_weight.zero_()
        assert LiftingHead().loss(torch.rand(4, 17, 3), samples)['mpjpe'] == 0

    def test_features_are_refused(self):
        with pytest.raises(ValueError, match=r'got \(2, 1024, 1\).*TemporalRegressionHead'):
            LiftingHead()((torch.zeros(2, 1024, 1),))

    def test_a_codec_without_root_is_refused(self):
        with pytest.raises(ValueError, match='remove_root=False'):
            LiftingHead(decoder=codec(remove_root=True))


class TestCheck:
    @pytest.mark.parametrize('kind', KINDS)
    def test_lifters_pass_and_stay_as_they_were(self, kind):
        model = build(kind).train()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        check_lifter(model, 17, 'PoseAug')
        assert model.training and all(torch.equal(value, before[key]) for key, value in model.state_dict().items())

    @pytest.mark.parametrize('kind', KINDS)
    def test_other_joints_are_refused(self, kind):
        with pytest.raises(ValueError, match='PoseAug has poses of 16 joints.*in_channels=32'):
            check_lifter(build(kind), 16, 'PoseAug')

    def test_several_frames_are_refused(self):
        with pytest.raises(ValueError, match='kernels of one frame'):
            check_lifter(build('TCN', kernels=(3, 3, 3)), 17, 'PoseAug')

    def test_a_root_that_nobody_puts_back_is_refused(self):
        model = build('TCN')
        model.head.decoder.remove_root = False
        with pytest.raises(ValueError, match=r'the head gives \(16, 3\).*remove_root=True'):
            check_lifter(model, 17, 'PoseAug')

    def test_codecs_of_other_units_are_refused(self):
        model = build('TCN')
        model.head.decoder = MODELS.build(lifter('MLPLifter')).head.decoder
        model.head.decoder.zero_center = False
        with pytest.raises(TypeError, match='ScreenPoseLifting'):
            check_lifter(model, 17, 'PoseAug')

    def test_other_models_are_refused(self):
        with pytest.raises(TypeError, match='PoseLifter, got Linear'):
            check_lifter(torch.nn.Linear(2, 2), 17, 'PoseAug')
