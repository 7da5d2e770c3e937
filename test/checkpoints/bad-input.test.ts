import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Long from 'long';
import { summarizeCheckpoint } from '../../server/src/checkpoint/inspect';
import { toModel } from '../../server/src/checkpoint/model';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { InputError } from '../../server/src/errors';
import { float32Bytes, temporaryFolder, zipBytes } from '../files';
import { floats, modelBytes, node, ramp } from '../onnx-models';
import { projectRoot } from '../outside';

/** Files that want more than to be read: memory, other files, endless work. Each is refused, and says why. */

const code = (text: string): Buffer => Buffer.from(text, 'latin1');
const little = (value: number, width: 4 | 8): Buffer => {
  const bytes = Buffer.alloc(width);
  if (width === 4) bytes.writeUInt32LE(value);
  else bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const text = (value: string): Buffer =>
  Buffer.concat([code('X'), little(Buffer.byteLength(value), 4), Buffer.from(value)]);

/** A state dict with one tensor over a storage of one float. */
const tensorPickle = (numel: Buffer, shape: Buffer, strides: Buffer): Buffer =>
  Buffer.concat([
    code('\x80\x02}'),
    text('w'),
    code('ctorch._utils\n_rebuild_tensor_v2\n(('),
    text('storage'),
    code('ctorch\nFloatStorage\n'),
    text('0'),
    text('cpu'),
    numel,
    code('tQK\x00('),
    shape,
    code('t('),
    strides,
    code('t\x89ccollections\nOrderedDict\n)RtRs.'),
  ]);
const one = code('K\x01');
const huge = code('J\xff\xff\xff\x7f');
const pt = (pickle: Uint8Array): Buffer =>
  zipBytes([
    { name: 'x/data.pkl', content: pickle },
    { name: 'x/data/0', content: float32Bytes([1]) },
  ]);
const sound = tensorPickle(one, one, one);
const fixture = (name: string): Buffer => readFileSync(join(projectRoot(), 'test/checkpoints/hdf5', name));
const nothing = new Uint8Array(0);

const utf8 = (bytes: Uint8Array): Buffer => Buffer.from(bytes.map((byte) => (byte === 0x7e ? 0xff : byte)));
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const kerasModel = (layers: unknown): Buffer =>
  json({
    class_name: 'Functional',
    config: { name: 'm', layers, input_layers: [['a', 0, 0]], output_layers: [['c', 0, 0]] },
  });
const kerasTensor = (from: string): object => ({
  class_name: '__keras_tensor__',
  config: { shape: [null, 2], dtype: 'float32', keras_history: [from, 0, 0] },
});
const kerasLayer = (kind: string, name: string, inputs: readonly string[]): object => ({
  class_name: kind,
  name,
  config: { name, units: 2, activation: 'relu', batch_shape: [null, 2] },
  inbound_nodes:
    inputs.length === 0
      ? []
      : [{ args: inputs.length === 1 ? [kerasTensor(inputs[0]!)] : [inputs.map(kerasTensor)], kwargs: {} }],
});
const circularKeras = kerasModel([
  kerasLayer('InputLayer', 'a', []),
  kerasLayer('Add', 'b', ['a', 'c']),
  kerasLayer('Dense', 'c', ['b']),
]);

const external = (location: string): Uint8Array =>
  modelBytes({
    inputs: [['x', ['N', 2]]],
    outputs: ['y'],
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    tensors: [{ ...floats('w', [2, 2], []), dataLocation: 1, externalData: [{ key: 'location', value: location }] }],
  });

/** What the file is called, what is in it, and what is said. */
const cases: Readonly<Record<string, readonly [name: string, bytes: Uint8Array, message: RegExp]>> = {
  'a zip entry of 2 GB in 100 bytes': [
    'a.pt',
    zipBytes([
      { name: 'x/data.pkl', content: sound },
      { name: 'x/data/0', content: float32Bytes([1]), deflate: true, size: 2 ** 31 },
    ]),
    /^archive damaged: .*x\/data\/0 says that \d+ bytes unpack to 2147483648/,
  ],
  'a stored zip entry of 2 GB': [
    'a.pt',
    zipBytes([{ name: 'x/data.pkl', content: sound, size: 2 ** 31, packed: 2 ** 31 }]),
    /^archive damaged: .*says 2147483648 bytes, more than there are/,
  ],
  'a pickle that unpacks a thousandfold': [
    'a.pt',
    zipBytes([{ name: 'x/data.pkl', content: Buffer.concat([sound, Buffer.alloc(32 << 20)]), deflate: true }]),
    /^pickle too large: \d+ bytes/,
  ],
  'weights of Keras that unpack a thousandfold': [
    'a.keras',
    zipBytes([
      { name: 'config.json', content: circularKeras },
      { name: 'model.weights.h5', content: Buffer.alloc(32 << 20), deflate: true },
    ]),
    /^archive entry too large: model\.weights\.h5, 33554432 bytes/,
  ],
  'zip entries that share bytes': [
    'a.pt',
    zipBytes([
      { name: 'x/data.pkl', content: sound },
      { name: 'x/data/0', content: float32Bytes([1]), header: 0 },
    ]),
    /^archive damaged: .*reaches into the next entry/,
  ],
  'a zip entry above the archive': [
    'a.pt',
    zipBytes([
      { name: '../data.pkl', content: sound },
      { name: '../data/0', content: float32Bytes([1]) },
    ]),
    /^archive damaged: .*entry "\.\.\/data\.pkl" leads out of it/,
  ],
  'an absolute zip entry': [
    'a.keras',
    zipBytes([{ name: '/etc/model.weights.h5', content: nothing }]),
    /entry "\/etc\/model\.weights\.h5" leads out of it/,
  ],
  'a zip entry on another drive': ['a.pt', zipBytes([{ name: 'C:\\x\\data.pkl', content: sound }]), /leads out of it/],
  'a zip entry whose name is not UTF-8': [
    'a.pt',
    zipBytes([{ name: '', rawName: Uint8Array.of(0x78, 0xff, 0x2f, 0x64), content: sound }]),
    /^archive damaged: .*an entry's name is not UTF-8/,
  ],
  'a list in itself': ['a.pkl', code('\x80\x02]q\x00h\x00a.'), /^no tensors|itself/],
  'a dictionary in itself': [
    'a.pt',
    pt(Buffer.concat([code('\x80\x02}q\x00'), text('w'), code('h\x00s.')])),
    /^no tensors|itself/,
  ],
  'a text of 2 GB': [
    'a.pkl',
    Buffer.concat([code('\x80\x02X'), little(2 ** 31, 4)]),
    /^pickle damaged: 2147483648 bytes are claimed and 0 are there/,
  ],
  'bytes of 2 GB': [
    'a.pkl',
    Buffer.concat([code('\x80\x04\x8e'), little(2 ** 31, 8)]),
    /^pickle damaged: 2147483648 bytes are claimed and 0 are there/,
  ],
  'a whole number of 2 GB': [
    'a.pkl',
    Buffer.concat([code('\x80\x02\x8b'), little(2 ** 31 - 1, 4)]),
    /^pickle damaged: 2147483647 bytes are claimed and 0 are there/,
  ],
  'a text that is not UTF-8': ['a.pkl', code('\x80\x02X\x02\x00\x00\x00\xff\xfe.'), /UTF-8/],
  'a storage of 2 GB': ['a.pt', pt(tensorPickle(huge, huge, one)), /^tensor data: x\/data\/0, 4 bytes where/],
  'a view beyond its storage': ['a.pt', pt(tensorPickle(one, huge, one)), /storage/],
  'one element, two thousand million times': [
    'a.pt',
    pt(tensorPickle(one, huge, code('K\x00'))),
    /^tensor larger than its storage: \[2147483647\] of 1 elements/,
  ],
  'a safetensors header of 2 GB': [
    'a.safetensors',
    Buffer.concat([little(2 ** 31, 8), json({ a: 1 })]),
    /^safetensors header/,
  ],
  'a safetensors name that is not UTF-8': [
    'a.safetensors',
    ((header) => Buffer.concat([little(header.length, 8), header, Buffer.alloc(4)]))(
      utf8(json({ '~': { dtype: 'F32', shape: [1], data_offsets: [0, 4] } })),
    ),
    /^safetensors header is not UTF-8/,
  ],
  'an index of shards that is its own shard': [
    'a.safetensors.index.json',
    json({ weight_map: { w: 'a.safetensors.index.json' } }),
    /^safetensors|shard/,
  ],
  'an index that is not UTF-8': ['a.index.json', utf8(json({ weight_map: { '~': 'a.safetensors' } })), /^JSON damaged/],
  'a shard above the folder': [
    'model.json',
    json({
      modelTopology: { node: [] },
      weightsManifest: [{ paths: ['../w.bin'], weights: [] }],
    }),
    /shard "\.\.\/w\.bin" is no file beside the model/,
  ],
  'a weight of 2 GB without a shard': [
    'model.json',
    json({
      modelTopology: { node: [] },
      weightsManifest: [{ paths: [], weights: [{ name: 'w', shape: [2 ** 29], dtype: 'float32' }] }],
    }),
    /weights need 2147483648 bytes and the shards have 0/,
  ],
  'layers of Keras that need each other': [
    'a.keras',
    zipBytes([
      { name: 'config.json', content: circularKeras },
      { name: 'model.weights.h5', content: fixture('circle.h5') },
    ]),
    /circ|need|objects/,
  ],
  'an ONNX field of 2 GB': [
    'a.onnx',
    Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x07),
    /field at 0 ends at 2147483653/,
  ],
  'an ONNX tensor of 2 GB': [
    'a.onnx',
    modelBytes({
      inputs: [['x', ['N', 2]]],
      outputs: ['y'],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      tensors: [{ ...ramp('w', [2]), dims: [Long.fromNumber(2), Long.fromNumber(2 ** 28)] }],
    }),
    /values|bytes/,
  ],
  'an ONNX constant of 2 GB': [
    'a.onnx',
    modelBytes({
      inputs: [['x', ['N', 2]]],
      outputs: ['y'],
      nodes: [node('ConstantOfShape', ['n'], ['c']), node('MatMul', ['x', 'c'], ['y'])],
      tensors: [
        { name: 'n', dims: [Long.fromNumber(2)], dataType: 7, int64Data: [2, 2 ** 29].map((n) => Long.fromNumber(n)) },
      ],
    }),
    /too large/,
  ],
  'ONNX nodes that need each other': [
    'a.onnx',
    modelBytes({
      inputs: [['x', ['N', 2]]],
      outputs: ['y'],
      nodes: [node('Add', ['x', 'y'], ['z']), node('MatMul', ['z', 'w'], ['y'])],
      tensors: [ramp('w', [2, 2])],
    }),
    /^circular graph/,
  ],
  'an ONNX name that is not UTF-8': [
    'a.onnx',
    utf8(
      modelBytes({
        inputs: [['x', ['N', 2]]],
        outputs: ['y'],
        nodes: [node('MatMul', ['x', '~~'], ['y'])],
        tensors: [ramp('~~', [2, 2])],
      }),
    ),
    /^name not UTF-8/,
  ],
  'external data above the folder': ['a.onnx', external('../w.bin'), /^external data location: "\.\.\/w\.bin" is not/],
  'external data behind a link': ['a.onnx', external('link.bin'), /^external data location: link\.bin is a link out/],
  'HDF5 data in another file': [
    'a.h5',
    fixture('external_data.h5'),
    /^HDF5 file damaged: .*another file, ".*secret\.bin"/,
  ],
  'an HDF5 object in another file': ['a.h5', fixture('external_link.h5'), /another file, ".*secret\.h5"/],
  'HDF5 data made of another file': ['a.h5', fixture('virtual.h5'), /another file, ".*secret\.h5"/],
  'an HDF5 group in itself': ['a.h5', fixture('circle.h5'), /^HDF5 file damaged: .*too many objects in each other/],
  'an HDF5 tensor of 10 GB': [
    'a.h5',
    readFileSync(join(projectRoot(), 'test/checkpoints/large.h5')),
    /^HDF5 file damaged: .*fc\.weight claims 10000000000 bytes in a file of 2064/,
  ],
};

