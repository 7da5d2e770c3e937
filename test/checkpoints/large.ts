import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import Long from 'long';
import { onnx } from '../../server/src/checkpoint/onnx/generated/onnx';
import { float32Bytes } from '../files';
import { floats, modelBytes, node } from '../onnx-models';
import { projectRoot } from '../outside';

/**
 * Checkpoints of ten gigabytes that take no room: a weight [COUNT / 4, 4] of zeros,
 * which is a hole in the file, and a small tensor, behind it where the format can say so.
 */

export const COUNT = 2_500_000_000;
export const SMALL = [5, 6, 7, 8];
const BYTES = 4 * COUNT;

/** Writes pieces at their places; what is between them is a hole. */
function writeSparse(path: string, pieces: readonly (readonly [at: number, bytes: Uint8Array])[], size: number): void {
  const file = openSync(path, 'w');
  try {
    for (const [at, bytes] of pieces) writeSync(file, bytes, 0, bytes.length, at);
    ftruncateSync(file, size);
  } finally {
    closeSync(file);
  }
}

const small = float32Bytes(SMALL);

function safetensors(folder: string): string {
  const header = Buffer.from(
    JSON.stringify({
      'fc.weight': { dtype: 'F32', shape: [COUNT / 4, 4], data_offsets: [0, BYTES] },
      small: { dtype: 'F32', shape: [4], data_offsets: [BYTES, BYTES + 16] },
    }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const start = 8 + header.length;
  const path = join(folder, 'large.safetensors');
  const pieces = [
    [0, Buffer.concat([length, header])],
    [start + BYTES, small],
  ] as const;
  writeSparse(path, pieces, start + BYTES + 16);
  return path;
}

const text = (value: string): Buffer => Buffer.concat([Buffer.from('X'), uint32(value.length), Buffer.from(value)]);
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const integer = (value: number): Buffer => {
  const bytes = Buffer.alloc(10);
  bytes.set([0x8a, 8]);
  bytes.writeBigInt64LE(BigInt(value), 2);
  return bytes;
};
const code = (opcodes: string): Buffer => Buffer.from(opcodes, 'latin1');

/** `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())` (torch/_utils.py). */
function tensor(
  key: string,
  count: number,
  shape: readonly number[],
  strides: readonly number[],
  legacy: boolean,
): Buffer {
  return Buffer.concat([
    code('ctorch._utils\n_rebuild_tensor_v2\n(('),
    text('storage'),
    code('ctorch\nFloatStorage\n'),
    text(key),
    text('cpu'),
    integer(count),
    // Legacy files name a view beside.
    code(legacy ? 'NtQ' : 'tQ'),
    integer(0),
    code('('),
    ...shape.map(integer),
    code('t('),
    ...strides.map(integer),
    code('t\x89ccollections\nOrderedDict\n)RtR'),
  ]);
}

const pickle = (legacy: boolean): Buffer =>
  Buffer.concat([
    code('\x80\x02}('),
    text('fc.weight'),
    tensor('0', COUNT, [COUNT / 4, 4], [4, 1], legacy),
    text('small'),
    tensor('1', 4, [4], [1], legacy),
    code('u.'),
  ]);

interface ZipEntry {
  readonly name: string;
  readonly size: number;
  /** What is not a hole. */
  readonly content: Buffer;
}

/** PKWARE APPNOTE 4.5.3: sizes and positions of 64 bits. */
function writeZip(path: string, entries: readonly ZipEntry[]): void {
  const pieces: (readonly [number, Uint8Array])[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, size, content } of entries) {
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    pieces.push([at, Buffer.concat([local, Buffer.from(name), content])]);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt32LE(size === content.length ? crc32(content) : 0, 16);
    central.fill(0xff, 20, 28);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(28, 30);
    central.fill(0xff, 42, 46);
    const extra = Buffer.alloc(28);
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(24, 2);
    [size, size, at].forEach((value, i) => extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
    directory.push(central, Buffer.from(name), extra);
    at += 30 + name.length + size;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  end.writeBigUInt64LE(44n, 4);
  end.writeBigUInt64LE(BigInt(entries.length), 24);
  end.writeBigUInt64LE(BigInt(entries.length), 32);
  end.writeBigUInt64LE(BigInt(listed.length), 40);
  end.writeBigUInt64LE(BigInt(at), 48);
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(at + listed.length), 64);
  end.writeUInt32LE(1, 72);
  end.writeUInt32LE(0x06054b50, 76);
  end.fill(0xff, 84, 96);
  pieces.push([at, Buffer.concat([listed, end])]);
  writeSparse(path, pieces, at + listed.length + end.length);
}

function pytorchZip(folder: string): string {
  const path = join(folder, 'large.pt');
  const object = pickle(false);
  writeZip(path, [
    { name: 'large/data.pkl', size: object.length, content: object },
    { name: 'large/data/0', size: BYTES, content: Buffer.alloc(0) },
    { name: 'large/data/1', size: small.length, content: Buffer.from(small) },
  ]);
  return path;
}

function pytorchLegacy(folder: string): string {
  const path = join(folder, 'large_legacy.pt');
  const magic = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
  const protocol = Buffer.from('80024de9032e', 'hex');
  const system = Buffer.concat([code('\x80\x02}'), text('little_endian'), code('\x88s.')]);
  const keys = Buffer.concat([code('\x80\x02]('), text('0'), text('1'), code('e.')]);
  const length = (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  };
  const head = Buffer.concat([magic, protocol, system, pickle(true), keys, length(COUNT)]);
  const end = head.length + BYTES;
  const pieces = [
    [0, head],
    [end, Buffer.concat([length(4), small])],
  ] as const;
  writeSparse(path, pieces, end + 24);
  return path;
}

function onnxExternal(folder: string): string {
  const path = join(folder, 'large.onnx');
  const external = (length: number, offset: number): onnx.ITensorProto => ({
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
    externalData: Object.entries({ location: 'large.bin', offset: String(offset), length: String(length) }).map(
      ([key, value]) => ({ key, value }),
    ),
  });
  const dims = [COUNT / 4, 4].map((size) => Long.fromNumber(size));
  const model = modelBytes({
    inputs: [['x', ['N', COUNT / 4]]],
    outputs: ['y'],
    nodes: [node('MatMul', ['x', 'fc.weight'], ['y'])],
    tensors: [
      { ...floats('fc.weight', [], []), dims, ...external(BYTES, 0) },
      { ...floats('small', [4], []), ...external(16, BYTES) },
    ],
  });
  writeSparse(path, [[0, model]], model.length);
  writeSparse(join(folder, 'large.bin'), [[BYTES, small]], BYTES + 16);
  return path;
}

/** The beginning of an HDF5 file: h5py left room for the weight for when it is written (`keras_files.py`). */
function hdf5Head(name: string): Buffer {
  const file = readFileSync(join(projectRoot(), 'test/checkpoints', name));
  // The end of the file in the superblock, and the place of the weight before its size in its header.
  file.writeBigUInt64LE(BigInt(file.length + BYTES), 40);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(BYTES));
  file.writeBigUInt64LE(BigInt(file.length), file.indexOf(size) - 8);
  return file;
}

function hdf5(folder: string): string {
  const path = join(folder, 'large.h5');
  const head = hdf5Head('large.h5');
  writeSparse(path, [[0, head]], head.length + BYTES);
  return path;
}

function keras(folder: string): string {
  const path = join(folder, 'large.keras');
  const layers = [
    { class_name: 'InputLayer', config: { name: 'x', batch_shape: [null, COUNT / 4] } },
    { class_name: 'Dense', config: { name: 'fc', units: 4, use_bias: true, activation: 'linear' } },
  ];
  const config = Buffer.from(JSON.stringify({ class_name: 'Sequential', config: { name: 'm', layers } }));
  const head = hdf5Head('large_keras.h5');
  writeZip(path, [
    { name: 'config.json', size: config.length, content: config },
    { name: 'model.weights.h5', size: head.length + BYTES, content: head },
  ]);
  return path;
}

function tensorflowJs(folder: string): string {
  const path = join(folder, 'model.json');
  const attr = { dtype: { type: 'DT_FLOAT' } };
  const dims = ['-1', String(COUNT / 4)].map((size) => ({ size }));
  const node = [
    { op: 'Placeholder', name: 'x', attr: { shape: { shape: { dim: dims } } } },
    { op: 'Const', name: 'fc.weight', attr },
    { op: 'Const', name: 'small', attr },
    { op: 'MatMul', name: 'm', input: ['x', 'fc.weight'], attr: {} },
    { op: 'BiasAdd', name: 'y', input: ['m', 'small'], attr },
  ];
  const weights = [
    { name: 'fc.weight', shape: [COUNT / 4, 4], dtype: 'float32' },
    { name: 'small', shape: [4], dtype: 'float32' },
  ];
  const manifest = [{ paths: ['large.bin'], weights }];
  writeFileSync(path, JSON.stringify({ format: 'graph-model', modelTopology: { node }, weightsManifest: manifest }));
  writeSparse(join(folder, 'large.bin'), [[BYTES, small]], BYTES + 16);
  return path;
}

/** Makers of a file of every lazy format. */
export const largeFiles: Readonly<Record<string, (folder: string) => string>> = {
  safetensors,
  'PyTorch, ZIP64': pytorchZip,
  'PyTorch, legacy': pytorchLegacy,
  'ONNX, external data': onnxExternal,
  HDF5: hdf5,
  Keras: keras,
  'TensorFlow.js': tensorflowJs,
};
