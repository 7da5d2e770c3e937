import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { withZeros } from '../../server/src/checkpoint/edit';
import { elementInfo, isElementType, isFloat } from '../../server/src/checkpoint/elements';
import { openCheckpoint } from '../../server/src/checkpoint/open';
import type { StoredTensor } from '../../server/src/checkpoint/stored-tensor';
import { writeUnchecked } from '../../server/src/checkpoint/write';
import { Writing } from '../../server/src/checkpoint/writer';
import { readEntry } from '../../server/src/files/ranges';
import { Staging } from '../../server/src/files/staging';
import { withZip } from '../../server/src/files/zip';
import { float32Bytes, temporaryFolder, zipBytes } from '../files';
import { projectRoot, sharedData } from '../outside';
import { safetensorsBytes, tfjsModel } from './shards';

/** Files that other programs wrote, pruned, against a twin that knows nothing of formats. */

const own = join(projectRoot(), 'test/checkpoints/files');
const shared = sharedData();
const outside = (path: string): string[] => {
  const full = shared === undefined ? '' : join(shared, 'checkpoints', path);
  return existsSync(full) ? [full] : [];
};

const FILES = [
  ...readdirSync(own)
    .filter((name) => /\.(pt|h5|keras)$/.test(name) && !/^(large|quantised|sparse|views|tied)/.test(name))
    .map((name) => join(own, name)),
  ...[
    'pytorch/akamaster/resnet20-12fca82f.th',
    'pytorch/burn_mnist/mnist.pt',
    'pytorch/torchscript/best_model_state_dict.pt',
    'pytorch/torchscript/mnist_cnn_torchscript.pt',
    'pytorch/whole_module/fashion_net_whole.pt',
    'pytorch/burn_store_tests/reader__test_data__simple_legacy.pt',
    'safetensors/burn_mnist.safetensors',
    'keras/subhadip/MNIST_CNN.keras',
    'keras/mlperf_tiny/pretrainedResnet.h5',
    'tfjs/subhadip_cnn/model.json',
    'tfjs/cnn_explainer_tinyvgg/model.json',
    'onnx/vnncomp/cifar10_small.onnx',
  ].flatMap(outside),
];

/** Zero for the smaller nine tenths, one for the rest. */
function maskOf(tensor: StoredTensor): Uint8Array {
  const sizes = Array.from(tensor.read().values, Math.abs);
  const order = sizes.map((_, i) => i).sort((a, b) => sizes[a]! - sizes[b]!);
  const mask = new Uint8Array(sizes.length).fill(1);
  for (const i of order.slice(0, Math.floor(0.9 * sizes.length))) mask[i] = 0;
  return mask;
}

/** The twin: element by element, from the definition. */
function expectedBytes(tensor: StoredTensor, mask: Uint8Array | undefined): number[] {
  const bytes = [...tensor.bytes()];
  const width = isElementType(tensor.dtype) ? elementInfo[tensor.dtype].bytes : NaN;
  return mask === undefined ? bytes : bytes.map((byte, i) => (mask[Math.floor(i / width)] === 0 ? 0 : byte));
}

const isWeight = ({ dtype, shape }: StoredTensor): boolean =>
  isElementType(dtype) && isFloat(dtype) && shape.length >= 2 && shape.every((size) => size > 0);

async function prunedCopy(path: string, target: string, masks: ReadonlyMap<string, Uint8Array>): Promise<string[]> {
  const { container, tensors } = await openCheckpoint(path);
  const changes = [...masks].map(([name, mask]) => ({
    name,
    tensor: tensors.get(name)!,
    edit: (tensor: StoredTensor) => withZeros(tensor, mask),
  }));
  await mkdir(dirname(target), { recursive: true });
  return Staging.run(async (staging) => {
    const writing = new Writing(path, target, changes, staging, false);
    await writeUnchecked(container, writing);
    return writing.companions;
  });
}

