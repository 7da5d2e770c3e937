import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import Long from 'long';
import { temporaryFolder } from '../../../../test/files';
import { floats, modelBytes, node, type ModelParts } from '../../../../test/onnx-models';
import { testRandom } from '../../../../test/reference/cases';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withZeros, type Edit } from '../edit';
import { numberToBfloat16, numberToFloat16 } from '../elements';
import { openCheckpoint } from '../open';
import { Staging } from '../../files/staging';
import { Writing } from '../writer';
import { onnx } from './generated/onnx';
import { decodeModel } from './reader';
import { updateWeights } from './update';
import { write } from './writer';

const types = onnx.TensorProto.DataType;
const long = (values: readonly number[]): Long[] => values.map((value) => Long.fromNumber(value));
const noFile = (): string => assert.fail('no external data here');

/** A product of a sparse weight [2, 3]. */
function model(sparse: onnx.ISparseTensorProto): Uint8Array {
  const bytes = modelBytes({
    inputs: [['x', [1, 3]]],
    outputs: [['y', [1, 2]]],
    nodes: [node('Gemm', ['x', 'w'], ['y'], { transB: 1 })],
    tensors: [],
  });
  const decoded = onnx.ModelProto.decode(bytes);
  decoded.graph!.sparseInitializer = [sparse as onnx.SparseTensorProto.$Properties];
  return onnx.ModelProto.encode(decoded).finish();
}

interface Parts {
  readonly dims?: readonly number[];
  readonly values?: onnx.ITensorProto;
  readonly at?: onnx.ITensorProto;
}

function sparse({ dims = [2, 3], values = {}, at = {} }: Parts): onnx.ISparseTensorProto {
  return {
    dims: long(dims),
    values: { name: 'w', dims: long([2]), dataType: types.FLOAT, floatData: [5, -7], ...values },
    indices: { dims: long([2]), dataType: types.INT64, int64Data: long([1, 5]), ...at },
  };
}

const raw16 = (values: readonly number[], encode: (x: number) => number): Uint8Array =>
  new Uint8Array(Uint16Array.from(values, encode).buffer);

const read: Readonly<Record<string, Parts>> = {
  'places in row-major order': {},
  'places as raw data': { at: { int64Data: [], rawData: new Uint8Array(BigInt64Array.of(1n, 5n).buffer) } },
  'an index per axis': { at: { dims: long([2, 2]), int64Data: long([0, 1, 1, 2]) } },
  float64: { values: { dataType: types.DOUBLE, floatData: [], doubleData: [5, -7] } },
  float16: { values: { dataType: types.FLOAT16, floatData: [], rawData: raw16([5, -7], numberToFloat16) } },
  bfloat16: { values: { dataType: types.BFLOAT16, floatData: [], rawData: raw16([5, -7], numberToBfloat16) } },
};
for (const [name, parts] of Object.entries(read)) {
  test(`a sparse initializer is read: ${name}`, () => {
    const { tensors } = decodeModel(model(sparse(parts)), 'm.onnx');
    assert.deepEqual(tensors.get('w')!.shape, [2, 3]);
    assert.deepEqual([...tensors.get('w')!.read().values], [0, 5, 0, 0, 0, -7]);
  });
}

const empty = { dims: long([0]), floatData: [], int64Data: [] };
test('a sparse initializer without values is all zeros', () => {
  const { tensors } = decodeModel(model(sparse({ values: empty, at: empty })), 'm.onnx');
  assert.deepEqual([...tensors.get('w')!.read().values], [0, 0, 0, 0, 0, 0]);
});

test('a sparse Constant node is one like any other', () => {
  const bytes = modelBytes({
    inputs: [['x', [1, 3]]],
    outputs: [['y', [1, 2]]],
    nodes: [
      node('Constant', [], ['w'], { sparse_value: { sparseTensor: sparse({}) } }),
      node('Gemm', ['x', 'w'], ['y'], { transB: 1 }),
    ],
    tensors: [],
  });
  const value = decodeModel(bytes, 'm.onnx').nodes[0]!.attributes.get('value');
  assert.ok(value?.kind === 'tensor');
  assert.deepEqual([...value.value.read().values], [0, 5, 0, 0, 0, -7]);
});

