"""PoseAug's four lifters as plain functions of weights under the authors' names, in evaluation mode, on 16 joints.

Written from the layers' definitions, with convolutions and loops where the package has linear layers and products.
"""

import torch
import torch.nn.functional as F

PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 8, 10, 11, 8, 13, 14)


def random_weights(shapes, seed=0):
    """Weights of those shapes; where a name ends in ``!`` it is a batch normalisation of so many channels."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        if not name.endswith('!'):
            fan = max(1, torch.Size(shape[1:]).numel())
            weights[name] = torch.randn(shape, generator=generator) * fan**-0.5
            continue
        for part in ('weight', 'bias', 'running_mean', 'running_var'):
            value = torch.rand(shape, generator=generator)
            weights[f'{name[:-1]}.{part}'] = value + 0.5 if part in ('weight', 'running_var') else value - 0.5
        weights[f'{name[:-1]}.num_batches_tracked'] = torch.tensor(7)
    return weights


def norm(x, weights, name, eps=1e-5):
    parts = [weights[f'{name}.{part}'] for part in ('running_mean', 'running_var', 'weight', 'bias')]
    return F.batch_norm(x, *parts, eps=eps)


def video_pose_shapes(blocks, width):
    shapes = {'expand_conv.weight': (width, 32, 1), 'expand_bn!': (width,)}
    for i in range(2 * blocks):
        shapes.update({f'layers_conv.{i}.weight': (width, width, 1), f'layers_bn.{i}!': (width,)})
    return {**shapes, 'shrink.weight': (45, width, 1), 'shrink.bias': (45,)}


def video_pose(weights, points):
    x = points.reshape(len(points), 32, 1)
    x = norm(F.conv1d(x, weights['expand_conv.weight']), weights, 'expand_bn').relu()
    for i in range(0, sum(key.startswith('layers_conv') for key in weights), 2):
        y = x
        for j in (i, i + 1):
            y = norm(F.conv1d(y, weights[f'layers_conv.{j}.weight']), weights, f'layers_bn.{j}').relu()
        x = x + y
    x = F.conv1d(x, weights['shrink.weight'], weights['shrink.bias']).view(-1, 15, 3)
    return F.pad(x, (0, 0, 1, 0))


def mlp_shapes(blocks, width):
    shapes = {'w1.weight': (width, 32), 'w1.bias': (width,), 'batch_norm1!': (width,)}
    for i in range(blocks):
        for j in (1, 2):
            name = f'linear_stages.{i}'
            shapes.update({f'{name}.w{j}.weight': (width, width), f'{name}.w{j}.bias': (width,)})
            shapes[f'{name}.batch_norm{j}!'] = (width,)
    return {**shapes, 'w2.weight': (45, width), 'w2.bias': (45,)}


def mlp(weights, points):
    def linear(x, name):
        return F.linear(x, weights[f'{name}.weight'], weights[f'{name}.bias'])

    x = norm(linear(points.flatten(1), 'w1'), weights, 'batch_norm1').relu()
    for i in range(sum(key.endswith('batch_norm2.weight') for key in weights)):
        y = x
        for j in (1, 2):
            y = norm(linear(y, f'linear_stages.{i}.w{j}'), weights, f'linear_stages.{i}.batch_norm{j}').relu()
        x = x + y
    return F.pad(linear(x, 'w2').view(-1, 15, 3), (0, 0, 1, 0))


def gcn_shapes(blocks, width):
    def layer(name, inputs, outputs):
        return {f'{name}.W': (2, inputs, outputs), f'{name}.e': (1, 46), f'{name}.bias': (outputs,)}

    shapes = {**layer('gconv_input.0.gconv', 2, width), 'gconv_input.0.bn!': (width,)}
    for i in range(blocks):
        for j in (1, 2):
            name = f'gconv_layers.{i}.gconv{j}'
            shapes.update({**layer(f'{name}.gconv', width, width), f'{name}.bn!': (width,)})
    return {**shapes, **layer('gconv_output', width, 3)}


def gcn(weights, points):
    def layer(x, name):
        logits = iter(weights[f'{name}.e'][0])
        share = torch.zeros(16, 16)
        for i in range(16):  # numbers are laid out row by row
            near = [j for j in range(16) if i == j or PARENTS[i] == j or PARENTS[j] == i]
            share[i, near] = torch.stack([next(logits) for _ in near]).softmax(0)
        own = torch.diag(share.diag())
        w0, w1 = weights[f'{name}.W']
        return own @ x @ w0 + (share - own) @ x @ w1 + weights[f'{name}.bias']

    def normed(x, name):
        return norm(layer(x, f'{name}.gconv').transpose(1, 2), weights, f'{name}.bn').transpose(1, 2).relu()

    x = normed(points, 'gconv_input.0')
    for i in range(sum(key.endswith('gconv2.gconv.W') for key in weights)):
        x = x + normed(normed(x, f'gconv_layers.{i}.gconv1'), f'gconv_layers.{i}.gconv2')
    return layer(x, 'gconv_output')


def stgcn_shapes(channels, width):
    def conv(name, inputs, outputs):
        return {f'{name}.weight': (outputs, inputs, 1, 1), f'{name}.bias': (outputs,)}

    def layer(name, inputs, outputs, skip):
        shapes = {**conv(f'{name}.gcn.conv', inputs, 4 * outputs), **conv(f'{name}.tcn.3', outputs, outputs)}
        shapes.update({f'{name}.tcn.0!': (outputs,), f'{name}.tcn.4!': (outputs,)})
        if skip:
            shapes.update({**conv(f'{name}.residual.0', inputs, outputs), f'{name}.residual.1!': (outputs,)})
        return shapes

    a, b, c = channels
    return {
        'stgcn.data_bn!': (34,),
        **layer('stgcn.st_gcn_networks.0', 2, a, False),
        **layer('stgcn.st_gcn_networks.1', a, b, a != b),
        **layer('stgcn.st_gcn_networks.2', b, c, b != c),
        **layer('stgcn.st_gcn_pool.0', c, width, c != width),
        **layer('stgcn.st_gcn_pool.1', width, width, False),
        **conv('stgcn.conv4.0', width, width),
        'stgcn.conv4.1!': (width,),
        **conv('stgcn.conv2.0', 2 * width, c),
        'stgcn.conv2.1!': (c,),
        **conv('stgcn.non_local.g', 2 * c, c),
        **conv('stgcn.non_local.W.0', c, 2 * c),
        'stgcn.non_local.W.1!': (2 * c,),
        **conv('stgcn.non_local.theta', 2 * c, c),
        **conv('stgcn.non_local.phi', 2 * c, c),
        **conv('stgcn.fcn.1', 2 * c, 3),
    }


# The 17 nodes: the joints with the neck between thorax (8) and head (10), and by hand what the body's tree gives.
NODE_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
NODE_STEPS = (1, 2, 3, 4, 2, 3, 4, 0, 1, 2, 3, 2, 3, 4, 2, 3, 4)
NODE_TWINS = ((1, 4), (2, 5), (3, 6), (11, 14), (12, 15), (13, 16))
PARTS = ((11, 12, 13), (14, 15, 16), (4, 5, 6), (1, 2, 3), (0, 7, 8, 9, 10))


def partitions(links, twins, steps):
    """(4, V, V): what node w takes of node v, by the place of v: itself, farther out, nearer, on the other side."""
    count = len(steps)
    both = {*links, *twins}
    both |= {(b, a) for a, b in both}
    mirrored = {*twins} | {(b, a) for a, b in twins}
    out = torch.zeros(4, count, count)
    for w in range(count):
        near = [v for v in range(count) if v == w or (v, w) in both]
        for v in near:
            kind = 0 if v == w else 3 if (v, w) in mirrored else 1 if steps[v] > steps[w] else 2
            out[kind, v, w] = 1 / len(near)
    return out


def stgcn(weights, points, input_eps=0.1):
    weights = {key.removeprefix('stgcn.'): value for key, value in weights.items()}

    def conv(x, name):
        return F.conv2d(x, weights[f'{name}.weight'], weights[f'{name}.bias'])

    def layer(x, name, mixing):
        kinds = conv(x, f'{name}.gcn.conv').unflatten(1, (4, -1))  # (B, 4, C, 1, V)
        y = sum(kinds[:, k] @ mixing[k] for k in range(4))
        y = conv(norm(y, weights, f'{name}.tcn.0').relu(), f'{name}.tcn.3')
        y = norm(y, weights, f'{name}.tcn.4')
        if f'{name}.residual.0.weight' in weights:
            y = y + norm(conv(x, f'{name}.residual.0'), weights, f'{name}.residual.1')
        elif name != 'st_gcn_networks.0':
            y = y + x
        return y.relu()

    links = [(child, parent) for child, parent in enumerate(NODE_PARENTS) if parent >= 0]
    body = partitions(links, NODE_TWINS, NODE_STEPS)
    pooled = partitions([(part, 4) for part in range(4)], [(0, 1), (2, 3)], (1, 1, 1, 1, 0))
    neck = points[:, 8:10].mean(1, keepdim=True)
    x = torch.cat([points[:, :9], neck, points[:, 9:]], 1)  # (B, 17, 2)
    x = norm(x.flatten(1), weights, 'data_bn', input_eps).view(-1, 17, 2).transpose(1, 2)[:, :, None]
    for i in range(3):
        x = layer(x, f'st_gcn_networks.{i}', body)
    parts = torch.stack([x[..., part].amax(-1) for part in PARTS], -1)
    for i in range(2):
        parts = layer(parts, f'st_gcn_pool.{i}', pooled)
    whole = norm(conv(parts.amax(-1, keepdim=True), 'conv4.0'), weights, 'conv4.1').relu()
    told = torch.cat([whole.expand_as(parts), parts], 1)
    told = norm(conv(told, 'conv2.0'), weights, 'conv2.1').relu()
    back = torch.zeros(len(x), told.shape[1], 1, 17)
    for number, part in enumerate(PARTS):
        back[..., part] = told[..., number, None]
    x = torch.cat([x, back], 1)
    theta, phi, g = (conv(x, f'non_local.{name}')[:, :, 0] for name in ('theta', 'phi', 'g'))
    looked = (theta.transpose(1, 2) @ phi).softmax(-1) @ g.transpose(1, 2)
    x = x + norm(conv(looked.transpose(1, 2)[:, :, None], 'non_local.W.0'), weights, 'non_local.W.1')
    x = conv(x, 'fcn.1')[:, :, 0].transpose(1, 2)
    return torch.cat([x[:, :9], x[:, 10:]], 1)