/** Positions at which the files differ. */
function differences(a: Buffer, b: Buffer): number[] {
  assert.equal(a.length, b.length);
  const found: number[] = [];
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) found.push(i);
  return found;
}

async function isDeflated(path: string): Promise<boolean> {
  if (readFileSync(path).readUInt32LE(0) !== 0x04034b50) return false;
  return withZip(path, ({ entries }) =>
    Promise.resolve(entries.some(({ method, size }) => method === 'deflate' && size > 0)),
  );
}

/** Everything in the archive, checksums included, that is not the bytes of entries. */
async function entriesOf(path: string): Promise<Map<string, Buffer>> {
  return withZip(path, async (archive) => {
    const contents = new Map<string, Buffer>();
    for (const entry of archive.entries) {
      const source = await archive.source(entry);
      const content = Buffer.alloc(entry.size);
      await source.read(content);
      // Reaching the end compares the checksum.
      assert.ok(await source.atEnd());
      assert.equal(Buffer.compare(readEntry(path, entry), content), 0);
      contents.set(entry.name, content);
    }
    return contents;
  });
}

describe('pruned at 90 %, zeros are exact and every other byte is as it was', () => {
  for (const path of FILES) {
    it(path.replace(own, 'files').replace(shared ?? '', 'data'), async (t) => {
      const target = join(temporaryFolder(t), 'out', basename(path));
      const before = await openCheckpoint(path);
      const masks = new Map([...before.tensors].filter(([, x]) => isWeight(x)).map(([name, x]) => [name, maskOf(x)]));
      const companions = await prunedCopy(path, target, masks);

      const after = await openCheckpoint(target);
      assert.deepEqual([...after.tensors.keys()], [...before.tensors.keys()]);
      let zeroed = 0;
      for (const [name, tensor] of before.tensors) {
        const found = after.tensors.get(name)!;
        assert.deepEqual([found.dtype, found.shape], [tensor.dtype, tensor.shape]);
        const wished = expectedBytes(tensor, masks.get(name));
        assert.deepEqual([...found.bytes()], wished, name);
        zeroed += tensor.bytes().filter((byte, i) => byte !== wished[i]).length;
      }

      for (const [old, now] of [
        [path, target],
        ...companions.map((file) => [join(dirname(path), basename(file)), file]),
      ]) {
        if (await isDeflated(old!)) {
          const [was, is] = [await entriesOf(old!), await entriesOf(now!)];
          assert.deepEqual([...is.keys()], [...was.keys()]);
          for (const [name, content] of was) zeroed -= differences(content, is.get(name)!).length;
          continue;
        }
        const [was, is] = [readFileSync(old!), readFileSync(now!)];
        const places = differences(was, is);
        // What is not a zero now is a checksum.
        const checksums = places.filter((at) => is[at] !== 0).length;
        const archived = is.readUInt32LE(0) === 0x04034b50;
        assert.ok(checksums <= (archived ? 12 * masks.size : 0), `${checksums} bytes are no zeros`);
        if (archived) await entriesOf(now!);
        zeroed -= places.length - checksums;
      }
      // Checksums may have become zero in a byte or two.
      assert.ok(Math.abs(zeroed) <= masks.size, `${zeroed} bytes too many are as they were`);
      // Again from what was written: nothing changes any more.
      const again = join(dirname(target), 'again', basename(path));
      await prunedCopy(target, again, masks);
      if (!(await isDeflated(target))) assert.deepEqual(readFileSync(again), readFileSync(target));
    });
  }
});

