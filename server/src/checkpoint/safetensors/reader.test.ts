import assert from 'node:assert/strict';
import { ftruncateSync, mkdirSync, openSync, closeSync, readFileSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { temporaryFolder } from '../../../../test/files';
import { sharedData, withoutSharedData } from '../../../../test/outside';
import { testRandom } from '../../../../test/reference/cases';
import { InputError } from '../../errors';
import type { WeightsFile } from '../checkpoint';
import { inspectCheckpoint } from '../inspect';
import { openCheckpoint } from '../open';

/** A file by the format's description: length, header, tensors. */
function safetensors(header: string, data: Uint8Array = new Uint8Array(0)): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  return Buffer.concat([length, Buffer.from(header), data]);
}

const entry = (dtype: string, shape: readonly number[], begin: number, end: number): string =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

async function opened(t: TestContext, content: Uint8Array, name = 'a.safetensors'): Promise<WeightsFile> {
  const file = await openCheckpoint(join(temporaryFolder(t, { [name]: content }), name));
  assert.ok(file.kind === 'weights');
  return file;
}

test('tensors are read in place', async (t) => {
  const header = `{"__metadata__":{"format":"pt"},"b":${entry('F32', [2, 1], 4, 12)},"a":${entry('BF16', [2], 0, 4)}}`;
  const data = new Uint8Array(12);
  const view = new DataView(data.buffer);
  view.setUint16(0, 0x3fc0, true);
  view.setUint16(2, 0xc000, true);
  view.setFloat32(4, 0.25, true);
  view.setFloat32(8, -3, true);
  const file = await opened(t, safetensors(header, data), 'weights.bin');
  assert.equal(file.format, 'safetensors');
  assert.equal(file.producer, 'pt');
  assert.deepEqual([...file.tensors.keys()], ['b', 'a']);
  assert.deepEqual(file.tensors.get('b')!.read(), {
    type: 'float32',
    shape: [2, 1],
    values: Float32Array.of(0.25, -3),
  });
  assert.deepEqual([...file.tensors.get('a')!.read().values], [1.5, -2]);
});

const refused: readonly [string, Uint8Array, RegExp][] = [
  ['a header without JSON', safetensors('{,'), /^safetensors header is not JSON/],
  ['a gap', safetensors(`{"a":${entry('U8', [1], 1, 2)}}`, new Uint8Array(2)), /^safetensors gap or overlap .*"a"/],
  [
    'an overlap',
    safetensors(`{"a":${entry('U8', [2], 0, 2)},"b":${entry('U8', [2], 1, 3)}}`, new Uint8Array(3)),
    /^safetensors gap or overlap .*"b"/,
  ],
  ['a claim of 2 GB', safetensors(`{"a":${entry('U8', [2 ** 31], 0, 2 ** 31)}}`), /^safetensors tensors incomplete/],
  ['sizes beyond 2^53', safetensors(`{"a":${entry('F32', [2 ** 30, 2 ** 30], 0, 4)}}`), /^safetensors shape overflows/],
  ['no shape', safetensors('{"a":{"dtype":"F32"}}'), /^safetensors tensor without dtype, shape or offsets/],
];
for (const [name, content, message] of refused) {
  test(`refused: ${name}`, async (t) => {
    await assert.rejects(opened(t, content), (error) => error instanceof InputError && message.test(error.message));
  });
}

