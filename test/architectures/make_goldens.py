"""Writes goldens.json.gz: for every network the names and shapes of its tensors, and its logits in float64.

Usage: /usr/bin/python3 test/architectures/make_goldens.py

Weights and inputs follow from their names by a formula that the test repeats,
so that the file stays small.
"""

import gzip
import json
import math
import os
import zlib

import numpy as np
import torch

import networks as n

torch.manual_seed(0)


def uniform(name, count):
    """Values in [-1, 1) from a hash of the name and the place (Murmur3's finaliser)."""
    h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(zlib.crc32(name.encode()))
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h.astype(np.float64) / 2**31 - 1


def weights(name, shape):
    u = uniform(name, int(np.prod(shape, dtype=np.int64)))
    if name.endswith('running_var') or (name.endswith('weight') and len(shape) == 1):
        value = 1 + 0.5 * u
    elif name.endswith('weight'):
        value = u * math.sqrt(6 / np.prod(shape[1:]))
    else:
        value = 0.2 * u
    return value.astype(np.float32).astype(np.float64).reshape(shape)


V = {11: [1, 1, 2, 2, 2], 13: [2, 2, 2, 2, 2], 16: [2, 2, 3, 3, 3], 19: [2, 2, 4, 4, 4]}
R = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
cases = []


def case(name, module, sample):
    cases.append((name, module, sample))


image = [3, 32, 32]
case('mlp', n.mlp(), [9])
case('mlp', n.NamedMlp(), [9])
case('lenet5', n.LeNet(0, 3), image)
case('lenet5-padded', n.LeNet(2, 1), [1, 28, 28])
case('lenet5-three-convolutions', n.LeNetThree(False), [1, 28, 28])
case('lenet5-three-convolutions', n.LeNetThree(True), [1, 28, 28])
case('lenet5-c1-f7', n.LeNetNamed(), [1, 32, 32])
case('mnist-example', n.MnistExample(3), [1, 28, 28])
case('mnist-example-5x5', n.MnistExample(5), [1, 28, 28])
case('mnist-three-convolutions', n.MnistThree(), [1, 28, 28])
case('alexnet', n.alexnet('imagenet'), [3, 224, 224])
case('alexnet', n.alexnet('imagenet'), [3, 96, 80])
case('alexnet-cifar', n.alexnet('one'), image)
case('alexnet-cifar-3x3', n.alexnet('3x3'), image)
for depth, counts in V.items():
    for norm in (False, True):
        end = '_bn' if norm else ''
        case(f'vgg{depth}{end}', n.vgg(counts, norm, 7, 'behind'), [3, 64, 96])
        case(f'vgg{depth}{end}-cifar', n.vgg(counts, norm, 1, ['one', 'behind', 'before'][depth % 3]), image)
for depth, counts in R.items():
    block = n.Basic if depth < 50 else n.Bottleneck
    case(f'resnet{depth}', n.ResNet(block, counts, True, 'downsample', 'fc'), [3, 64, 64])
    case(f'resnet{depth}-cifar', n.ResNet(block, counts, False, 'shortcut', 'linear'), image)
    case(f'resnet{depth}-cifar100', n.FunctionResNet(counts, depth >= 50), image)
for depth in (20, 32, 44, 56, 110):
    counts = [(depth - 2) // 6] * 3
    case(f'cifar-resnet{depth}', n.ResNet(n.Padded, counts, False, 'shortcut', 'linear'), image)
    case(f'cifar-resnet{depth}', n.ResNet(n.Basic, counts, False, 'downsample', 'fc'), image)
case('resnet2b', n.resnet2b(), image)
case('mobilenet_v2', n.mobilenet_v2(), [3, 64, 64])
case('densenet121', n.DenseNet([6, 12, 24, 16]), [3, 64, 64])
case('densenet169', n.DenseNet([6, 12, 32, 32]), [3, 64, 64])
for depth in (10, 16, 28):
    case(f'wideresnet{depth}', n.WideResNet(depth, False), image)
    case(f'wideresnet{depth}-late-stride', n.WideResNet(depth, True), image)

goldens = []
for name, module, sample in cases:
    module = module.double().eval()
    state = module.state_dict()
    with torch.no_grad():
        for key, tensor in state.items():
            if not key.endswith('num_batches_tracked'):
                tensor.copy_(torch.from_numpy(weights(key, list(tensor.shape))))
        x = torch.from_numpy(uniform('input', 2 * int(np.prod(sample))).astype(np.float32).astype(np.float64))
        logits = module(x.reshape([2] + sample)).flatten().tolist()
    shapes = {key: list(tensor.shape) for key, tensor in state.items()}
    goldens.append({'name': name, 'sample': sample, 'shapes': shapes, 'logits': logits})

folder = os.path.dirname(os.path.abspath(__file__))
with gzip.GzipFile(os.path.join(folder, 'goldens.json.gz'), 'wb', mtime=0) as out:
    out.write(json.dumps(goldens, separators=(',', ':')).encode())
print(len(goldens), 'networks')
