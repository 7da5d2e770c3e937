"""Tensors of a PyTorch file without unpickling it: pickletools only takes its opcodes apart.

A call stays a tuple ('call', name, arguments, entries) and is never made;
tensors are those of torch._utils._rebuild_tensor and _rebuild_tensor_v2, whose
meaning is public. What is called besides is kept as it is named, so that a
whole module is found out.
"""

import pickletools
import zipfile

import numpy as np

#: numpy has no bfloat16: the bytes are what is wanted.
DTYPES = {
    'FloatStorage': ('float32', '<f4'),
    'DoubleStorage': ('float64', '<f8'),
    'HalfStorage': ('float16', '<f2'),
    'BFloat16Storage': ('bfloat16', '<u2'),
    'LongStorage': ('int64', '<i8'),
    'IntStorage': ('int32', '<i4'),
    'ShortStorage': ('int16', '<i2'),
    'CharStorage': ('int8', 'i1'),
    'ByteStorage': ('uint8', 'u1'),
    'BoolStorage': ('bool', 'u1'),
}
REBUILD = ('torch._utils _rebuild_tensor', 'torch._utils _rebuild_tensor_v2')
PARAMETER = 'torch._utils _rebuild_parameter'
MARK = object()


def value_of(stream):
    """What one pickle says, calls left alone. The stream stands behind it afterwards."""
    stack, memo = [], {}

    def above_mark():
        at = max(i for i, x in enumerate(stack) if x is MARK)
        items = stack[at + 1 :]
        del stack[at:]
        return items

    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in ('PROTO', 'FRAME', 'STOP'):
            continue
        if name == 'MARK':
            stack.append(MARK)
        elif name in ('BINPUT', 'LONG_BINPUT', 'PUT'):
            memo[argument] = stack[-1]
        elif name == 'MEMOIZE':
            memo[len(memo)] = stack[-1]
        elif name in ('BINGET', 'LONG_BINGET', 'GET'):
            stack.append(memo[argument])
        elif name == 'GLOBAL':
            stack.append(('global', argument))
        elif name == 'STACK_GLOBAL':
            attribute, module = stack.pop(), stack.pop()
            stack.append(('global', f'{module} {attribute}'))
        elif name in ('EMPTY_DICT', 'EMPTY_LIST', 'EMPTY_TUPLE', 'EMPTY_SET'):
            stack.append({'EMPTY_DICT': dict, 'EMPTY_LIST': list, 'EMPTY_TUPLE': tuple, 'EMPTY_SET': list}[name]())
        elif name in ('TUPLE1', 'TUPLE2', 'TUPLE3'):
            count = int(name[-1])
            items = tuple(stack[-count:])
            del stack[-count:]
            stack.append(items)
        elif name == 'TUPLE':
            stack.append(tuple(above_mark()))
        elif name == 'LIST':
            stack.append(above_mark())
        elif name == 'DICT':
            items = above_mark()
            stack.append(dict(zip(items[::2], items[1::2])))
        elif name in ('APPENDS', 'ADDITEMS'):
            items = above_mark()
            stack[-1].extend(items)
        elif name == 'APPEND':
            item = stack.pop()
            stack[-1].append(item)
        elif name in ('SETITEM', 'SETITEMS'):
            items = above_mark() if name == 'SETITEMS' else [stack.pop(-2), stack.pop()]
            entries(stack[-1]).update(zip(items[::2], items[1::2]))
        elif name in ('REDUCE', 'NEWOBJ'):
            arguments, function = stack.pop(), stack.pop()
            stack.append(('call', function[1], arguments, {}))
        elif name == 'BUILD':
            state = stack.pop()
            if isinstance(stack[-1], tuple) and stack[-1][:2] != ('call', 'collections OrderedDict'):
                stack[-1] = (*stack[-1], state)
        elif name in ('BINPERSID', 'PERSID'):
            stack.append(('storage', *stack.pop()[1:]) if name == 'BINPERSID' else ('storage', argument))
        elif name in ('NONE', 'NEWTRUE', 'NEWFALSE'):
            stack.append({'NONE': None, 'NEWTRUE': True, 'NEWFALSE': False}[name])
        elif name == 'POP':
            stack.pop()
        elif argument is not None or name in ('LONG1', 'SHORT_BINUNICODE', 'BINUNICODE'):
            stack.append(argument)
        else:
            raise ValueError(f'opcode {name}')
    return stack[-1]


def entries(container):
    """The dictionary of a dict, or of the call that makes an OrderedDict."""
    return container if isinstance(container, dict) else container[3]


def tensors_of(path, describe):
    """By name; None where something is called that makes no tensor. `describe(dtype, shape, bytes)` is kept of each."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            pickle = next(name for name in archive.namelist() if name.endswith('data.pkl'))
            folder = pickle[: -len('data.pkl')]
            with archive.open(pickle) as stream:
                value = value_of(stream)
            return flat(value, lambda storage: archive.read(f'{folder}data/{storage[2]}'), describe)
    with open(path, 'rb') as stream:
        value_of(stream)  # magic number
        value_of(stream)  # protocol
        value_of(stream)  # of the machine that wrote it
        value = value_of(stream)
        keys = value_of(stream)
        widths = {}

        def remember(storage):
            widths[storage[2]] = np.dtype(DTYPES[storage[1][1].split()[-1]][1]).itemsize
            return b''

        flat(value, remember, lambda *_: None)
        contents = {}
        for key in keys:
            count = int.from_bytes(stream.read(8), 'little')
            contents[key] = stream.read(count * widths[key])
    return flat(value, lambda storage: contents[storage[2]], describe)


def flat(value, read, describe, name=''):
    if isinstance(value, tuple) and value[:1] == ('call',):
        function, arguments = value[1], value[2]
        if function in REBUILD:
            return {name: tensor(arguments, read, describe)}
        if function == PARAMETER:
            return flat(arguments[0], read, describe, name)
        if function != 'collections OrderedDict':
            return None
        value = value[3]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    found = {}
    for key, child in items:
        inner = flat(child, read, describe, f'{name}.{key}' if name else str(key))
        if inner is None:
            return None
        found.update(inner)
    return found


def tensor(arguments, read, describe):
    storage, offset, shape, strides = arguments[:4]
    dtype, code = DTYPES[storage[1][1].split()[-1]]
    content = read(storage)
    if not content:
        return describe(dtype, shape, b'')
    elements = np.frombuffer(content, code)
    width = elements.itemsize
    view = np.lib.stride_tricks.as_strided(elements[offset:], shape, [width * stride for stride in strides])
    return describe(dtype, shape, np.ascontiguousarray(view).tobytes())