test('shards are one checkpoint, and stay in their folder', async (t) => {
  const shard = safetensors(`{"a":${entry('U8', [2], 0, 2)}}`, Uint8Array.of(1, 2));
  const index = (file: string): string => JSON.stringify({ metadata: {}, weight_map: { a: file } });
  const folder = temporaryFolder(t, {
    'in/model.safetensors.index.json': index('one.safetensors'),
    'in/up.safetensors.index.json': index('../outside.safetensors'),
    'in/link.safetensors.index.json': index('link.safetensors'),
    'in/none.safetensors.index.json': index('none.safetensors'),
    'in/one.safetensors': shard,
    'outside.safetensors': shard,
  });
  symlinkSync(join(folder, 'outside.safetensors'), join(folder, 'in/link.safetensors'));
  const file = await openCheckpoint(join(folder, 'in/model.safetensors.index.json'));
  assert.deepEqual([...file.tensors.get('a')!.bytes()], [1, 2]);
  for (const [name, message] of [
    ['up', /shard name: "\.\.\/outside\.safetensors" is no file beside the index/],
    ['link', /shard outside its folder: link\.safetensors/],
    ['none', /shard missing: none\.safetensors/],
  ] as const) {
    await assert.rejects(openCheckpoint(join(folder, `in/${name}.safetensors.index.json`)), message);
  }
});

test('a file of 10 GB is listed from its header', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'x'));
  const path = join(folder, 'x', 'large.safetensors');
  const size = 10 * 2 ** 30;
  const header = `{"fc1.weight":${entry('F32', [40_960, 32_768], 0, size / 2)},"fc2.weight":${entry('F32', [32_768, 40_960], size / 2, size)}}`;
  const start = safetensors(header);
  const descriptor = openSync(path, 'w');
  writeSync(descriptor, start);
  // Sparse: the disk holds the header alone.
  ftruncateSync(descriptor, start.length + size);
  closeSync(descriptor);
  const before = process.memoryUsage.rss();
  const summary = await inspectCheckpoint(path);
  assert.deepEqual(
    summary.tensors.map(({ name }) => name),
    ['fc1.weight', 'fc2.weight'],
  );
  assert.ok(process.memoryUsage.rss() - before < 100 * 2 ** 20, 'more than 100 MB were held');
});

test('2,000 damaged files are read or refused', async (t) => {
  const random = testRandom(41);
  const seed = safetensors(`{"a":${entry('F32', [2], 0, 8)},"b":${entry('I8', [4], 8, 12)}}`, new Uint8Array(12));
  const folder = temporaryFolder(t);
  const path = join(folder, 'a.safetensors');
  for (let i = 0; i < 2_000; i++) {
    const bytes = Buffer.from(seed);
    for (let changes = 1 + Math.floor(random() * 3); changes > 0; changes--) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    const descriptor = openSync(path, 'w');
    writeSync(descriptor, bytes, 0, 1 + Math.floor(random() * bytes.length));
    closeSync(descriptor);
    try {
      for (const tensor of (await openCheckpoint(path)).tensors.values()) tensor.bytes();
    } catch (error) {
      assert.ok(error instanceof InputError, `${bytes.toString('hex')}: ${String(error)}`);
    }
  }
});

/** What safetensors itself says, in our words. */
const words: Readonly<Record<string, RegExp>> = {
  MetadataIncompleteBuffer: /^safetensors tensors incomplete/,
  HeaderTooLarge: /^safetensors header too large/,
  HeaderTooSmall: /^file empty/,
  InvalidHeaderLength: /^safetensors header length/,
  InvalidHeader: /^safetensors header is not UTF-8/,
  InvalidHeaderDeserialization: /^safetensors header is not JSON/,
  TensorInvalidInfo: /^safetensors tensor info/,
  ValidationOverflow: /^safetensors shape overflows/,
};

test('the malformed files of safetensors are read or refused as it does', { skip: withoutSharedData() }, async () => {
  const folder = join(sharedData()!, 'checkpoints/malformed-safetensors');
  const table = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as [string, number, string][];
  for (const [name, , outcome] of table) {
    if (outcome === 'ok') await openCheckpoint(join(folder, name));
    else {
      const message = words[outcome.slice('error:'.length)]!;
      await assert.rejects(
        openCheckpoint(join(folder, name)),
        (error) => error instanceof InputError && message.test(error.message),
        name,
      );
    }
  }
});
