"""Writes test/outside/tensors.json: the tensors of every checkpoint of the test data, read by other programs.

Usage: python3 test/checkpoints/table.py DATA (with torch, safetensors, h5py and onnx; DATA holds checkpoints/)

Per file the oracle and what it read: name, dtype, shape and the first 16 digits
of the SHA-256 of the elements as little-endian bytes in row-major order. Nothing
is unpickled: pickles are taken apart by pickletools, which makes no call, and
those of the folder with malicious files not at all. Where that does not say
which tensors there are (whole modules, TorchScript), the archive's own storages
are the oracle: the SHA-256 of every `data/N`.
"""

import hashlib
import io
import json
import os
import sys
import zipfile

import h5py
import numpy as np
import onnx
import safetensors
import torch
from onnx import numpy_helper
from pickled_tensors import tensors_of

root = os.path.join(sys.argv[1], 'checkpoints')


def sha(content):
    return hashlib.sha256(content).hexdigest()[:16]


def described(dtype, shape, content):
    return [dtype, list(shape), sha(content)]


def of_torch(tensor):
    dense = tensor.detach().contiguous()
    content = dense.reshape(-1).view(torch.uint8) if dense.numel() else torch.zeros(0, dtype=torch.uint8)
    return described(str(tensor.dtype).replace('torch.', ''), tensor.shape, content.numpy().tobytes())


def of_numpy(array):
    return described(str(array.dtype), array.shape, np.ascontiguousarray(array).tobytes())


def pytorch(path):
    try:
        tensors = tensors_of(path, described)
    except IndexError as error:
        return {'oracle': 'pickletools', 'error': str(error)}
    if tensors is not None:
        return {'oracle': 'pickletools', 'tensors': tensors}
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if '/data/' in name or '/constants/' in name]
        return {'oracle': 'zipfile', 'storages': sorted({sha(archive.read(name)) for name in names})}


def of_safetensors(path):
    try:
        with safetensors.safe_open(path, 'pt') as file:
            return {'oracle': 'safetensors', 'tensors': {name: of_torch(file.get_tensor(name)) for name in file.keys()}}
    except Exception as error:
        return {'oracle': 'safetensors', 'error': str(error).split('\n')[0]}


def of_hdf5(file, wanted):
    tensors = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind in 'fiu' and wanted(name):
            tensors[name] = of_numpy(item[()])

    file.visititems(visit)
    return {'oracle': 'h5py', 'tensors': tensors}


def keras(path):
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            prefix = 'model_weights/' if 'model_weights' in file else ''
            return of_hdf5(file, lambda name: name.startswith(prefix))
    with zipfile.ZipFile(path) as archive:
        with h5py.File(io.BytesIO(archive.read('model.weights.h5'))) as file:
            return of_hdf5(file, lambda name: not name.startswith('optimizer/') and 'seed_generator' not in name)


def of_onnx(path):
    model = onnx.load(path, load_external_data=False)
    tensors, constants = {}, {}

    def of_tensor(tensor):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            return ['external', list(tensor.dims), '']
        if tensor.data_type == onnx.TensorProto.STRING:
            return ['string', list(tensor.dims), '']
        return of_numpy(numpy_helper.to_array(tensor))

    for tensor in model.graph.initializer:
        tensors[tensor.name] = of_tensor(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == 'Constant' and attribute.name == 'value':
                constants[node.output[0]] = of_tensor(attribute.t)
    return {'oracle': 'onnx', 'tensors': tensors, 'constants': constants}


def tfjs(path):
    with open(path) as file:
        manifest = json.load(file)['weightsManifest']
    tensors = {}
    for group in manifest:
        content = b''.join(open(os.path.join(os.path.dirname(path), name), 'rb').read() for name in group['paths'])
        at = 0
        for weight in group['weights']:
            assert 'quantization' not in weight
            array = np.frombuffer(content, weight['dtype'], int(np.prod(weight['shape'])), at).reshape(weight['shape'])
            tensors[weight['name']] = of_numpy(array)
            at += array.nbytes
    return {'oracle': 'numpy', 'tensors': tensors}


READERS = {'.onnx': of_onnx, '.safetensors': of_safetensors, '.h5': keras, '.keras': keras}
READERS.update({end: pytorch for end in ('.pt', '.pth', '.th', '.bin')})
table = {}
for folder, _, names in sorted(os.walk(root)):
    for name in sorted(names):
        path = os.path.join(folder, name)
        key = os.path.relpath(path, root)
        reader = tfjs if name == 'model.json' else READERS.get(os.path.splitext(name)[1])
        if reader is None or key.startswith('malicious-pickles') or 'shard' in name:
            table[key] = {'oracle': None}
        else:
            table[key] = reader(path)

project = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
with open(os.path.join(project, 'test/outside/tensors.json'), 'w') as out:
    lines = [f' {json.dumps(key)}: {json.dumps(entry, separators=(",", ":"))}' for key, entry in table.items()]
    out.write('{\n' + ',\n'.join(lines) + '\n}\n')
