import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { summarizeCheckpoint } from '../../server/src/checkpoint/inspect';
import { toModel } from '../../server/src/checkpoint/model';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { openDataset } from '../../server/src/dataset/open';
import { readImage } from '../../server/src/dataset/image';
import { readEntry } from '../../server/src/files/ranges';
import { withZip } from '../../server/src/files/zip';
import { InputError } from '../../server/src/errors';
import { float32Bytes, idxBytes, npyBytes, zipBytes, type ZipPart } from '../files';
import { floats, ints, modelBytes, node, ramp } from '../onnx-models';
import { projectRoot } from '../outside';

/** The readers that are fuzzed, and sound files to begin with. */

/** A sound file. What is mutated may be only a part of it, around which `wrap` puts the rest. */
export interface Seed {
  /** Of the file. */
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly wrap?: (bytes: Uint8Array) => Uint8Array;
}

export interface Target {
  readonly seeds: readonly Seed[];
  /** Files that lie beside the one that is mutated, unless it is one of them. */
  readonly beside?: Readonly<Record<string, Uint8Array>>;
  /**
   * Reads the file as the product does, to its last byte.
   * @throws InputError where it is refused, and nothing else
   */
  readonly read: (path: string) => Promise<void>;
}

let reads = 0;

/** All tensors, and the network where there is one. */
async function readCheckpoint(path: string): Promise<void> {
  const checkpoint = await openCheckpoint(path);
  const failures: InputError[] = [];
  const attempt = async (use: () => unknown): Promise<void> => {
    try {
      await use();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      failures.push(error);
    }
  };
  for (const tensor of checkpoint.tensors.values()) {
    await attempt(() => tensor.bytes());
    await attempt(() => tensor.read());
  }
  // Laying every architecture over weights takes longer than all the rest.
  if (checkpoint.kind === 'network' || reads++ % 32 === 0) await attempt(() => summarizeCheckpoint(checkpoint));
  if (checkpoint.kind === 'network') await attempt(() => toModel(checkpoint, { batch: 2 }));
  if (failures.length > 0) throw failures[0]!;
}

const readData = async (path: string): Promise<void> => void (await openDataset(path, 'test'));
/** The folder of the file, for formats of several files. */
const readFolder = async (path: string): Promise<void> => void (await openDataset(dirname(path), 'test'));

const files = join(projectRoot(), 'test/checkpoints/files');
const dataFiles = join(projectRoot(), 'test/datasets/files');
const seedsOf = (folder: string, file: string, names: readonly string[]): Seed[] =>
  names.map((name) => ({ file, bytes: readFileSync(join(folder, name)) }));

/** An archive as it is, and every entry of it on its own, in an archive whose checksums are right again. */
async function archiveSeeds(path: string, file: string, wanted: (name: string) => boolean): Promise<Seed[]> {
  const entries = await withZip(path, (archive) => Promise.resolve(archive.entries));
  const parts: ZipPart[] = entries.map((entry) => ({
    name: entry.name,
    content: readEntry(path, entry),
    deflate: entry.method === 'deflate',
  }));
  const inner = parts.flatMap((part, i) =>
    wanted(part.name)
      ? [
          {
            file,
            bytes: part.content,
            wrap: (bytes: Uint8Array) => zipBytes(parts.with(i, { ...part, content: bytes })),
          },
        ]
      : [],
  );
  return [{ file, bytes: readFileSync(path) }, ...inner];
}

const pytorchZip = async (): Promise<Target> => {
  const names = ['dtypes.pt', 'views.pt', 'whole_module.pt', 'wrapped.pt', 'list.pt', 'script.pt', 'big.pt'];
  const isPickle = (name: string): boolean => name.endsWith('data.pkl');
  const seeds = names.map((name) => archiveSeeds(join(files, name), 'input.pt', isPickle));
  return { seeds: [...(await Promise.all(seeds)).flat(), ...quantised()], read: readCheckpoint };
};

const quantised = (): Seed[] => seedsOf(files, 'input.pt', ['quantised.pt', 'sparse.pt', 'deflated.pt']);

const pytorchLegacy = (): Target => ({
  seeds: seedsOf(files, 'input.pt', [
    'dtypes_legacy.pt',
    'views_legacy.pt',
    'whole_module_legacy.pt',
    'wrapped_legacy.pt',
  ]),
  read: readCheckpoint,
});

function safetensorsBytes(header: object, content: Uint8Array): Uint8Array {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, content]);
}

