"""Tensors as `inspect --json --hash` describes them."""

import hashlib

import numpy as np
import torch
from onnx import numpy_helper

# Where ONNX has a name that is not PyTorch's.
NAMES = {
    'float8_e4m3fn': 'float8e4m3fn',
    'float8_e4m3fnuz': 'float8e4m3fnuz',
    'float8_e5m2': 'float8e5m2',
    'float8_e5m2fnuz': 'float8e5m2fnuz',
    'float8_e8m0fnu': 'float8e8m0',
    'float4_e2m1fn': 'float4e2m1',
    'float6_e2m3fn': 'float6e2m3',
    'float6_e3m2fn': 'float6e3m2',
}


def described(dtype, shape, content):
    return [NAMES.get(dtype, dtype), list(shape), hashlib.sha256(content).hexdigest()]


def of_torch(tensor):
    dense = tensor.detach().contiguous().flatten()
    content = dense.view(torch.uint8) if dense.numel() else torch.zeros(0, dtype=torch.uint8)
    return described(str(tensor.dtype).replace('torch.', ''), tensor.shape, content.numpy().tobytes())


def of_onnx(tensor):
    """By ONNX's own packing of elements of less than a byte."""
    array = numpy_helper.to_array(tensor)
    return described(str(array.dtype), array.shape, numpy_helper.from_array(array).raw_data)


def of_numpy(array):
    array = np.asarray(array)
    return described(str(array.dtype), array.shape, np.ascontiguousarray(array).tobytes())
