"""Writes checkpoints with the releases of PyTorch, safetensors, Keras and ONNX that are installed.

Usage: python3 test/releases/make.py FOLDER (with torch, safetensors, keras, h5py, onnx and onnxruntime)

FOLDER/expected.json says what is in them:
    tensors   per file, of every tensor: dtype, shape, SHA-256 of its elements as little-endian bytes in
              row-major order; by name, or null for the name where the format leaves it to the reader
    models    per network: its file, the graph it needs, and inputs with the outputs that the library computes
"""

import json
import os
import runpy
import sys

os.environ['KERAS_BACKEND'] = 'torch'
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import h5py
import keras
import numpy as np
import onnx
import onnxruntime
import safetensors
import safetensors.torch
import torch
from described import of_numpy, of_onnx, of_torch
from onnx import TensorProto, helper, numpy_helper

import networks

folder = os.path.abspath(sys.argv[1])
here = os.path.dirname(os.path.abspath(__file__))
tensors = {}
models = []


def path(name):
    return os.path.join(folder, name)


def model(file, inputs, outputs, **more):
    models.append(
        {
            'file': file,
            'shape': list(inputs.shape),
            'input': [float(x) for x in np.asarray(inputs).flatten()],
            'output': [float(x) for x in np.asarray(outputs).flatten()],
            **more,
        }
    )


def script(name):
    """Another script of the project, writing into the folder."""
    arguments, sys.argv = sys.argv, [name, folder]
    runpy.run_path(os.path.join(here, '..', 'checkpoints', name), run_name='__main__')
    sys.argv = arguments


# Every form in which PyTorch saves, and the element types that came after them.
script('pytorch_files.py')
with open(path('expected.json')) as file:
    for name, content in json.load(file).items():
        tensors[name] = [[key, *rest] for key, rest in content.items()]

newer = ['uint16', 'uint32', 'uint64', 'float8_e4m3fn', 'float8_e5m2', 'float8_e4m3fnuz', 'float8_e5m2fnuz']
newer += ['float8_e8m0fnu', 'float4_e2m1fn_x2', 'complex32']
newer = [getattr(torch, name) for name in newer if hasattr(torch, name)]
typed = {str(t).replace('torch.', ''): torch.arange(48, dtype=torch.uint8).view(t).reshape(2, -1) for t in newer}
for legacy in (False, True):
    name = 'newer_legacy.pt' if legacy else 'newer.pt'
    torch.save(typed, path(name), _use_new_zipfile_serialization=not legacy)
    tensors[name] = [[key, *of_torch(value)] for key, value in typed.items()]

common = 'float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64'
typed.update({name: torch.arange(6).reshape(2, 3).to(getattr(torch, name)) for name in common.split()})
typed.update(scalar=torch.tensor(2.5), empty=torch.zeros(0, 4))
# Of half a byte, with sizes that are not those of PyTorch.
del typed['float4_e2m1fn_x2'], typed['complex32']
safetensors.torch.save_file(typed, path('dtypes.safetensors'), metadata={'format': 'pt'})
tensors['dtypes.safetensors'] = [[key, *of_torch(value)] for key, value in typed.items()]

# A multilayer perceptron in every form that holds weights alone.
mlp = networks.mlp()
state = mlp.state_dict()
x = torch.rand(3, networks.FEATURES)
y = mlp(x).detach()
torch.save(state, path('mlp.pt'))
torch.save(state, path('mlp_legacy.pt'), _use_new_zipfile_serialization=False)
torch.save(mlp, path('mlp_whole.pt'))
torch.jit.save(torch.jit.trace(mlp, x), path('mlp_script.pt'))
safetensors.torch.save_file(state, path('mlp.safetensors'), metadata={'format': 'pt'})
shards = ['mlp-00001-of-00002.safetensors', 'mlp-00002-of-00002.safetensors']
places = {key: shards[i % 2] for i, key in enumerate(state)}
for shard in shards:
    safetensors.torch.save_file({key: state[key] for key in state if places[key] == shard}, path(shard))
with open(path('mlp.safetensors.index.json'), 'w') as file:
    json.dump({'metadata': {}, 'weight_map': places}, file)
half = {key: value.bfloat16() for key, value in state.items()}
safetensors.torch.save_file(half, path('mlp_bfloat16.safetensors'))
torch.save(half, path('mlp_bfloat16.pt'))
for end in ('.pt', '_legacy.pt', '_whole.pt', '_script.pt', '.safetensors', '.safetensors.index.json'):
    model('mlp' + end, x, y)
    tensors['mlp' + end] = [[key, *of_torch(value)] for key, value in state.items()]