const safetensors = (): Target => {
  const tensor = (dtype: string, shape: readonly number[], begin: number, end: number): object => ({
    dtype,
    shape,
    data_offsets: [begin, end],
  });
  const mlp = safetensorsBytes(
    {
      __metadata__: { format: 'pt' },
      'fc1.weight': tensor('F32', [3, 4], 0, 48),
      'fc1.bias': tensor('F32', [3], 48, 60),
      'fc2.weight': tensor('F32', [2, 3], 60, 84),
      'fc2.bias': tensor('F32', [2], 84, 92),
    },
    float32Bytes(Array.from({ length: 23 }, (_, i) => i / 8)),
  );
  const mixed = safetensorsBytes(
    {
      a: tensor('F16', [2, 2], 0, 8),
      b: tensor('BF16', [2], 8, 12),
      c: tensor('I64', [1], 12, 20),
      d: tensor('BOOL', [3], 20, 23),
      e: tensor('F8_E4M3', [1], 23, 24),
      f: tensor('F64', [0, 5], 24, 24),
      g: tensor('U8', [], 24, 25),
    },
    Buffer.alloc(25, 0x3c),
  );
  const names = ['fc1.weight', 'fc1.bias', 'fc2.weight', 'fc2.bias'];
  const index = { weight_map: Object.fromEntries(names.map((name) => [name, 'shard.safetensors'])) };
  return {
    seeds: [
      { file: 'input.safetensors', bytes: mlp },
      { file: 'input.safetensors', bytes: mixed },
      { file: 'input.safetensors.index.json', bytes: Buffer.from(JSON.stringify(index)) },
    ],
    beside: { 'shard.safetensors': mlp },
    read: readCheckpoint,
  };
};

const kerasH5 = (): Target => ({
  seeds: seedsOf(files, 'input.h5', ['sequential.h5', 'functional.h5']),
  read: readCheckpoint,
});

const kerasZip = async (): Promise<Target> => {
  const all = (): boolean => true;
  const seeds = ['sequential.keras', 'functional.keras'].map((name) =>
    archiveSeeds(join(files, name), 'input.keras', all),
  );
  return { seeds: (await Promise.all(seeds)).flat(), read: readCheckpoint };
};

const tfjs = (): Target => {
  const layer = (kind: string, config: object): object => ({ class_name: kind, config });
  const entry = (name: string, shape: readonly number[], more: object = {}): object => ({
    name,
    shape,
    dtype: 'float32',
    ...more,
  });
  const model = (modelTopology: object, weights: readonly object[]): Uint8Array =>
    Buffer.from(
      JSON.stringify({ format: 'x', modelTopology, weightsManifest: [{ paths: ['a.bin', 'b.bin'], weights }] }),
    );
  const conv = { filters: 2, kernel_size: [2, 2], strides: [1, 1], padding: 'same', use_bias: true };
  const layers = [
    layer('Conv2D', { name: 'c', batch_input_shape: [null, 4, 4, 1], activation: 'relu', ...conv }),
    layer('MaxPooling2D', { name: 'p', pool_size: [2, 2], strides: [2, 2], padding: 'valid' }),
    layer('Flatten', { name: 'f' }),
    layer('Dense', { name: 'd', units: 2, activation: 'softmax', use_bias: false }),
  ];
  const sequential = model({ model_config: layer('Sequential', { name: 's', layers }) }, [
    entry('c/kernel', [2, 2, 1, 2]),
    entry('c/bias', [2]),
    entry('d/kernel', [8, 2], { quantization: { dtype: 'uint8', scale: 0.5, min: -1 } }),
  ]);
  const attr = { dtype: { type: 'DT_FLOAT' } };
  const size = (n: string): object => ({ size: n });
  const nodes = [
    { op: 'Placeholder', name: 'x', attr: { shape: { shape: { dim: [size('-1'), size('4')] } } } },
    { op: 'Const', name: 'w', attr },
    { op: 'Const', name: 'b', attr },
    { op: 'MatMul', name: 'm', input: ['x', 'w'], attr: { transpose_a: { b: false }, transpose_b: { b: false } } },
    { op: 'BiasAdd', name: 'a', input: ['m', 'b'], attr },
    { op: 'Relu', name: 'y', input: ['a'] },
  ];
  const graph = model({ node: nodes }, [entry('w', [4, 2]), entry('b', [2])]);
  const bytes = float32Bytes(Array.from({ length: 10 }, (_, i) => i - 4));
  return {
    seeds: [
      { file: 'model.json', bytes: sequential },
      { file: 'model.json', bytes: graph },
    ],
    beside: { 'a.bin': bytes.subarray(0, 30), 'b.bin': Buffer.concat([bytes.subarray(30), Buffer.alloc(16, 3)]) },
    read: readCheckpoint,
  };
};

