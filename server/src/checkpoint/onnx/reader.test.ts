import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Long from 'long';
import { temporaryFolder } from '../../../../test/files';
import { floats, ints, modelBytes, node } from '../../../../test/onnx-models';
import { InputError } from '../../errors';
import { onnx } from './generated/onnx';
import { decodeModel, match, open } from './reader';
import { storedTensor } from './tensor';

const types = onnx.TensorProto.DataType;
const dims = (...sizes: number[]): Long[] => sizes.map((size) => Long.fromNumber(size));
const raw = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const read = (proto: onnx.ITensorProto): number[] => Array.from(storedTensor(proto, 'w', 'm.onnx').read().values);

const encodings: { title: string; proto: onnx.ITensorProto; values: number[] }[] = [
  { title: 'float32, raw', proto: { dataType: types.FLOAT, rawData: raw('0000803f000000c0') }, values: [1, -2] },
  { title: 'float32, typed', proto: { dataType: types.FLOAT, floatData: [1, -2] }, values: [1, -2] },
  {
    title: 'float64, raw',
    proto: { dataType: types.DOUBLE, rawData: raw('000000000000f03f9a9999999999b9bf') },
    values: [1, -0.1],
  },
  { title: 'float64, typed', proto: { dataType: types.DOUBLE, doubleData: [1, -0.1] }, values: [1, -0.1] },
  { title: 'float16, raw', proto: { dataType: types.FLOAT16, rawData: raw('003c00c0') }, values: [1, -2] },
  {
    title: 'float16, typed, subnormal and infinite',
    proto: { dataType: types.FLOAT16, int32Data: [0x0001, 0xfc00] },
    values: [2 ** -24, -Infinity],
  },
  { title: 'bfloat16, raw', proto: { dataType: types.BFLOAT16, rawData: raw('803f00c0') }, values: [1, -2] },
  { title: 'bfloat16, typed', proto: { dataType: types.BFLOAT16, int32Data: [0x3f80, 0xc000] }, values: [1, -2] },
  { title: 'int8, raw', proto: { dataType: types.INT8, rawData: raw('01ff') }, values: [1, -1] },
  { title: 'uint8, typed', proto: { dataType: types.UINT8, int32Data: [1, 255] }, values: [1, 255] },
  { title: 'int16, raw', proto: { dataType: types.INT16, rawData: raw('0100ffff') }, values: [1, -1] },
  { title: 'uint16, raw', proto: { dataType: types.UINT16, rawData: raw('0100ffff') }, values: [1, 65535] },
  { title: 'int32, raw', proto: { dataType: types.INT32, rawData: raw('01000000ffffffff') }, values: [1, -1] },
  { title: 'int32, typed', proto: { dataType: types.INT32, int32Data: [1, -1] }, values: [1, -1] },
  {
    title: 'uint32, typed',
    proto: { dataType: types.UINT32, uint64Data: dims(1, 4294967295) },
    values: [1, 4294967295],
  },
  {
    title: 'int64, raw',
    proto: { dataType: types.INT64, rawData: raw('0100000000000000ffffffffffffffff') },
    values: [1, -1],
  },
  { title: 'int64, typed', proto: { dataType: types.INT64, int64Data: dims(1, -1) }, values: [1, -1] },
  {
    title: 'uint64, raw',
    proto: { dataType: types.UINT64, rawData: raw('01000000000000000200000000000000') },
    values: [1, 2],
  },
  { title: 'bool, raw', proto: { dataType: types.BOOL, rawData: raw('0100') }, values: [1, 0] },
  { title: 'bool, typed', proto: { dataType: types.BOOL, int32Data: [1, 0] }, values: [1, 0] },
];

for (const { title, proto, values } of encodings) {
  test(`a tensor is read: ${title}`, () => assert.deepEqual(read({ ...proto, dims: dims(2) }), values));
}

