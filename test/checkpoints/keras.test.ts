import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { openModel } from '../../server/src/checkpoint/model';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import { InputError } from '../../server/src/errors';
import { evaluate } from '../reference/interpreter';
import { temporaryFolder, zipBytes } from '../files';
import { projectRoot } from '../outside';
import { testRandom } from '../reference/cases';

/** Models that Keras itself saved (keras_files.py), against its own predictions. */

interface Golden {
  readonly input: readonly number[];
  readonly shape: readonly number[];
  readonly logits: readonly number[];
  /** Logits are known up to a constant per sample: they were taken from a softmax. */
  readonly centred: boolean;
}

const folder = join(projectRoot(), 'test/checkpoints/files');
const goldens = JSON.parse(readFileSync(join(folder, 'keras.json'), 'utf8')) as Record<string, Golden>;

function centred(values: readonly number[], classes: number): number[] {
  return values.map((value, i) => {
    const start = i - (i % classes);
    const row = values.slice(start, start + classes);
    return value - row.reduce((sum, x) => sum + x, 0) / classes;
  });
}

for (const [name, golden] of Object.entries(goldens)) {
  for (const ending of ['keras', 'h5']) {
    test(`${name}.${ending} computes what Keras computes`, async () => {
      const model = await openModel(join(folder, `${name}.${ending}`), { batch: 2 });
      assert.deepEqual(model.input.shape, golden.shape);
      const feeds = new Map<string, ArrayLike<number>>([...model.parameters].map(([key, { value }]) => [key, value]));
      feeds.set(model.input.attributes.name, golden.input);
      const computed = [...evaluate([model.logits], feeds)[0]!];
      const classes = model.logits.shape[1]!;
      const [got, want] = golden.centred
        ? [centred(computed, classes), centred(golden.logits, classes)]
        : [computed, golden.logits];
      const scale = want.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const error = Math.max(...got.map((x, i) => Math.abs(x - want[i]!))) / scale;
      assert.ok(error < 1e-5, `relative error ${error}`);
    });
  }
}

test('a path may be one from the working directory', async () => {
  const { tensors } = await openCheckpoint(relative(process.cwd(), join(folder, 'functional.h5')));
  const [tensor] = [...tensors.values()];
  assert.ok(tensor!.bytes().length > 0);
});

test('weights keep the names and the layout of the file', async () => {
  const { layers } = await openModel(join(folder, 'functional.h5'), { batch: 1 });
  const stem = layers.find(({ name }) => name.includes('stem'))!;
  assert.deepEqual([stem.name, stem.op, stem.shape], ['model_weights/stem/stem/kernel', 'Conv', [3, 3, 3, 4]]);
  // Used twice, and counted once.
  assert.equal(layers.filter(({ name }) => name.includes('shared')).length, 1);
});

const config = (layers: unknown): string => JSON.stringify({ class_name: 'Sequential', config: { name: 's', layers } });
const weights = readFileSync(join(folder, 'sequential.keras'));
const archive = (text: string): Buffer =>
  zipBytes([
    { name: 'config.json', content: Buffer.from(text) },
    { name: 'model.weights.h5', content: h5 },
  ]);
const h5 = readFileSync(join(folder, 'sequential.h5'));

