"""Writes the PyTorch files of checkpoints.test.ts and what is in them.

Usage: /usr/bin/python3 test/checkpoints/pytorch_files.py [FOLDER] (torch 1.13; any later one writes the same tensors)

Every tensor of expected.json is listed with its dtype, its shape and the
SHA-256 of its elements as little-endian bytes in row-major order.
"""

import collections
import hashlib
import io
import json
import os
import sys
import zipfile

import torch

folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), 'files')
expected = {}
torch.manual_seed(7)
# The legacy form keeps the source of every module beside its class; ours has no need of it.
torch.serialization.get_source_lines_and_file = lambda _: (['class Net: ...'], 0, 'net.py')


def digest(tensor):
    dense = tensor.detach().contiguous()
    if dense.dtype == torch.bfloat16:
        dense = dense.view(torch.int16)
    return hashlib.sha256(dense.numpy().tobytes()).hexdigest()


def save(name, content, tensors, legacy=False):
    torch.save(content, os.path.join(folder, name), _use_new_zipfile_serialization=not legacy)
    record(name, tensors)


def record(name, tensors):
    expected[name] = {
        key: [str(value.dtype).replace('torch.', ''), list(value.shape), digest(value)]
        for key, value in tensors.items()
    }


def flat(value, name=''):
    """Tensors by their way from the top, as the reader names them."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    found = {}
    for key, child in items:
        found.update(flat(child, f'{name}.{key}' if name else str(key)))
    return found


types = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32]
types += [torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128]
dtypes = {str(t).replace('torch.', ''): (torch.randn(2, 3) * 5).to(t) for t in types}

base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
views = {
    'whole': base,
    'row': base[2],
    'column': base[:, 3],
    'transposed': base.t(),
    'window': base[1:3, 2:5],
    'every second': base[::2, ::3],
    'expanded': torch.tensor([[1.0], [2.0]]).expand(2, 5),
    'scalar': torch.tensor(3.5),
    'empty': torch.zeros(0, 4),
    'parameter': torch.nn.Parameter(torch.randn(3)),
}


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3)
        self.norm = torch.nn.BatchNorm2d(2)
        self.fc = torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.norm(self.conv(x))).flatten(1))


net = Net().eval()
state = net.state_dict()
optimizer = torch.optim.Adam(net.parameters())
net(torch.randn(2, 1, 4, 4)).sum().backward()
optimizer.step()

for legacy in (False, True):
    end = '_legacy.pt' if legacy else '.pt'
    save('dtypes' + end, dtypes, dtypes, legacy)
    save('views' + end, views, views, legacy)
    save('whole_module' + end, net, state, legacy)
    wrapped = {'epoch': 3, 'state_dict': state, 'optimizer': optimizer.state_dict(), 'best': 0.5}
    save('wrapped' + end, wrapped, flat(wrapped), legacy)
save('list.pt', [state, {'lr': 0.1}], flat([state, {'lr': 0.1}]))
parallel = collections.OrderedDict(('module.' + key, value) for key, value in state.items())
save('parallel.pt', parallel, parallel)
compiled = {'net': {'_orig_mod.module.' + key: value for key, value in state.items()}}
save('compiled.pt', compiled, flat(compiled))

# Without the notes for debuggers, which hold paths of this machine.
script = io.BytesIO()
torch.jit.save(torch.jit.script(net), script)
with zipfile.ZipFile(script) as source, zipfile.ZipFile(os.path.join(folder, 'script.pt'), 'w') as target:
    for entry in source.namelist():
        if not entry.endswith('.debug_pkl'):
            target.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), source.read(entry))
record('script.pt', state)


def entries(archive):
    """Their names, without that of the byte order, which later releases write."""
    return [name for name in archive.namelist() if not name.endswith('/byteorder')]


# As other tools repack it: deflated, with the byte order that PyTorch 2.1 and later writes.
with zipfile.ZipFile(os.path.join(folder, 'wrapped.pt')) as source:
    with zipfile.ZipFile(os.path.join(folder, 'deflated.pt'), 'w', zipfile.ZIP_DEFLATED) as target:
        for entry in entries(source):
            target.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), source.read(entry), zipfile.ZIP_DEFLATED)
        target.writestr(zipfile.ZipInfo('wrapped/byteorder', (1980, 1, 1, 0, 0, 0)), 'little')
record('deflated.pt', flat(wrapped))

# Big-endian bytes of every storage: what a mainframe writes.
with zipfile.ZipFile(os.path.join(folder, 'dtypes.pt')) as source:
    with zipfile.ZipFile(os.path.join(folder, 'big.pt'), 'w') as target:
        widths = [t.element_size() for t in dtypes.values()]
        for entry in entries(source):
            content = source.read(entry)
            key = entry.split('/')[-1]
            if '/data/' in entry:
                tensor = list(dtypes.values())[int(key)]
                width = tensor.element_size()
                content = b''.join(content[i : i + width][::-1] for i in range(0, len(content), width))
            target.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), content)
        target.writestr(zipfile.ZipInfo('dtypes/byteorder', (1980, 1, 1, 0, 0, 0)), 'big')
record('big.pt', dtypes)

quantised = torch.quantize_per_tensor(torch.randn(4), 0.1, 3, torch.qint8)
torch.save({'w': quantised}, os.path.join(folder, 'quantised.pt'))
torch.save({'w': torch.eye(3).to_sparse()}, os.path.join(folder, 'sparse.pt'))

# A multilayer perceptron whose second layer is the transpose of its first, in the same memory.
mlp = torch.nn.Sequential(torch.nn.Linear(5, 5), torch.nn.ReLU(), torch.nn.Linear(5, 5))
tied = collections.OrderedDict(mlp.state_dict())
tied['2.weight'] = tied['0.weight'].t()
save('tied.pt', tied, tied)

with open(os.path.join(folder, 'expected.json'), 'w') as out:
    lines = [f' {json.dumps(name)}: {json.dumps(tensors)}' for name, tensors in expected.items()]
    out.write('{\n' + ',\n'.join(lines) + '\n}\n')