describe('views of one storage', () => {
  for (const file of ['views.pt', 'views_legacy.pt']) {
    for (const name of ['whole', 'row', 'column', 'transposed', 'window', 'every second', 'scalar', 'parameter']) {
      it(`${file}: ${name} is pruned at its places, and what looks at them sees it`, async (t) => {
        const path = join(own, file);
        const target = join(temporaryFolder(t), file);
        const tensor = (await openCheckpoint(path)).tensors.get(name)!;
        // Every other element, so that no order of axes is like another.
        const mask = Uint8Array.from({ length: tensor.bytes().length / 4 }, (_, i) => i % 2);
        await prunedCopy(path, target, new Map([[name, mask]]));
        const { tensors } = await openCheckpoint(target);
        assert.deepEqual([...tensors.get(name)!.bytes()], expectedBytes(tensor, mask));
        // The file's own example: 0, 1, … 23 in [4, 6].
        const base = Array.from({ length: 24 }, (_, i) => i);
        const places: Record<string, readonly number[]> = {
          whole: base,
          row: base.slice(12, 18),
          column: [3, 9, 15, 21],
          transposed: base.map((i) => (i % 4) * 6 + Math.floor(i / 4)),
          window: [8, 9, 10, 14, 15, 16],
          'every second': [0, 3, 12, 15],
        };
        const gone = new Set((places[name] ?? []).filter((_, i) => mask[i] === 0));
        const left = base.map((i) => (gone.has(i) ? 0 : i));
        assert.deepEqual([...tensors.get('whole')!.read().values], left);
        assert.deepEqual(
          [...tensors.get('transposed')!.read().values],
          places.transposed!.map((i) => left[i]!),
        );
      });
    }
  }
});

