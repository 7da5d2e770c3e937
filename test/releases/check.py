"""Loads what was written of the networks of make.py, with the libraries that they came from.

Usage: python3 test/releases/check.py FOLDER

Per network of FOLDER/expected.json, written to FOLDER/out as a file of the same name, NAME.dense.onnx and
NAME.sparse.onnx, with the weights that stay in NAME.npz. The oracle is the original, loaded by its library, with
zeros where the mask has them. Printed, as JSON by file:

    zeros     of the weights that the mask names
    different names of tensors whose bits are not those of the oracle; everything else in the file counts
    equal     whether the outputs are, to the last bit
    varied    whether they depend on the inputs still
    dense, sparse: {different, error} of the exports in onnxruntime, which adds up in another order: the
              largest difference of an output, relative to the largest output
"""

import io
import json
import os
import sys
import zipfile

os.environ['KERAS_BACKEND'] = 'torch'
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import h5py
import keras
import numpy as np
import onnx
import onnxruntime
import safetensors.torch
import torch
from described import of_numpy, of_torch

import networks

folder = sys.argv[1]


def masked(value, mask):
    """A tensor of PyTorch or NumPy with zeros where the mask has them; none for no mask."""
    if mask is None:
        return value
    if isinstance(value, torch.Tensor):
        return torch.where(torch.from_numpy(mask), value, torch.zeros((), dtype=value.dtype))
    return np.where(mask, value, np.zeros((), value.dtype))


def mask_of(masks, key):
    """The mask of a tensor, which the reader names by its way from the top of the file."""
    return next((mask for name, mask in masks.items() if name == key or name.endswith('.' + key)), None)


class Torch:
    """State dicts, and modules that hold them."""

    def __init__(self, path):
        self.module = self.rest = None
        if path.endswith('index.json'):
            with open(path) as file:
                shards = sorted(set(json.load(file)['weight_map'].values()))
            self.state = {}
            for shard in shards:
                self.state.update(safetensors.torch.load_file(os.path.join(os.path.dirname(path), shard)))
        elif path.endswith('.safetensors'):
            self.state = safetensors.torch.load_file(path)
        elif path.endswith('_script.pt'):
            self.module = torch.jit.load(path)
        elif path.endswith('_whole.pt'):
            self.module = torch.load(path, weights_only=False)
        else:
            self.state = torch.load(path, weights_only=True)
        if self.module is not None:
            self.state = self.module.state_dict()
        elif 'model' in self.state:
            self.rest = {key: value for key, value in self.state.items() if key != 'model'}
            self.state = self.state['model']
        self.build = networks.convolutional if 'conv.weight' in self.state else networks.mlp

    def prune(self, masks):
        self.state = {key: masked(value, mask_of(masks, key)) for key, value in self.state.items()}
        if self.module is not None:
            self.module.load_state_dict(self.state)

    def tensors(self):
        found = {key: of_torch(value) for key, value in self.state.items()}
        flat = torch.utils._pytree.tree_flatten(self.rest)[0]
        found.update((f'rest {i}', of_torch(x) if torch.is_tensor(x) else x) for i, x in enumerate(flat))
        return found

    def run(self, x):
        module = self.module or self.build({key: value.float() for key, value in self.state.items()})
        return module(torch.from_numpy(x)).detach().numpy()


class Keras:
    def __init__(self, path):
        self.model = keras.models.load_model(path, compile=False)
        source = path
        if path.endswith('.keras'):
            with zipfile.ZipFile(path) as archive:
                source = io.BytesIO(archive.read('model.weights.h5'))
        with h5py.File(source) as file:
            self.named = {}
            file.visititems(lambda key, x: self.named.update({key: x[()]}) if isinstance(x, h5py.Dataset) else None)

    def prune(self, masks):
        for name, mask in masks.items():
            found = [v for v in self.model.weights if np.array_equal(v.numpy(), self.named[name])]
            assert len(found) == 1, (name, len(found))
            found[0].assign(masked(self.named[name], mask))
            self.named[name] = masked(self.named[name], mask)

    def tensors(self):
        found = {f'weight {i}': of_numpy(value) for i, value in enumerate(self.model.get_weights())}
        found.update((key, of_numpy(value)) for key, value in self.named.items())
        return found

    def run(self, x):
        return self.model.predict(x, verbose=0)


class Onnx:
    def __init__(self, path):
        self.path = path
        self.model = onnx.load(path)
        # By its path, so that external data are looked at. Shape inference knows no operator of sparse weights.
        onnx.checker.check_model(path, full_check=not self.model.graph.sparse_initializer)
        self.dense = networks.dense_of(self.model)

    def prune(self, masks):
        self.dense = {name: masked(value, masks.get(name)) for name, value in self.dense.items()}
        graph = self.model.graph
        del graph.initializer[:], graph.sparse_initializer[:]
        graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in self.dense.items())
        self.path = self.model.SerializeToString()

    def tensors(self):
        rest = onnx.ModelProto()
        rest.CopyFrom(self.model)
        del rest.graph.initializer[:], rest.graph.sparse_initializer[:]
        found = {name: of_numpy(value) for name, value in self.dense.items()}
        return {**found, 'rest': rest.SerializeToString(deterministic=True).hex()}

    def run(self, x):
        session = onnxruntime.InferenceSession(self.path, providers=['CPUExecutionProvider'])
        return session.run(None, {session.get_inputs()[0].name: x})[0]


def library(path):
    return Onnx if path.endswith('.onnx') else Keras if path.endswith(('.keras', '.h5')) else Torch


def differences(wished, found):
    return [name for name in {**wished, **found} if wished.get(name) != found.get(name)]


def exported(path, named, wished, x):
    """An export, against the weights that it takes from `named` and the outputs that are wished."""
    file = Onnx(path)
    error = np.abs(file.run(x) - wished).max() / np.abs(wished).max()
    wrong = [name for name, mask in named.items() if of_numpy(file.dense[name]) != of_numpy(mask)]
    return {'different': wrong, 'error': float(error)}


def weights_of(oracle, masks):
    """Arrays by the names of the masks, in float32."""
    if isinstance(oracle, Torch):
        return {n: v.float().numpy() for n in masks for k, v in oracle.state.items() if n == k or n.endswith('.' + k)}
    return {name: (oracle.named if isinstance(oracle, Keras) else oracle.dense)[name] for name in masks}


report = {}
with open(os.path.join(folder, 'expected.json')) as file:
    models = json.load(file)['models']
for model in models:
    name = model['file']
    out = os.path.join(folder, 'out', name)
    x = np.array(model['input'], 'float32').reshape(model['shape'])
    kind = library(name)
    with np.load(out + '.npz') as file:
        masks = {key: file[key].astype(bool) for key in file}
    oracle = kind(os.path.join(folder, name))
    oracle.prune(masks)
    written = kind(out)
    wished = oracle.run(x)
    weights = weights_of(oracle, masks)
    report[name] = {
        'zeros': int(sum((value == 0).sum() for value in weights.values())),
        'different': differences(oracle.tensors(), written.tensors()),
        'equal': wished.tobytes() == written.run(x).tobytes(),
        'varied': bool((wished[0] != wished[-1]).any()),
        'dense': exported(out + '.dense.onnx', weights, wished, x),
        'sparse': exported(out + '.sparse.onnx', weights, wished, x),
    }
print(json.dumps(report))
