"""The networks of make.py and check.py."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

FEATURES = 64
IMAGE = (2, 8, 8)
FLAT = 6 * 4 * 4


def mlp(state=None):
    """Linear layers with ReLU between them, which names and shapes alone say."""
    torch.manual_seed(5)
    sizes = [FEATURES, 96, 48, 10]
    layers = []
    for i in range(len(sizes) - 1):
        layers += [torch.nn.Linear(sizes[i], sizes[i + 1]), torch.nn.ReLU()]
    return loaded(torch.nn.Sequential(*layers[:-1]), state)


class Convolutional(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(IMAGE[0], 6, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(6)
        self.fc = torch.nn.Linear(FLAT, 5)

    def forward(self, x):
        h = torch.relu(self.norm(self.conv(x)))
        return self.fc(torch.nn.functional.max_pool2d(h, 2).flatten(1))


def convolutional(state=None):
    torch.manual_seed(6)
    net = Convolutional()
    with torch.no_grad():
        net.norm.running_mean.uniform_(-0.2, 0.2)
        net.norm.running_var.uniform_(0.5, 1.5)
    return loaded(net, state)


def loaded(net, state):
    if state is not None:
        net.load_state_dict(state)
    return net.eval()


def onnx_model(state):
    """The convolutional network in ONNX, with the names of its state dict."""
    node = helper.make_node
    norm = [f'norm.{key}' for key in ('weight', 'bias', 'running_mean', 'running_var')]
    nodes = [
        node('Conv', ['x', 'conv.weight', 'conv.bias'], ['c'], pads=[1, 1, 1, 1]),
        node('BatchNormalization', ['c', *norm], ['n']),
        node('Relu', ['n'], ['r']),
        node('MaxPool', ['r'], ['p'], kernel_shape=[2, 2], strides=[2, 2]),
        node('Flatten', ['p'], ['f']),
        node('Gemm', ['f', 'fc.weight', 'fc.bias'], ['y'], transB=1),
    ]
    tensors = [
        numpy_helper.from_array(value.numpy(), key) for key, value in state.items() if value.dtype == torch.float32
    ]
    graph = helper.make_graph(
        nodes,
        'net',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['N', *IMAGE])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['N', 5])],
        tensors,
    )
    model = helper.make_model(graph, producer_name='test')
    helper.set_model_props(model, {'kept': 'as it was'})
    return model


def dense_of(model):
    """Arrays of the initializers, dense and sparse, by name."""
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for tensor in model.graph.sparse_initializer:
        values = numpy_helper.to_array(tensor.values)
        dense = np.zeros(int(np.prod(tensor.dims)), values.dtype)
        dense[numpy_helper.to_array(tensor.indices)] = values
        found[tensor.values.name] = dense.reshape(list(tensor.dims))
    return found