/** Everything that is done with a checkpoint before it is computed with. */
async function use(path: string): Promise<void> {
  const checkpoint = await openCheckpoint(path);
  for (const tensor of checkpoint.tensors.values()) tensor.bytes();
  await summarizeCheckpoint(checkpoint, true);
  await toModel(checkpoint, { batch: 2 });
}

/** A folder with what the files above would like to have. */
function folderWith(t: TestContext, name: string, bytes: Uint8Array): string {
  const outside = temporaryFolder(t, {
    'secret.bin': float32Bytes([1, 2, 3, 4]),
    'w.bin': float32Bytes([1, 2, 3, 4]),
    'secret.h5': fixture('circle.h5'),
    'in/here': '',
  });
  symlinkSync(join(outside, 'w.bin'), join(outside, 'in/link.bin'));
  const path = join(outside, 'in', name);
  writeFileSync(path, bytes);
  return path;
}

for (const [title, [name, bytes, message]] of Object.entries(cases)) {
  test(`refused: ${title}`, async (t) => {
    const path = folderWith(t, name, bytes);
    const before = process.resourceUsage().maxRSS;
    await assert.rejects(use(path), (error) => {
      assert.ok(error instanceof InputError, String(error instanceof Error ? error.stack : error));
      assert.match(error.message, message);
      return true;
    });
    const more = (process.resourceUsage().maxRSS - before) / 1024;
    assert.ok(more < 64 + (4 * bytes.length) / 2 ** 20, `${more} MiB for ${bytes.length} bytes`);
  });
}

test('refused: a link that leads to itself', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'a.onnx');
  symlinkSync(path, path);
  await assert.rejects(openCheckpoint(path), /^InputError: file not readable: .*a\.onnx; ELOOP/);
});