const input = { class_name: 'InputLayer', config: { name: 'x', batch_shape: [null, 4, 4, 1] } };
const refused: readonly [string, string, RegExp][] = [
  ['no JSON', '{', /^Keras config is not JSON/],
  ['no layers', config([]), /^Keras config: it has no layers/],
  ['a subclassed model', JSON.stringify({ class_name: 'MyNet', config: {} }), /^Keras config: it has no layers/],
  [
    'an unknown layer',
    config([input, { class_name: 'Lambda', config: { name: 'f' } }]),
    /^layer not supported: Lambda \(layer "f", a\.keras\); export the model to ONNX/,
  ],
  [
    'an unknown activation',
    config([input, { class_name: 'Activation', config: { name: 'f', activation: 'mine' } }]),
    /^Activation: activation not supported: mine \(layer "f"/,
  ],
  [
    'missing weights',
    config([input, { class_name: 'Conv2DTranspose', config: { name: 'f' } }]),
    /^layer not supported: Conv2DTranspose/,
  ],
  [
    'a nested model',
    config([input, { class_name: 'Functional', config: { name: 'f' } }]),
    /^layer not supported: Functional/,
  ],
];
for (const [name, text, message] of refused) {
  test(`refused: ${name}`, async (t) => {
    const path = join(temporaryFolder(t, { 'a.keras': archive(text) }), 'a.keras');
    await assert.rejects(openCheckpoint(path), (error) => error instanceof InputError && message.test(error.message));
  });
}

const pooled = (side: number, pool: object): string =>
  config([
    { class_name: 'InputLayer', config: { name: 'x', batch_shape: [null, side, 4, 1] } },
    { class_name: 'AveragePooling2D', config: { name: 'pool', strides: [1, 1], ...pool } },
    { class_name: 'Flatten', config: { name: 'flat' } },
  ]);
// Found by npm run fuzz: a table for every position, of a gigabyte and more.
const enormous: readonly [string, string, RegExp][] = [
  ['an image', pooled(2 ** 32, { pool_size: [2, 2] }), /^AveragePool: output axis of 4294967295 \(.*a\.keras\)/],
  ['a window', pooled(4, { pool_size: [2 ** 31 - 1, 2], padding: 'same' }), /^AveragePool: kernel of 4294967294 /],
];
for (const [name, text, message] of enormous) {
  test(`refused: ${name} of billions`, async (t) => {
    const path = join(temporaryFolder(t, { 'a.keras': archive(text) }), 'a.keras');
    await assert.rejects(
      openModel(path, { batch: 1 }),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });
}

test('400 damaged files are read or refused', async (t) => {
  const random = testRandom(12);
  for (let i = 0; i < 400; i++) {
    const bytes = Buffer.from(i % 2 === 0 ? h5 : weights);
    for (let k = 0; k < 8; k++) bytes[Math.floor(random() * Math.min(bytes.length, 8192))] = Math.floor(random() * 256);
    const path = join(temporaryFolder(t, { x: bytes }), 'x');
    try {
      for (const tensor of (await openCheckpoint(path)).tensors.values()) tensor.bytes();
    } catch (error) {
      assert.ok(error instanceof InputError, String(error));
    }
  }
  // The library still reads what is in order.
  assert.ok((await openCheckpoint(join(folder, 'sequential.h5'))).tensors.size > 0);
});

test('a damaged HDF5 file leaves nothing behind: its place can hold a sound one', async (t) => {
  const path = join(temporaryFolder(t, { 'a.h5': h5 }), 'a.h5');
  for (const start of [2000, 30000]) {
    const damaged = Buffer.from(h5).fill(start === 2000 ? 0xff : 0, start, start + 2000);
    writeFileSync(path, damaged);
    const all = async (): Promise<Uint8Array[]> =>
      [...(await openCheckpoint(path)).tensors.values()].map((tensor) => tensor.bytes());
    const cause = start === 2000 ? 'memory access out of bounds' : 'invalid continuation chunk size \\(0\\)';
    await assert.rejects(all(), new RegExp(`^InputError: HDF5 file damaged: .*a\\.h5 \\(${cause}\\); copy it again`));
    // In place: the same file for the system, as h5py and Keras rewrite it.
    writeFileSync(path, h5);
    assert.equal((await all()).length, 17);
  }
});

test('a damaged HDF5 file in an archive is refused with the cause, however many there were before', async (t) => {
  const content = zipBytes([
    { name: 'config.json', content: Buffer.from(config([input])) },
    { name: 'model.weights.h5', content: Buffer.from(h5).fill(0xff, 8, 64) },
  ]);
  const path = join(temporaryFolder(t, { 'a.keras': content }), 'a.keras');
  for (let i = 0; i < 3; i++) {
    await assert.rejects(
      openCheckpoint(path),
      /^InputError: HDF5 file damaged: .* \(bad superblock version number\); copy it again/,
    );
  }
});

test('a dataset packed by a filter that is not there is refused by its name, each time', async () => {
  for (let i = 0; i < 2; i++) {
    const tensor = (await openCheckpoint(join(projectRoot(), 'test/checkpoints/lzf.h5'))).tensors.get('w')!;
    assert.throws(
      () => tensor.bytes(),
      /^InputError: HDF5 compression not supported: lzf \(.*lzf\.h5\); save the file with gzip/,
    );
  }
});

test('an HDF5 file whose objects lead in circles is refused, and the library goes on', async (t) => {
  // Found by npm run fuzz: the library would iterate over a group for ever.
  const circles = gunzipSync(readFileSync(join(folder, 'circles.h5.gz')));
  const path = join(temporaryFolder(t, { 'a.h5': circles }), 'a.h5');
  await assert.rejects(
    openCheckpoint(path),
    /^InputError: HDF5 file damaged: .*a\.h5 \(its objects lead in circles\); copy it again or save the model anew$/,
  );
  assert.ok((await openCheckpoint(join(folder, 'sequential.h5'))).tensors.size > 0);
});