describe('checkpoints of several files', () => {
  const index =
    '{"metadata": {"total_size": 40},\n "weight_map": {"a": "m-1-of-2.safetensors", "b": "m-2-of-2.safetensors"}}';
  const files = {
    'in/model.safetensors.index.json': index,
    'in/m-1-of-2.safetensors': safetensorsBytes({
      a: [
        [2, 3],
        [1, 2, 3, 4, 5, 6],
      ],
    }),
    'in/m-2-of-2.safetensors': safetensorsBytes({
      b: [
        [2, 2],
        [7, 8, 9, 10],
      ],
    }),
    'out/other': '',
  };
  const masks = new Map([
    ['a', Uint8Array.of(1, 0, 1, 0, 1, 0)],
    ['b', Uint8Array.of(0, 0, 0, 1)],
  ]);
  const values = async (path: string): Promise<number[][]> =>
    [...(await openCheckpoint(path)).tensors.values()].map((tensor) => [...tensor.read().values]);
  const pruned = [
    [1, 0, 3, 0, 5, 0],
    [0, 0, 0, 10],
  ];

  it('in another folder shards keep their names, and the index its bytes', async (t) => {
    const folder = temporaryFolder(t, files);
    const target = join(folder, 'out/model.safetensors.index.json');
    const companions = await prunedCopy(join(folder, 'in/model.safetensors.index.json'), target, masks);
    assert.deepEqual(
      companions.map((path) => basename(path)),
      ['m-1-of-2.safetensors', 'm-2-of-2.safetensors'],
    );
    assert.equal(readFileSync(target, 'utf8'), index);
    assert.deepEqual(await values(target), pruned);
  });

  it('in the same folder they get the name of the new checkpoint in front', async (t) => {
    const folder = temporaryFolder(t, files);
    const target = join(folder, 'in/pruned.safetensors.index.json');
    await prunedCopy(join(folder, 'in/model.safetensors.index.json'), target, masks);
    assert.equal(readFileSync(target, 'utf8'), index.replaceAll('"m-', '"pruned.m-'));
    assert.deepEqual(await values(target), pruned);
    assert.deepEqual(await values(join(folder, 'in/model.safetensors.index.json')), [
      [1, 2, 3, 4, 5, 6],
      [7, 8, 9, 10],
    ]);
  });

  it('a shard of another model stays, and those of this one get its name in front', async (t) => {
    const folder = temporaryFolder(t, { ...files, 'out/m-2-of-2.safetensors': 'old' });
    const target = join(folder, 'out/model.safetensors.index.json');
    const companions = await prunedCopy(join(folder, 'in/model.safetensors.index.json'), target, masks);
    assert.deepEqual(
      companions.map((path) => basename(path)),
      ['model.m-1-of-2.safetensors', 'model.m-2-of-2.safetensors'],
    );
    assert.equal(readFileSync(join(folder, 'out/m-2-of-2.safetensors'), 'utf8'), 'old');
  });

  it('where that name is taken too it is named, and nothing is written', async (t) => {
    const taken = { 'out/m-2-of-2.safetensors': 'old', 'out/model.m-2-of-2.safetensors': 'older' };
    const folder = temporaryFolder(t, { ...files, ...taken });
    const target = join(folder, 'out/model.safetensors.index.json');
    await assert.rejects(prunedCopy(join(folder, 'in/model.safetensors.index.json'), target, masks), {
      name: 'InputError',
      message: `file exists: ${join(folder, 'out/model.m-2-of-2.safetensors')}; choose another name, or allow it to be replaced with --force`,
    });
    assert.deepEqual(readdirSync(join(folder, 'out')).sort(), [
      'm-2-of-2.safetensors',
      'model.m-2-of-2.safetensors',
      'other',
    ]);
  });

  const topology = (quantization: object): string =>
    tfjsModel(
      [
        { name: 'one/kernel', shape: [3, 2] },
        { name: 'two/kernel', shape: [2, 2], quantization },
      ],
      ['a.bin', 'b.bin'],
    );
  const tfjs = (quantization: object): Record<string, Uint8Array | string> => {
    const all = Buffer.concat([float32Bytes([1, 2, 3, 4, 5, 6]), Uint8Array.of(0, 1, 2, 6)]);
    return {
      'in/model.json': topology(quantization),
      // Cut in the middle of a number.
      'in/a.bin': all.subarray(0, 10),
      'in/b.bin': all.subarray(10),
    };
  };
  const tfjsMasks = new Map([
    ['one/kernel', Uint8Array.of(1, 0, 0, 1, 1, 1)],
    ['two/kernel', Uint8Array.of(0, 1, 0, 1)],
  ]);

  it('a weight across two shards, and one that is quantised and knows a zero', async (t) => {
    const folder = temporaryFolder(t, tfjs({ dtype: 'uint8', scale: 0.25, min: -0.5 }));
    const target = join(folder, 'in/small.json');
    const companions = await prunedCopy(join(folder, 'in/model.json'), target, tfjsMasks);
    assert.deepEqual(
      companions.map((path) => basename(path)),
      ['small.a.bin', 'small.b.bin'],
    );
    assert.deepEqual(await values(target), [
      [1, 0, 0, 4, 5, 6],
      [0, -0.25, 0, 1],
    ]);
    // Code 2 is zero; kept codes stay.
    assert.deepEqual([...readFileSync(companions[1]!)].slice(-4), [2, 1, 2, 6]);
  });

  it('a quantised weight without a zero is refused by name', async (t) => {
    const folder = temporaryFolder(t, tfjs({ dtype: 'uint8', scale: 0.25, min: -0.6 }));
    await assert.rejects(prunedCopy(join(folder, 'in/model.json'), join(folder, 'in/small.json'), tfjsMasks), {
      name: 'InputError',
      message:
        /^value not representable: 0 in a tensor quantised to 0\.25·q \+ -0\.6 \(tensor "two\/kernel", model\.json\); convert/,
    });
    assert.deepEqual(readdirSync(join(folder, 'in')).sort(), ['a.bin', 'b.bin', 'model.json']);
  });
});