const damaged: readonly (readonly [string, Parts, RegExp])[] = [
  [
    'an index outside',
    { at: { int64Data: long([1, 6]) } },
    /^sparse tensor damaged: index 6 of 6 \(tensor "w", m\.onnx\)/,
  ],
  ['a negative index', { at: { int64Data: long([-1, 5]) } }, /index -1 of 6/],
  ['an index twice', { at: { int64Data: long([5, 5]) } }, /index 5 after 5/],
  ['indices out of order', { at: { int64Data: long([5, 1]) } }, /index 1 after 5/],
  ['an index outside of its axis', { at: { dims: long([2, 2]), int64Data: long([0, 1, 0, 3]) } }, /index 3 of 3/],
  ['more indices than values', { at: { dims: long([3]), int64Data: long([0, 1, 2]) } }, /\[2\] values at int64 \[3\]/],
  ['indices of another rank', { at: { dims: long([2, 3]), int64Data: long([0, 0, 0, 0, 0, 1]) } }, /at int64 \[2, 3\]/],
  ['indices that are no integers', { at: { dataType: types.FLOAT } }, /at float32 \[2\]/],
  ['fewer indices than it says', { at: { int64Data: long([1]) } }, /^tensor data: 1 values where int64 \[2\] needs 2/],
  ['more values than places', { dims: [1, 1] }, /\[2\] values/],
  ['a negative size', { dims: [-2, 3] }, /shape \[-2, 3\]/],
  ['a size beyond all numbers', { dims: [2 ** 40, 2 ** 40] }, /shape/],
  ['terabytes of zeros', { dims: [2 ** 20, 2 ** 20] }, /^sparse tensor too large: \[1048576, 1048576\] of 2 values/],
];
for (const [name, parts, message] of damaged) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () =>
        decodeModel(model(sparse(parts)), 'm.onnx')
          .tensors.get('w')!
          .read(),
      {
        name: 'InputError',
        message,
      },
    );
  });
}

const random = testRandom(9);
const uniform = (count: number): number[] => Array.from({ length: count }, () => 2 * random() - 1);
/** One weight of nine tenths zeros, in every float type. */
const weights = uniform(40 * 64).map((w, i) => (i % 10 === 3 ? w : 0));
const stored: Readonly<Record<string, onnx.ITensorProto>> = {
  float32: { dataType: types.FLOAT, rawData: new Uint8Array(Float32Array.from(weights).buffer) },
  'float32 as numbers': { dataType: types.FLOAT, floatData: weights },
  float64: { dataType: types.DOUBLE, rawData: new Uint8Array(Float64Array.from(weights).buffer) },
  float16: { dataType: types.FLOAT16, rawData: raw16(weights, numberToFloat16) },
  bfloat16: { dataType: types.BFLOAT16, int32Data: weights.map(numberToBfloat16) },
};

function parts(tensor: onnx.ITensorProto, asConstant = false): ModelParts {
  const whole = { name: 'w', dims: long([40, 64]), docString: 'kept', ...tensor };
  return {
    inputs: [['x', ['N', 64]]],
    outputs: [['y', ['N', 40]]],
    nodes: [
      ...(asConstant ? [node('Constant', [], ['w'], { value: { tensor: whole } })] : []),
      node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 }),
    ],
    tensors: [...(asConstant ? [] : [whole]), floats('b', [40], uniform(40))],
  };
}

/** The weight's elements, wherever they are. */
function elements(bytes: Uint8Array): Uint8Array {
  const { tensors, nodes } = decodeModel(bytes, 'm.onnx');
  const value = nodes[0]!.attributes.get('value');
  return tensors.get('w')?.bytes() ?? (value?.kind === 'tensor' ? value.value.bytes() : new Uint8Array());
}