/** Three elements each of types that are listed and not computed with, and their bytes. */
const opaque: readonly (readonly [title: string, onnx.ITensorProto, hex: string])[] = [
  ['float8, raw', { dataType: types.FLOAT8E4M3FN, rawData: raw('38c040') }, '38c040'],
  ['float8, typed', { dataType: types.FLOAT8E8M0, int32Data: [0x7f, 0x80, 0] }, '7f8000'],
  ['int4, raw', { dataType: types.INT4, rawData: raw('f103') }, 'f103'],
  ['uint4, typed', { dataType: types.UINT4, int32Data: [0xf1, 0x03] }, 'f103'],
  ['uint2, typed', { dataType: 25, int32Data: [0x39] }, '39'],
  // 000001, 100000, 111111 from the lowest bit on: 00000001 11111000 00000011.
  ['six bits, typed', { dataType: 27, int32Data: [0x01, 0x20, 0x3f] }, '01f803'],
  [
    'complex64, typed',
    { dataType: types.COMPLEX64, floatData: [1, -2, 0, 0, 0, 1] },
    `0000803f000000c0${'0'.repeat(24)}0000803f`,
  ],
];
for (const [title, proto, hex] of opaque) {
  test(`bytes of a tensor are read: ${title}`, () => {
    const tensor = storedTensor({ ...proto, dims: dims(3) }, 'w', 'm.onnx');
    assert.equal(Buffer.from(tensor.bytes()).toString('hex'), hex);
    const more = storedTensor({ ...proto, dims: dims(2 ** 40) }, 'w', 'm.onnx');
    assert.throws(() => more.bytes(), /^InputError: tensor data: \d+ \w+ where .* needs \d+/);
  });
}

test('a scalar and an empty tensor are read', () => {
  assert.deepEqual(read({ dataType: types.FLOAT, floatData: [3] }), [3]);
  assert.deepEqual(read({ dataType: types.FLOAT, dims: dims(0, 3) }), []);
});

test('raw data need not be aligned', () => {
  const odd = raw('ff0000803f').subarray(1);
  assert.deepEqual(read({ dataType: types.FLOAT, rawData: odd, dims: dims(1) }), [1]);
});

const badTensors: { title: string; proto: onnx.ITensorProto; message: RegExp }[] = [
  {
    title: 'too few bytes',
    proto: { dataType: types.FLOAT, dims: dims(2), rawData: raw('0000803f') },
    message: /^tensor data: 4 bytes where float32 \[2\] needs 8 \(tensor "w", m\.onnx\); the file is truncated/,
  },
  {
    title: 'too many values',
    proto: { dataType: types.INT64, dims: dims(1), int64Data: dims(1, 2) },
    message: /^tensor data: 2 values where int64 \[1\] needs 1/,
  },
  {
    title: 'a shape without data, far beyond memory',
    proto: { dataType: types.FLOAT, dims: dims(2 ** 40) },
    message: /^tensor data: 0 values where float32 \[1099511627776\] needs 1099511627776/,
  },
  {
    title: 'a negative size',
    proto: { dataType: types.FLOAT, dims: dims(-1, 3) },
    message: /^impossible shape: \[-1, 3\]/,
  },
  {
    title: 'a product beyond all integers',
    proto: { dataType: types.FLOAT, dims: dims(2 ** 40, 2 ** 40) },
    message: /^impossible shape: \[1099511627776, 1099511627776\]/,
  },
  {
    title: 'float8',
    proto: { dataType: types.FLOAT8E4M3FN, dims: dims(1), rawData: raw('00') },
    message: /^element type not supported: float8e4m3fn \(tensor "w", m\.onnx\); save/,
  },
  {
    title: 'int4',
    proto: { dataType: types.INT4, dims: dims(1), rawData: raw('00') },
    message: /^element type not supported: int4/,
  },
  {
    title: 'strings',
    proto: { dataType: types.STRING, dims: dims(1) },
    message: /^element type not supported: string/,
  },
  {
    title: 'an unheard-of type',
    proto: { dataType: 99, dims: dims(1) },
    message: /^element type not supported: type 99/,
  },
  {
    title: 'a segment',
    proto: { dataType: types.FLOAT, dims: dims(1), segment: {}, floatData: [1] },
    message: /^segmented tensor not supported/,
  },
];

