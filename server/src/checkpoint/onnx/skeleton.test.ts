import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Long from 'long';
import { temporaryFolder } from '../../../../test/files';
import { floats, ints, modelBytes, node, ramp } from '../../../../test/onnx-models';
import { InputError } from '../../errors';
import { onnx } from './generated/onnx';
import { decodeModel, open, type OnnxFile } from './reader';
import { readSkeleton } from './skeleton';
import type { StoredTensor } from './tensor';
import { lengthDelimited, varintBytes } from './wire';

const raw = (name: string, count: number): onnx.ITensorProto => ({
  ...ints(name, []),
  dims: [Long.fromNumber(count)],
  dataType: onnx.TensorProto.DataType.UINT8,
  int64Data: [],
  rawData: Uint8Array.from({ length: count }, (_, i) => i * 7),
});

/** Large and small values, raw and typed, as initializers, constants and in a subgraph. */
const model = modelBytes({
  inputs: [['x', ['N', 40]]],
  outputs: ['y'],
  nodes: [
    node('Constant', [], ['c'], { value: { tensor: ramp('', [40, 30]) } }),
    node('Constant', [], ['d'], { value: { tensor: floats('', [2], [1, 2]) } }),
    node('If', ['x'], ['i'], { then_branch: { graph: { name: 'g', initializer: [ramp('inner', [600])] } } }),
    node('MatMul', ['x', 'c'], ['a']),
    node('MatMul', ['a', 'w'], ['y'], {}, 'last'),
  ],
  tensors: [
    ramp('w', [30, 50]),
    raw('bytes', 5000),
    raw('few', 5),
    ints('large', new Array<number>(900).fill(-3)),
    floats('none', [0], []),
  ],
});

const tensorsOf = (file: OnnxFile): Map<string, string> => {
  const hex = (tensor: StoredTensor): string => Buffer.from(tensor.bytes()).toString('hex');
  const constants = file.nodes.flatMap(({ attributes, outputs }) => {
    const value = attributes.get('value');
    return value?.kind === 'tensor' ? [[outputs[0]!, hex(value.value)] as const] : [];
  });
  return new Map([...[...file.tensors].map(([name, tensor]) => [name, hex(tensor)] as const), ...constants]);
};

test('a file whose values are left out reads as the whole one', async (t) => {
  const path = join(temporaryFolder(t, { 'm.onnx': model }), 'm.onnx');
  const lazy = await open(path);
  const whole = decodeModel(model, path);
  assert.deepEqual(tensorsOf(lazy), tensorsOf(whole));
  const values = (file: OnnxFile): unknown => [...file.tensors.values()].map((tensor) => tensor.read());
  assert.deepEqual(values(lazy), values(whole));
  const plain = (file: OnnxFile): unknown =>
    file.nodes.map(({ op, name, inputs, outputs }) => [op, name, inputs, outputs]);
  assert.deepEqual(plain(lazy), plain(whole));
  // Values of a thousand bytes and more are not there.
  const large = [4 * 40 * 30, 4 * 600, 4 * 30 * 50, 5000].reduce((a, b) => a + b);
  assert.ok(readSkeleton(path, model.length).length < model.length - large + 200);
});

test('values that come in several fields are read whole', async (t) => {
  const packed = (values: readonly number[]): Uint8Array =>
    lengthDelimited(4, new Uint8Array(Float32Array.from(values).buffer));
  const [first, second] = [new Array<number>(300).fill(1), new Array<number>(400).fill(2)];
  const name = lengthDelimited(8, Buffer.from('w'));
  const dims = Buffer.concat([varintBytes(8), varintBytes(700)]);
  const type = Buffer.from([16, 1]);
  const tensor = Buffer.concat([dims, type, packed(first), packed(second), name]);
  const output = lengthDelimited(12, lengthDelimited(1, Buffer.from('w')));
  const graph = Buffer.concat([lengthDelimited(5, tensor), output]);
  const path = join(temporaryFolder(t, { 'm.onnx': lengthDelimited(7, graph) }), 'm.onnx');
  assert.deepEqual([...(await open(path)).tensors.get('w')!.read().values], [...first, ...second]);
});

test('every truncation, and every length that lies, is an InputError or a smaller model', async (t) => {
  const path = join(temporaryFolder(t), 'm.onnx');
  const small = modelBytes({ outputs: ['w'], nodes: [], tensors: [ramp('w', [300]), raw('r', 1500)] });
  const attempt = async (bytes: Uint8Array): Promise<void> => {
    writeFileSync(path, bytes);
    try {
      for (const tensor of (await open(path)).tensors.values()) tensor.bytes();
    } catch (error) {
      assert.ok(error instanceof InputError, String(error));
    }
  };
  for (let length = 0; length < small.length; length += 7) await attempt(small.subarray(0, length));
  for (let at = 0; at < 64; at++) {
    for (const byte of [0, 0x7f, 0x80, 0xff]) await attempt(Buffer.from(small).fill(byte, at, at + 1));
  }
});

const nested = (depth: number): Uint8Array =>
  depth === 0 ? new Uint8Array() : lengthDelimited(1, lengthDelimited(5, lengthDelimited(6, nested(depth - 1))));

const refused: readonly [string, Uint8Array, RegExp][] = [
  [
    'a length behind the end',
    Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x07),
    /field at 0 ends at 2147483653, behind 6/,
  ],
  ['a length behind its message', Uint8Array.of(0x3a, 3, 0x0a, 9, 0, 0, 0), /field at 2 ends at 13, behind 5/],
  ['a number without an end', new Uint8Array(12).fill(0xff), /number before 10 does not end/],
  ['graphs in graphs', lengthDelimited(7, nested(40)), /more than 64 messages in each other/],
];
for (const [title, bytes, message] of refused) {
  test(`refused: ${title}`, async (t) => {
    const path = join(temporaryFolder(t, { 'm.onnx': bytes }), 'm.onnx');
    await assert.rejects(open(path), (error) => error instanceof InputError && message.test(error.message));
  });
}
