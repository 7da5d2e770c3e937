import assert from 'node:assert/strict';
import { test } from 'node:test';
import Long from 'long';
import { floats, modelBytes, node } from '../../../../test/onnx-models';
import { withValues, type Edit } from '../edit';
import { float16ToNumber, bfloat16ToNumber, numberToBfloat16, numberToFloat16 } from '../elements';
import { onnx } from './generated/onnx';
import { storedLayers } from './layers';
import { decodeModel } from './reader';
import { updateWeights } from './update';
import { lengthDelimited } from './wire';

const types = onnx.TensorProto.DataType;
const OWN = [0.5, -1.25, 2, -0.375, 1, 0.0625];
const WISHED = Float32Array.of(0, -1.25, 2, 0, 7, 0.0625);
const dims = [Long.fromNumber(2), Long.fromNumber(3)];
const to = (name: string, wished: Float32Array): Map<string, Edit> =>
  new Map([[name, (own) => withValues(own, wished)]]);
const noFile = (): string => assert.fail('no external data here');

const raw16 = (values: readonly number[], encode: (x: number) => number): Uint8Array =>
  new Uint8Array(Uint16Array.from(values, encode).buffer);

/** One weight, stored in every way that ONNX has. */
const storages: Readonly<Record<string, onnx.ITensorProto>> = {
  'float32 in raw data': { dataType: types.FLOAT, rawData: new Uint8Array(Float32Array.from(OWN).buffer) },
  'float32 as numbers': { dataType: types.FLOAT, floatData: OWN },
  'float64 in raw data': { dataType: types.DOUBLE, rawData: new Uint8Array(Float64Array.from(OWN).buffer) },
  'float64 as numbers': { dataType: types.DOUBLE, doubleData: OWN },
  'float16 in raw data': { dataType: types.FLOAT16, rawData: raw16(OWN, numberToFloat16) },
  'float16 as numbers': { dataType: types.FLOAT16, int32Data: OWN.map(numberToFloat16) },
  'bfloat16 in raw data': { dataType: types.BFLOAT16, rawData: raw16(OWN, numberToBfloat16) },
  'bfloat16 as numbers': { dataType: types.BFLOAT16, int32Data: OWN.map(numberToBfloat16) },
};

function model(tensor: onnx.ITensorProto, asConstant: boolean): Uint8Array {
  const whole = { ...tensor, name: 'w', dims, docString: 'kept' };
  const bytes = modelBytes({
    inputs: [['x', [1, 3]]],
    outputs: [['y', [1, 2]]],
    nodes: [
      ...(asConstant ? [node('Constant', [], ['w'], { value: { tensor: whole } })] : []),
      node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 }, 'last'),
    ],
    tensors: [...(asConstant ? [] : [whole]), floats('b', [2], [0.5, -0.5])],
  });
  // A field that the schema does not know.
  return Buffer.concat([bytes, lengthDelimited(99, Buffer.from('from the future'))]);
}

function weights(bytes: Uint8Array): number[] {
  return Array.from(storedLayers(decodeModel(bytes, 'm.onnx'))[0]!.tensor.read().values);
}

for (const [how, tensor] of Object.entries(storages)) {
  for (const asConstant of [false, true]) {
    test(`${how}${asConstant ? ' of a Constant node' : ''} is replaced, and nothing else`, () => {
      const before = model(tensor, asConstant);
      const { bytes: after, external } = updateWeights(before, 'm.onnx', to('w', WISHED), noFile);
      assert.equal(external.size, 0);
      assert.deepEqual(weights(after), [...WISHED]);
      // The wished values back to the old ones give the old file, byte for byte.
      const back = updateWeights(after, 'm.onnx', to('w', Float32Array.from(OWN)), noFile);
      assert.ok(Buffer.from(back.bytes).equals(before));
      const changed = [...after].filter((byte, i) => byte !== before[i]).length;
      assert.ok(after.length !== before.length || changed <= 3 * 8, `${changed} bytes differ`);
    });
  }
}

test('values that float32 cannot tell apart keep their bits', () => {
  const own = [1 / 3, 2 / 3, 0.1, 0.2, 0.3, 0.4];
  const before = model({ dataType: types.DOUBLE, doubleData: own }, false);
  const wished = Float32Array.from(own).with(1, 0);
  const { bytes } = updateWeights(before, 'm.onnx', to('w', wished), noFile);
  assert.deepEqual(weights(bytes), own.with(1, 0));
});

test('external data are described, and expected at their new place', () => {
  const entry = (key: string, value: string): onnx.IStringStringEntryProto => ({ key, value });
  const at = (name: string, offset: number, extra: onnx.ITensorProto = {}): onnx.ITensorProto => ({
    name,
    dims,
    dataType: types.FLOAT,
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
    externalData: [entry('location', 'old.bin'), entry('offset', String(offset)), entry('length', '24')],
    ...extra,
  });
  const before = modelBytes({
    inputs: [['x', [1, 3]]],
    outputs: [['y', [1, 2]]],
    nodes: [node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 })],
    tensors: [at('b', 64), floats('w', [2, 3], OWN)],
  });
  const { bytes, external } = updateWeights(before, 'm.onnx', to('w', WISHED), (i) => `new${i}.bin`);
  assert.deepEqual([...external], [['old.bin', { location: 'new0.bin', patches: [], parts: null }]]);
  const tensor = onnx.ModelProto.decode(bytes).graph!.initializer![0]!;
  assert.deepEqual(
    tensor.externalData!.map(({ key, value }) => [key, value]),
    [
      ['location', 'new0.bin'],
      ['offset', '64'],
      ['length', '24'],
    ],
  );
});

test('a name that is not there and damaged bytes are refused', () => {
  const whole = model(storages['float32 as numbers']!, false);
  assert.throws(() => updateWeights(whole, 'm.onnx', to('v', WISHED), noFile), {
    name: 'InputError',
    message: 'weights not found: v (m.onnx); export it again',
  });
  assert.throws(() => updateWeights(whole.subarray(0, 40), 'm.onnx', new Map(), noFile), {
    name: 'InputError',
    message: /^ONNX file damaged: m\.onnx \(.*\); copy or export it again$/,
  });
});

test('16-bit floats are written as the nearest, and every one is read back', () => {
  for (let bits = 0; bits < 65_536; bits++) {
    const half = float16ToNumber(bits);
    const brain = bfloat16ToNumber(bits);
    if (!Number.isNaN(half)) assert.equal(numberToFloat16(half), bits);
    if (!Number.isNaN(brain)) assert.equal(numberToBfloat16(brain), bits);
    // Half-way to the next one: the even of the two.
    const next = float16ToNumber(bits + 1);
    if ((bits & 0x7fff) < 0x7bff) assert.equal(numberToFloat16((half + next) / 2), bits + (bits % 2));
    const nextBrain = bfloat16ToNumber(bits + 1);
    if ((bits & 0x7fff) < 0x7f7f) assert.equal(numberToBfloat16((brain + nextBrain) / 2), bits + (bits % 2));
  }
  assert.deepEqual([numberToFloat16(1e6), numberToFloat16(-65_520), numberToFloat16(65_519)], [0x7c00, 0xfc00, 0x7bff]);
});