for (const { title, proto, message } of badTensors) {
  test(`a tensor is refused: ${title}`, () => {
    assert.throws(
      () => read(proto),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });
}

const model = modelBytes({
  nodes: [node('MatMul', ['x', 'w'], ['y'], {}, 'fc')],
  inputs: [
    ['x', ['batch', 2]],
    ['w', [2, 3]],
  ],
  outputs: [['y', ['batch', 3]]],
  tensors: [floats('w', [2, 3], [1, 2, 3, 4, 5, 6])],
});

test('a model is decoded; an input with an initializer is no input', () => {
  const file = decodeModel(model, 'm.onnx');
  assert.equal(file.opset, 17);
  assert.equal(file.producer, 'test');
  assert.deepEqual(file.inputs, [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }]);
  assert.deepEqual(file.outputs, [{ name: 'y', dtype: 'float32', shape: ['batch', 3] }]);
  assert.deepEqual([...file.tensors.keys()], ['w']);
  assert.equal(file.nodes[0]!.op, 'MatMul');
});

test('attributes of files that do not say their type are read by content', () => {
  const proto = onnx.ModelProto.decode(model);
  proto.graph!.node![0]!.attribute = [
    { name: 'i', i: Long.fromNumber(3) },
    { name: 'f', f: 0.5 },
    { name: 's', s: Buffer.from('NOTSET') },
    { name: 'ints', ints: dims(1, 2) },
  ];
  const { attributes } = decodeModel(onnx.ModelProto.encode(proto).finish(), 'm.onnx').nodes[0]!;
  assert.deepEqual(Object.fromEntries(attributes), {
    i: { kind: 'int', value: 3 },
    f: { kind: 'float', value: 0.5 },
    s: { kind: 'string', value: 'NOTSET' },
    ints: { kind: 'ints', value: [1, 2] },
  });
});

const duplicate = modelBytes({ nodes: [], outputs: ['w'], tensors: [ints('w', 1), ints('w', 2)] });
const nameless = modelBytes({ nodes: [], outputs: ['w'], tensors: [ints('', 1)] });

const malformed: { title: string; bytes: Uint8Array; message: RegExp }[] = [
  { title: 'nothing', bytes: new Uint8Array(), message: /^file empty: m\.onnx; copy or export it again$/ },
  {
    title: 'a truncated model',
    bytes: model.subarray(0, model.length - 7),
    message: /^ONNX file not readable: m\.onnx \(.*\); it is truncated or no ONNX model/,
  },
  {
    title: 'text',
    bytes: Buffer.from('hello, world\n'),
    message: /^ONNX file (not readable|without a graph): m\.onnx/,
  },
  { title: 'random bytes', bytes: Buffer.from('d00dfeed'.repeat(64), 'hex'), message: /^ONNX file not readable/ },
  { title: 'a model without a graph', bytes: raw('0808'), message: /^ONNX file without a graph: m\.onnx; / },
  { title: 'two initializers of one name', bytes: duplicate, message: /^duplicate initializer: w \(m\.onnx\)/ },
  {
    title: 'an initializer without a name',
    bytes: nameless,
    message: /^initializer without a name: number 0 \(m\.onnx\)/,
  },
];

for (const { title, bytes, message } of malformed) {
  test(`a file is refused: ${title}`, () => {
    assert.throws(
      () => decodeModel(bytes, 'm.onnx'),
      (error) => error instanceof InputError && message.test(error.message) && !error.message.includes('\n'),
    );
  });
}