const onnx = (): Target => {
  const convolutional = modelBytes({
    inputs: [['x', ['N', 1, 6, 6]]],
    outputs: ['y'],
    nodes: [
      node('Conv', ['x', 'w', 'b'], ['c'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, 'first'),
      node('BatchNormalization', ['c', 's', 's', 's', 's'], ['n']),
      node('Relu', ['n'], ['r']),
      node('MaxPool', ['r'], ['p'], { kernel_shape: [2, 2], strides: [2, 2] }),
      node('Flatten', ['p'], ['f']),
      node('Gemm', ['f', 'v', 'd'], ['y'], { transB: 1, alpha: { float: 1 } }),
    ],
    tensors: [
      ramp('w', [2, 1, 3, 3]),
      floats('b', [2], [0, 1]),
      floats('s', [2], [1, 2]),
      ramp('v', [3, 18]),
      ramp('d', [3]),
    ],
  });
  const shapes = modelBytes({
    inputs: [['x', ['N', 2, 3]]],
    outputs: [['y', ['N', 'M']]],
    nodes: [
      node('Shape', ['x'], ['a']),
      node('Gather', ['a', 'zero'], ['n'], { axis: 0 }),
      node('Unsqueeze', ['n', 'axes'], ['m']),
      node('Concat', ['m', 'minus'], ['shape'], { axis: 0 }),
      node('ConstantOfShape', ['shape2'], ['ones'], { value: { tensor: ints('', [7]) } }),
      node('Range', ['zero', 'six', 'one'], ['range']),
      node('Cast', ['range'], ['cast'], { to: 1 }),
      node('Reshape', ['x', 'shape'], ['r']),
      node('Expand', ['r', 'shape2'], ['e']),
      node('Tile', ['r', 'shape2'], ['t']),
      node('Slice', ['t', 'zeros', 'six6', 'axes01'], ['sl']),
      node('Add', ['r', 'cast'], ['q']),
      node('MatMul', ['q', 'w'], ['y']),
    ],
    tensors: [
      ints('zero', 0),
      ints('axes', [0]),
      ints('minus', [-1]),
      ints('shape2', [1, 1]),
      ints('six', 6),
      ints('one', 1),
      ints('zeros', [0, 0]),
      ints('six6', [6, 6]),
      ints('axes01', [0, 1]),
      ramp('w', [6, 4]),
    ],
  });
  const graph = (op: string, output: string): { graph: object } => ({
    graph: { name: output, node: [node(op, ['x'], [output])], output: [{ name: output }] },
  });
  const nested = modelBytes({
    inputs: [['x', [1, 1, 4]]],
    outputs: ['y'],
    opset: 23,
    nodes: [
      node('If', ['yes'], ['i'], { then_branch: graph('Neg', 't'), else_branch: graph('Relu', 'e') }),
      node('Resize', ['i', '', '', 'sizes'], ['r'], { mode: 'linear' }),
      node('Block', ['r'], ['f'], { slope: { float: 0.5 } }, '', 'local'),
      node('Attention', ['f', 'f', 'f'], ['a'], { q_num_heads: 2, kv_num_heads: 2, is_causal: 1 }),
      node('Einsum', ['a', 'w'], ['s'], { equation: 'bij,jk->bk' }),
      node('MatMul', ['s', 'v'], ['y']),
    ],
    tensors: [
      { name: 'yes', dataType: 9, int32Data: [1] },
      ints('sizes', [1, 1, 6]),
      ramp('w', [6, 2]),
      ramp('v', [2, 3]),
    ],
    functions: [
      {
        name: 'Block',
        domain: 'local',
        input: ['a'],
        output: ['b'],
        attribute: ['slope'],
        node: [
          { ...node('LeakyRelu', ['a'], ['h']), attribute: [{ name: 'alpha', type: 1, refAttrName: 'slope' }] },
          node('Tanh', ['h'], ['b']),
        ],
      },
    ],
  });
  const external = modelBytes({
    inputs: [['x', ['N', 3]]],
    outputs: ['y'],
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    tensors: [
      {
        ...floats('w', [3, 2], []),
        dataLocation: 1,
        externalData: [
          { key: 'location', value: 'w.bin' },
          { key: 'offset', value: '4' },
          { key: 'length', value: '24' },
        ],
      },
    ],
  });
  return {
    seeds: [convolutional, shapes, nested, external].map((bytes) => ({ file: 'input.onnx', bytes })),
    beside: { 'w.bin': float32Bytes([0, 1, 2, 3, 4, 5, 6]) },
    read: readCheckpoint,
  };
};

const idx = (): Target => {
  const images = idxBytes(
    8,
    [6, 4, 4],
    new Uint8Array(96).map((_, i) => i),
  );
  const labels = idxBytes(8, [6], [0, 1, 2, 0, 1, 2]);
  const names = ['t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'] as const;
  const floating = idxBytes(0x0d, [6, 2], new Uint8Array(48));
  return {
    seeds: [
      { file: names[0], bytes: images },
      { file: names[1], bytes: labels },
      { file: names[0], bytes: floating },
      { file: names[0], bytes: images, wrap: (bytes) => gzipSync(bytes, { level: 1 }) },
    ],
    beside: { [names[0]]: images, [names[1]]: labels },
    read: readFolder,
  };
};

const npyPair = {
  x: npyBytes('<f4', [4, 3], float32Bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])),
  y: npyBytes('<i8', [4], new Uint8Array(32)),
};