for end in ('.safetensors', '.pt'):
    model('mlp_bfloat16' + end, x, networks.mlp({k: v.float() for k, v in half.items()})(x).detach())
    tensors['mlp_bfloat16' + end] = [[key, *of_torch(value)] for key, value in half.items()]
optimizer = torch.optim.Adam(mlp.parameters())
mlp(x).sum().backward()
optimizer.step()
training = {'epoch': 7, 'model': mlp.state_dict(), 'optimizer': optimizer.state_dict(), 'best': 0.5}
torch.save(training, path('mlp_training.pt'))
model('mlp_training.pt', x, mlp(x).detach())

# A convolutional network whose graph an ONNX file lends.
net = networks.convolutional()
x = torch.rand(2, *networks.IMAGE)
y = net(x).detach()
torch.save(net.state_dict(), path('net.pt'))
model('net.pt', x, y, graph='net.onnx')


def initializers(graph):
    return [[value.name, *of_onnx(value)] for value in graph.initializer]


proto = networks.onnx_model(net.state_dict())
onnx.checker.check_model(proto, full_check=True)
onnx.save_model(proto, path('net.onnx'))
external = {'save_as_external_data': True, 'location': 'net.bin', 'size_threshold': 64}
onnx.save_model(onnx.load(path('net.onnx')), path('net_external.onnx'), **external)
sparse = onnx.load(path('net.onnx'))
flat = numpy_helper.to_array(sparse.graph.initializer[-2]).flatten()
flat = np.where(np.arange(flat.size) % 7 == 3, flat, np.float32(0))
(at,) = np.nonzero(flat)
name = sparse.graph.initializer[-2].name
values = helper.make_tensor(name, TensorProto.FLOAT, [len(at)], flat[at])
indices = helper.make_tensor(name + '_indices', TensorProto.INT64, [len(at)], at)
del sparse.graph.initializer[-2]
sparse.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [5, networks.FLAT]))
onnx.checker.check_model(sparse)
onnx.save_model(sparse, path('net_sparse.onnx'))
for name in ('net.onnx', 'net_external.onnx', 'net_sparse.onnx'):
    tensors[name] = initializers(onnx.load(path(name)).graph)
    session = onnxruntime.InferenceSession(path(name), providers=['CPUExecutionProvider'])
    model(name, x, session.run(None, {'x': x.numpy()})[0])
tensors['net_sparse.onnx'].append(['fc.weight', *of_numpy(flat.reshape(5, networks.FLAT))])

types = set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED, TensorProto.STRING}
small = {TensorProto.BOOL, TensorProto.INT2, TensorProto.UINT2, TensorProto.FLOAT8E8M0}
every = [
    helper.make_tensor(
        f'{TensorProto.DataType.Name(t)} fields', t, [3, 3], [1] * 9 if t in small else [0, 1, 2, 3, 4, 1, 0, 2, 3]
    )
    for t in sorted(types)
]
every += [
    numpy_helper.from_array(numpy_helper.to_array(one), one.name.replace('fields', 'raw data'))
    for one in list(every)
]
network = helper.make_graph(
    [helper.make_node('Identity', ['x'], ['y'])],
    'types',
    [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1])],
    [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1])],
    every,
)
onnx.save_model(helper.make_model(network), path('types.onnx'))
tensors['types.onnx'] = initializers(network)

try:
    import onnxscript  # noqa: F401, without which PyTorch does not export
except ImportError:
    pass
else:
    torch.onnx.export(net, (x,), path('exported.onnx'), dynamo=True, external_data=False, verbose=False)
    session = onnxruntime.InferenceSession(path('exported.onnx'), providers=['CPUExecutionProvider'])
    model('exported.onnx', x, session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    tensors['exported.onnx'] = initializers(onnx.load(path('exported.onnx')).graph)

# Keras' own files, with what the models have as weights.
script('keras_files.py')
with open(path('keras.json')) as file:
    goldens = json.load(file)
for name, golden in goldens.items():
    inputs = np.array(golden['input'], 'float32').reshape(golden['shape'])
    for end in ('keras', 'h5'):
        loaded = keras.models.load_model(path(f'{name}.{end}'))
        model(f'{name}.{end}', inputs, loaded.predict(inputs, verbose=0))
        tensors[f'{name}.{end}'] = [[None, *of_numpy(value)] for value in loaded.get_weights()]

versions = {m.__name__: m.__version__ for m in (torch, safetensors, keras, h5py, onnx, onnxruntime, np)}
with open(path('expected.json'), 'w') as file:
    json.dump({'versions': versions, 'tensors': tensors, 'models': models}, file)
