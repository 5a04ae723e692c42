"""A tiny estimator by latents, spaces of poses and motions, and batches of motion, clips and labelled pictures."""

import copy

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from mmposeda.registry import MODELS
from mmposeda.structures.skeleton import Skeleton

SKELETON = Skeleton.from_metainfo('nlrd15')
SIZE, FRAMES, LATENT = 32, 4, 8
POSE = dict(type='PoseAAE', skeleton='nlrd15', latent=LATENT)
MOTION = dict(type='MotionAutoEncoder', latent=LATENT, dim=6, hidden=5)
RELATIONS = ('flip_inplane(50)', 'flip_inplane_backward(50)', 'slow_backward')
LOSSES = ('pose_contrast', 'motion_contrast', *RELATIONS)
#: three stages of a ResNet-18: 2 x 2 cells of a picture of 32 pixels
RESNET = dict(
    type='ResNet',
    depth=18,
    stem_channels=8,
    base_channels=8,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(2,),
)


def estimator(backbone=None, channels=32, grid=(2, 2), pose=None):
    head = dict(conv_channels=(6, 5), fc_channels=(16, 12))
    return dict(
        type='TopdownPoseEstimator',
        data_preprocessor=dict(type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True),
        backbone=backbone or RESNET,
        head=dict(type='LatentPoseHead', in_channels=channels, grid=grid, pose=pose or POSE, **head),
    )


def build(seed=0, **kwargs):
    """The adapter, with latents that differ from picture to picture and a head that knows the lengths of bones."""
    torch.manual_seed(seed)
    given = dict(relations=dict(relations=RELATIONS, hidden=(16,)), projection=dict(hidden=(12,), dim=7))
    given.update(dict(estimator=estimator(), motion=MOTION, frames=FRAMES), **kwargs)
    model = MODELS.build(dict(type='RelationDistillation', **copy.deepcopy(given)))
    head = model.student.head
    torch.nn.init.normal_(head.rest[-1].weight, std=0.3)
    head.bone_length.copy_(100 * head.pose.kinematics.lengths)
    head.bones.fill_(1)
    return model.train()


#: what is trained before the adaptation
STAGES = dict(
    PoseEmbeddingTraining=dict(pose=POSE),
    MotionEmbeddingTraining=dict(pose=POSE, motion=MOTION, frames=FRAMES),
    RelationTraining=dict(
        pose=POSE, motion=MOTION, frames=FRAMES, relations=dict(relations=('flip', *RELATIONS), hidden=(16,))
    ),
)


def stage(name, seed=0, **kwargs):
    torch.manual_seed(seed)
    return MODELS.build(dict(type=name, **{**copy.deepcopy(STAGES[name]), **kwargs})).train()


def optimisers(model, optimizer=None, **losses):
    cfg = dict(
        constructor='LossOptimWrapperConstructor', default=dict(optimizer=optimizer or dict(type='Adam', lr=1e-3))
    )
    return build_optim_wrapper(model, dict(cfg, **losses))


def sample(**metainfo):
    data = PoseDataSample(metainfo=dict(input_size=(SIZE, SIZE), **metainfo))
    data.set_metainfo(dict(input_center=np.array([16.0, 16.0]), input_scale=np.array([32.0, 32.0])))
    data.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
    return data


def pictures(*shape, seed=0):
    """Noise of this shape, uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def clips(task, count=3, frames=None, size=SIZE, seed=0):
    """A batch of ``count`` clips as a data loader gives it, with as many frames as the loss needs."""
    frames = frames or (2 * FRAMES if task == 'slow_backward' else FRAMES)
    inputs = list(pictures(count, 3 * frames, size, size, seed=seed))
    return dict(inputs=inputs, data_samples=[sample(domain='clip', task=task) for _ in inputs])


def labelled(count=4, size=SIZE, seed=0):
    """A batch of ``count`` labelled pictures of the source."""
    generator = torch.Generator().manual_seed(seed)
    pose = 300 * torch.randn(count, SKELETON.num_joints, 3, generator=generator)
    pose -= pose[:, [SKELETON.index('pelvis')]].clone()
    samples = [sample() for _ in pose]
    for data, one in zip(samples, pose):
        data.gt_instance_labels = InstanceData(root_pose=one[None], root_pose_weights=torch.ones(1, len(one)))
    return dict(inputs=list(pictures(count, 3, size, size, seed=seed)), data_samples=samples)


def motion(count=6, frames=2 * FRAMES, seed=0, joints=SKELETON.num_joints):
    """A batch of clips of bodies that move a little from frame to frame, mm."""
    generator = torch.Generator().manual_seed(seed)
    rest = 300 * torch.randn(count, 1, joints, 3, generator=generator)
    poses = rest + 30 * torch.randn(count, frames, joints, 3, generator=generator).cumsum(1)
    return dict(inputs=dict(motion=poses - poses[:, :, :1]), data_samples=dict(index=torch.arange(count)))


def prepared(model, batch):
    return model.data_preprocessor(batch, True)


def logged(model, batch):
    """Losses and shares of a batch, as numbers."""
    return {key: float(value) for key, value in model(**prepared(model, batch), mode='loss').items()}


def batch_for(loss, **kwargs):
    return labelled(**kwargs) if loss == 'source' else clips(loss, **kwargs)


def shown(model, batch):
    """Normalised clips (B, W, 3, h, w)."""
    return prepared(model, batch)['inputs']['clip']


def snapshot(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def changed(model, before):
    """Names of the weights and buffers that are no longer what they were, bit for bit."""
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