describe('HDF5', () => {
  /** A file in which datasets lie in every way. */
  async function sample(path: string): Promise<void> {
    const h5wasm = await import('h5wasm/node');
    await h5wasm.ready;
    const file = new h5wasm.File(path, 'w', { libver: 'latest' });
    const data = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i + 1));
    file.create_dataset({ name: 'plain', data, shape: [32, 64] });
    file.create_dataset({ name: 'double', data: Float64Array.from(data), shape: [64, 32] });
    file.create_dataset({ name: 'chunked', data, shape: [32, 64], chunks: [16, 16] });
    file.create_dataset({ name: 'deflated', data, shape: [32, 64], chunks: [16, 64], compression: 'gzip' });
    file.close();
  }

  it('datasets in one piece, in chunks, and compressed', async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'a.h5');
    await sample(path);
    const { tensors } = await openCheckpoint(path);
    for (const names of [['plain', 'double'], ['chunked'], ['deflated', 'plain']]) {
      const masks = new Map(names.map((name) => [name, maskOf(tensors.get(name)!)]));
      const target = join(folder, `${names.join()}.h5`);
      await prunedCopy(path, target, masks);
      const written = (await openCheckpoint(target)).tensors;
      for (const [name, tensor] of tensors) {
        assert.deepEqual([...written.get(name)!.bytes()], expectedBytes(tensor, masks.get(name)), name);
      }
      if (names.includes('deflated')) continue;
      const [was, is] = [readFileSync(path), readFileSync(target)];
      assert.ok(differences(was, is).every((at) => is[at] === 0));
    }
  });
});

describe('archives', () => {
  it('with deflated entries move the others by whole alignments, and keep what surrounds entries', async (t) => {
    const content = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7) % 251));
    const parts = [
      { name: 'a', content, deflate: true },
      { name: 'b', content: content.subarray(0, 100), zip64: true },
      { name: 'c', content, deflate: true, zip64: true },
      { name: 'd', content: Buffer.from('end') },
    ];
    const folder = temporaryFolder(t, { 'a.zip': zipBytes(parts) });
    const { replaceEntries } = await import('../../server/src/files/zip-update');
    const now = new Map([
      ['a', Buffer.alloc(5000)],
      ['c', Buffer.from(content).fill(0, 100, 4900)],
      ['d', Buffer.from('END')],
    ]);
    await replaceEntries(join(folder, 'a.zip'), join(folder, 'b.zip'), now);
    const contents = await entriesOf(join(folder, 'b.zip'));
    assert.deepEqual(
      [...contents].map(([name, bytes]) => [name, Buffer.compare(bytes, now.get(name) ?? content.subarray(0, 100))]),
      [
        ['a', 0],
        ['b', 0],
        ['c', 0],
        ['d', 0],
      ],
    );
    const places = async (name: string): Promise<number[]> =>
      withZip(join(folder, name), ({ entries }) => Promise.resolve(entries.map(({ header }) => header % 64)));
    assert.deepEqual(await places('b.zip'), await places('a.zip'));
  });

  it('whose entries reach into each other are refused', async (t) => {
    const { updateChecksums } = await import('../../server/src/files/zip-update');
    const bytes = zipBytes([
      { name: 'a', content: Buffer.alloc(10), size: 60, packed: 60 },
      { name: 'b', content: Buffer.alloc(100) },
    ]);
    const path = join(temporaryFolder(t, { 'a.zip': bytes }), 'a.zip');
    await assert.rejects(updateChecksums(path, new Set(['a'])), {
      name: 'InputError',
      message: `archive damaged: ${path} (a reaches into the next entry); fetch the file again`,
    });
  });
});

it('a file that may not be written is copied into one that may', async (t) => {
  const path = join(temporaryFolder(t), 'a.pt');
  writeFileSync(path, readFileSync(join(own, 'whole_module.pt')));
  chmodSync(path, 0o444);
  const { tensors } = await openCheckpoint(path);
  const masks = new Map([['fc.weight', maskOf(tensors.get('fc.weight')!)]]);
  await prunedCopy(path, `${path}.new`, masks);
  assert.equal(statSync(`${path}.new`).mode & 0o777, 0o644);
  assert.deepEqual(
    [...(await openCheckpoint(`${path}.new`)).tensors.get('fc.weight')!.bytes()],
    expectedBytes(tensors.get('fc.weight')!, masks.get('fc.weight')),
  );
});