const npy = (): Target => ({
  seeds: [
    { file: 'x.npy', bytes: npyPair.x },
    { file: 'y.npy', bytes: npyPair.y },
    { file: 'x.npy', bytes: npyBytes('|u1', [4, 2, 2, 3], new Uint8Array(48), { fortran: true }) },
    { file: 'x.npy', bytes: npyBytes('>f8', [4, 2], new Uint8Array(64), { version: 2 }) },
  ],
  beside: { 'x.npy': npyPair.x, 'y.npy': npyPair.y },
  read: readFolder,
});

const npz = (): Target => {
  const archive = (x: Uint8Array, y: Uint8Array, deflate: boolean): Uint8Array =>
    zipBytes([
      { name: 'x_test.npy', content: x, deflate },
      { name: 'y_test.npy', content: y, deflate },
    ]);
  const file = 'data.npz';
  return {
    seeds: [
      { file, bytes: archive(npyPair.x, npyPair.y, false) },
      { file, bytes: archive(npyPair.x, npyPair.y, true) },
      { file, bytes: npyPair.x, wrap: (bytes) => archive(bytes, npyPair.y, true) },
      { file, bytes: npyPair.y, wrap: (bytes) => archive(npyPair.x, bytes, false) },
      {
        // Damaged compressed data under a directory that is right.
        file,
        bytes: deflateRawSync(npyPair.x),
        wrap: (bytes) =>
          zipBytes([
            { name: 'x_test.npy', content: bytes, method: 8, size: npyPair.x.length, crc: crc32(npyPair.x) },
            { name: 'y_test.npy', content: npyPair.y },
          ]),
      },
    ],
    read: readData,
  };
};

const cifar = (): Target => {
  const record = (labels: readonly number[]): Buffer => Buffer.concat([Buffer.from(labels), Buffer.alloc(3072, 99)]);
  return {
    seeds: [
      { file: 'test_batch.bin', bytes: Buffer.concat([record([3]), record([9])]) },
      { file: 'test.bin', bytes: Buffer.concat([record([3, 60]), record([19, 99])]) },
      ...seedsOf(dataFiles, 'test_batch', ['batch_protocol_2.pkl', 'batch_protocol_4.pkl']),
    ],
    read: readData,
  };
};

const csv = (): Target => ({
  seeds: [
    'a,b,label\n1,2,0\n3.5,-4e2,1\n',
    '"a";"b";"class"\n1;2;cat\n3;4;dog\n',
    '1\t2\t0\r\n3\t4\t1\r\n5\t6\t1\r\n',
    '0,0,5,13,9,1,0,0\n0,1,6,15,16,2,0,3\n',
  ].map((text) => ({ file: 'test.csv', bytes: Buffer.from(text) })),
  read: readData,
});

/** Chunks of a PNG with their checksums made right. */
function pngRepaired(bytes: Uint8Array): Uint8Array {
  const png = Buffer.from(bytes);
  for (let at = 8; at + 12 <= png.length;) {
    const end = at + 8 + png.readUInt32BE(at);
    if (end + 4 > png.length) break;
    png.writeUInt32BE(crc32(png.subarray(at + 4, end)), end);
    at = end + 4;
  }
  return png;
}

function images(ending: RegExp, wrap?: (bytes: Uint8Array) => Uint8Array): Target {
  const folder = join(dataFiles, 'images');
  const paths = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => ending.test(name));
  return {
    seeds: paths.flatMap((name) => {
      const seed = { file: basename(name), bytes: readFileSync(join(folder, name)) };
      return wrap === undefined ? [seed] : [seed, { ...seed, wrap }];
    }),
    read: async (path) => void (await readImage(path)),
  };
}

/** Every reader by its name on the command line. */
export const targets: Readonly<Record<string, () => Target | Promise<Target>>> = {
  onnx,
  'pytorch-zip': pytorchZip,
  'pytorch-legacy': pytorchLegacy,
  safetensors,
  'keras-h5': kerasH5,
  'keras-zip': kerasZip,
  tfjs,
  idx,
  npy,
  npz,
  cifar,
  csv,
  png: () => images(/\.png$/, pngRepaired),
  jpeg: () => images(/\.jpe?g$/),
  webp: () => images(/\.webp$/),
};