test('every truncation of a model is an InputError or a smaller model', () => {
  for (let length = 0; length < model.length; length++) {
    try {
      decodeModel(model.subarray(0, length), 'm.onnx');
    } catch (error) {
      assert.ok(error instanceof InputError, `${length} bytes: ${String(error)}`);
    }
  }
});

test('a model is recognised by its first fields', () => {
  assert.equal(match(model), true);
  assert.equal(match(model.subarray(0, 12)), true);
  for (const head of ['', 'PK\x03\x04', '\x89HDF\r\n\x1a\n', '{"format"', '\x80\x02}', 'hello']) {
    assert.equal(match(Buffer.from(head, 'latin1')), false, JSON.stringify(head));
  }
});

test('a file beyond 2 GiB is refused before it is read', async (t) => {
  const path = join(temporaryFolder(t, { 'big.onnx': '' }), 'big.onnx');
  truncateSync(path, 2 ** 31 + 2 ** 29);
  await assert.rejects(open(path), /^InputError: file too large: 2\.5 GiB \(.*big\.onnx\); ONNX files end at 2 GiB/);
});

const external = (entries: Readonly<Record<string, string>>): onnx.ITensorProto => ({
  name: 'w',
  dims: dims(2),
  dataType: types.FLOAT,
  dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
  externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
});

test('external data are read at their offset, in the folder and below it', (t) => {
  const folder = temporaryFolder(t, { 'sub/w.bin': raw('ffff0000803f000000c0') });
  const tensor = storedTensor(
    external({ location: 'sub/w.bin', offset: '2', length: '8' }),
    'w',
    join(folder, 'm.onnx'),
  );
  assert.deepEqual(Array.from(tensor.read().values), [1, -2]);
});

const badExternals: { title: string; entries: Record<string, string>; message: RegExp }[] = [
  { title: 'no location', entries: {}, message: /^external data location: "" is not a path inside/ },
  {
    title: 'a path upwards',
    entries: { location: '../secret.bin' },
    message:
      /^external data location: "\.\.\/secret\.bin" is not a path inside the model's folder \(tensor "w", m\.onnx\)/,
  },
  {
    title: 'a path upwards and back',
    entries: { location: 'sub/../../secret.bin' },
    message: /^external data location: /,
  },
  {
    title: 'an absolute path',
    entries: { location: '/etc/hostname' },
    message: /^external data location: "\/etc\/hostname" is not/,
  },
  {
    title: 'a link out of the folder',
    entries: { location: 'link.bin' },
    message: /^external data location: link\.bin is a link out of the model's folder/,
  },
  { title: 'a folder', entries: { location: 'sub' }, message: /^external data not a file: sub/ },
  {
    title: 'a missing file',
    entries: { location: 'none.bin' },
    message: /^external data missing: none\.bin \(tensor "w", m\.onnx\); copy the data file/,
  },
  {
    title: 'an offset beyond the end',
    entries: { location: 'w.bin', offset: '4' },
    message: /^external data too short: w\.bin has 8 bytes, 12 are needed/,
  },
  { title: 'a negative offset', entries: { location: 'w.bin', offset: '-4' }, message: /^external data offset: "-4"/ },
  {
    title: 'a length that lies',
    entries: { location: 'w.bin', length: '4' },
    message: /^external data length: 4 bytes where the shape needs 8/,
  },
];

for (const { title, entries, message } of badExternals) {
  test(`external data are refused: ${title}`, (t) => {
    const outside = temporaryFolder(t, { 'secret.bin': raw('0000803f000000c0') });
    const folder = join(outside, 'model');
    mkdirSync(join(folder, 'sub'), { recursive: true });
    writeFileSync(join(folder, 'w.bin'), raw('0000803f000000c0'));
    symlinkSync(join(outside, 'secret.bin'), join(folder, 'link.bin'));
    assert.throws(
      () => storedTensor(external(entries), 'w', join(folder, 'm.onnx')).read(),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });
}