describe('a weight with many zeros', () => {
  for (const [name, tensor] of Object.entries(stored)) {
    for (const asConstant of [false, true]) {
      it(`${name}${asConstant ? ' of a Constant node' : ''} becomes sparse, and its bits stay`, () => {
        const dense = modelBytes(parts(tensor, asConstant));
        const { bytes } = updateWeights(dense, 'm.onnx', new Map(), noFile, true);
        const decoded = onnx.ModelProto.decode(bytes);
        const [only] = asConstant
          ? [decoded.graph!.node![0]!.attribute![0]!.sparseTensor!]
          : decoded.graph!.sparseInitializer!;
        assert.equal(only!.values!.name, 'w');
        assert.equal(only!.values!.docString, 'kept');
        assert.equal(decoded.graph!.initializer!.length, 1, 'the bias has no zeros');
        assert.ok(Number(decoded.irVersion) >= 6);
        assert.deepEqual([...elements(bytes)], [...elements(dense)]);
        // And an edit of it finds it there.
        const mask = Uint8Array.from(weights, (w) => (w > 0 ? 1 : 0));
        const edits = new Map<string, Edit>([['w', (own) => withZeros(own, mask)]]);
        const edited = updateWeights(bytes, 'm.onnx', edits, noFile).bytes;
        const wished = updateWeights(dense, 'm.onnx', edits, noFile).bytes;
        assert.deepEqual([...elements(edited)], [...elements(wished)]);
        assert.equal(onnx.ModelProto.decode(edited).graph!.sparseInitializer!.length, asConstant ? 0 : 1);
      });
    }
  }

  it('stays dense where that is shorter, and in an opset without sparse constants', () => {
    const full = modelBytes(parts({ dataType: types.FLOAT, floatData: uniform(40 * 64) }));
    assert.ok(Buffer.from(updateWeights(full, 'm.onnx', new Map(), noFile, true).bytes).equals(full));
    const old = modelBytes({ ...parts(stored.float32!, true), opset: 10 });
    assert.ok(Buffer.from(updateWeights(old, 'm.onnx', new Map(), noFile, true).bytes).equals(old));
  });

  it('takes at 90 % less than a quarter of its dense size', () => {
    const dense = modelBytes(parts(stored.float32!));
    const { bytes } = updateWeights(dense, 'm.onnx', new Map(), noFile, true);
    assert.ok(bytes.length < 0.25 * dense.length, `${bytes.length} of ${dense.length} bytes`);
  });

  it('before version 4 of the format is no longer an input', () => {
    const bytes = modelBytes({
      ...parts(stored.float32!),
      inputs: [
        ['x', ['N', 64]],
        ['w', [40, 64]],
        ['b', [40]],
      ],
    });
    const old = onnx.ModelProto.decode(bytes);
    old.irVersion = Long.fromNumber(3);
    const updated = updateWeights(onnx.ModelProto.encode(old).finish(), 'm.onnx', new Map(), noFile, true).bytes;
    const { irVersion, graph } = onnx.ModelProto.decode(updated);
    assert.equal(Number(irVersion), 6);
    assert.deepEqual(
      graph!.input!.map(({ name }) => name),
      ['x'],
    );
  });
});

test('external data keep what is still outside, at whole pages', async (t) => {
  const entry = (key: string, value: string) => ({ key, value });
  const outside = (name: string, shape: readonly number[], offset: number | null): onnx.ITensorProto => ({
    name,
    dims: long(shape),
    dataType: types.FLOAT,
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
    externalData: [entry('location', 'm.bin'), ...(offset === null ? [] : [entry('offset', String(offset))])],
  });
  const full = uniform(64 * 3);
  const data = Float32Array.from([...full, ...weights, ...uniform(40)]);
  const folder = temporaryFolder(t, {
    'm.bin': new Uint8Array(data.buffer),
    'm.onnx': modelBytes({
      inputs: [['x', ['N', 3]]],
      outputs: [['y', ['N', 40]]],
      nodes: [node('Gemm', ['x', 'v'], ['h'], { transB: 1 }), node('Gemm', ['h', 'w', 'b'], ['y'], { transB: 1 })],
      tensors: [
        outside('v', [64, 3], null),
        outside('w', [40, 64], 4 * full.length),
        outside('b', [40], 4 * (full.length + weights.length)),
      ],
    }),
  });
  const [source, target] = ['m.onnx', 'out.onnx'].map((name) => join(folder, name)) as [string, string];
  const written = await Staging.run(async (staging) => {
    const writing = new Writing(source, target, [], staging, false);
    await write(writing, { sparse: true });
    return writing.companions;
  });
  assert.deepEqual(written, [`${target}.data`]);
  assert.equal(readFileSync(`${target}.data`).length, 4096 + 4 * 40);
  const [before, after] = [await openCheckpoint(source), await openCheckpoint(target)];
  for (const [name, tensor] of before.tensors) {
    assert.deepEqual([...after.tensors.get(name)!.bytes()], [...tensor.bytes()], name);
  }
  // Where nothing is left outside there is no file.
  writeFileSync(join(folder, 'm.bin'), new Uint8Array(data.length * 4));
  const none = await Staging.run(async (staging) => {
    const writing = new Writing(source, join(folder, 'zero.onnx'), [], staging, false);
    await write(writing, { sparse: true });
    return writing.companions;
  });
  assert.deepEqual(none, []);
});
