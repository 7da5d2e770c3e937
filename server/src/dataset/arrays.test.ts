import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { float32Bytes, npyBytes, npyFile, temporaryFolder, zipBytes } from '../../../test/files';
import type { NpyOptions } from '../../../test/files';
import { sharedData, withoutSharedData } from '../../../test/outside';
import { withSource } from '../files/source';
import { npzNames, readNpz } from './arrays';
import { half } from './elements';
import { readNpy } from './npy';
import { openDataset } from './open';

const X = npyBytes('|u1', [2, 3], [1, 2, 3, 4, 5, 6]);
const Y = npyBytes('<i8', [2], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

/** The bytes of `values`, written by `write` at every `each` bytes. */
function bytes(each: number, values: readonly number[], write: (view: DataView, at: number, value: number) => void) {
  const view = new DataView(new ArrayBuffer(each * values.length));
  values.forEach((value, i) => write(view, i * each, value));
  return new Uint8Array(view.buffer);
}

const SIGNED = [-3, 0, 100];
const TYPES: Record<string, [content: Uint8Array | number[], expected: number[]]> = {
  '|u1': [
    [0, 7, 255],
    [0, 7, 255],
  ],
  '|b1': [
    [0, 1, 1],
    [0, 1, 1],
  ],
  '|i1': [[253, 0, 100], SIGNED],
  '<u2': [bytes(2, [0, 258, 65535], (v, at, x) => v.setUint16(at, x, true)), [0, 258, 65535]],
  '>u2': [bytes(2, [0, 258, 65535], (v, at, x) => v.setUint16(at, x)), [0, 258, 65535]],
  '<i2': [bytes(2, SIGNED, (v, at, x) => v.setInt16(at, x, true)), SIGNED],
  '>i2': [bytes(2, SIGNED, (v, at, x) => v.setInt16(at, x)), SIGNED],
  '<i4': [bytes(4, SIGNED, (v, at, x) => v.setInt32(at, x, true)), SIGNED],
  '>i4': [bytes(4, SIGNED, (v, at, x) => v.setInt32(at, x)), SIGNED],
  '<i8': [bytes(8, SIGNED, (v, at, x) => v.setBigInt64(at, BigInt(x), true)), SIGNED],
  '>i8': [bytes(8, SIGNED, (v, at, x) => v.setBigInt64(at, BigInt(x))), SIGNED],
  '<u4': [bytes(4, [0, 1, 65536], (v, at, x) => v.setUint32(at, x, true)), [0, 1, 65536]],
  '<u8': [bytes(8, [0, 1, 65536], (v, at, x) => v.setBigUint64(at, BigInt(x), true)), [0, 1, 65536]],
  '<f2': [
    [0x00, 0x3c, 0x00, 0xc0, 0x55, 0x35],
    [1, -2, 0.333251953125],
  ],
  '>f2': [
    [0x3c, 0x00, 0xc0, 0x00, 0x35, 0x55],
    [1, -2, 0.333251953125],
  ],
  '<f4': [float32Bytes([1.5, -2, 0.25]), [1.5, -2, 0.25]],
  '=f4': [float32Bytes([1.5, -2, 0.25]), [1.5, -2, 0.25]],
  '>f4': [bytes(4, [1.5, -2, 0.25], (v, at, x) => v.setFloat32(at, x)), [1.5, -2, 0.25]],
  '<f8': [bytes(8, [1.5, -2, 0.1], (v, at, x) => v.setFloat64(at, x, true)), [1.5, -2, Math.fround(0.1)]],
  '>f8': [bytes(8, [1.5, -2, 0.1], (v, at, x) => v.setFloat64(at, x)), [1.5, -2, Math.fround(0.1)]],
};

for (const [type, [content, expected]] of Object.entries(TYPES)) {
  test(`npy: type ${type}`, async (t) => {
    const folder = temporaryFolder(t, { 'a.npy': npyBytes(type, [3], content) });
    const array = await withSource(join(folder, 'a.npy'), readNpy);
    assert.deepEqual([array.shape, [...array.values]], [[3], expected]);
    assert.equal(array.values.constructor, type === '|u1' || type === '|b1' ? Uint8Array : Float32Array);
  });
}

test('npy: half precision at its edges', () => {
  const cases: [number, number][] = [
    [0x0000, 0],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x0400, 2 ** -14],
    [0x7bff, 65504],
    [0xfbff, -65504],
    [0x7c00, Infinity],
    [0xfc00, -Infinity],
  ];
  for (const [bits, value] of cases) assert.equal(half(bits), value);
  assert.ok(Object.is(half(0x8000), -0));
  assert.ok(Number.isNaN(half(0x7e00)));
});

test('npy: versions, orders, scalars, more than one piece', async (t) => {
  const read = async (file: Uint8Array) => {
    const folder = temporaryFolder(t, { 'a.npy': file });
    return withSource(join(folder, 'a.npy'), readNpy);
  };
  const options: NpyOptions[] = [{ version: 1 }, { version: 2 }, { version: 3 }];
  for (const option of options) {
    assert.deepEqual(await read(npyBytes('|u1', [2, 2], [1, 2, 3, 4], option)), {
      shape: [2, 2],
      values: Uint8Array.of(1, 2, 3, 4),
    });
  }
  assert.deepEqual((await read(npyBytes('|u1', [], [9]))).shape, []);
  // Element (i, j, k) holds 100i + 10j + k and stands at i + 2j + 6k.
  const content = Array.from(
    { length: 24 },
    (_, at) => 100 * (at % 2) + 10 * (Math.floor(at / 2) % 3) + Math.floor(at / 6),
  );
  const array = await read(npyBytes('|u1', [2, 3, 4], content, { fortran: true }));
  const expected = [0, 1].flatMap((i) => [0, 1, 2].flatMap((j) => [0, 1, 2, 3].map((k) => 100 * i + 10 * j + k)));
  assert.deepEqual([...array.values], expected);
  const long = Array.from({ length: 200_003 }, (_, i) => i / 2);
  assert.deepEqual([...(await read(npyBytes('<f4', [200_003], float32Bytes(long)))).values], long);
});

const BAD: Record<string, [file: Uint8Array, message: RegExp]> = {
  'an object array': [
    npyBytes('|O', [2], [0x80, 3, 0x4e, 0x2e]),
    /^object array refused: \S+x\.npy is a pickle and might run code; save plain numbers$/,
  ],
  records: [
    npyFile("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,), }", [0, 0, 0, 0]),
    /^array type unsupported: records in \S+x\.npy; save plain numbers$/,
  ],
  text: [npyBytes('<U3', [1], Buffer.alloc(12)), /^array type unsupported: <U3 of \S+x\.npy; save integers or floats$/],
  'a line break in the type': [
    npyFile("{'descr': '>f8 \n ', 'fortran_order': False, 'shape': (1,), }", [0]),
    /^array type unsupported: >f8 \n {2}of/,
  ],
  complex: [npyBytes('<c8', [1], Buffer.alloc(8)), /^array type unsupported: <c8 of/],
  'code in the header': [
    npyFile("{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (1,), }", [0]),
    /^npy header damaged: \S+x\.npy \(no type\); save the array again$/,
  ],
  'no shape': [
    npyFile("{'descr': '|u1', 'fortran_order': False}", [0]),
    /^npy header damaged: \S+x\.npy \(no order or no shape\)/,
  ],
  'two gigabytes in 130 bytes': [
    npyBytes('|u1', [2_000_000, 1000], [1, 2]),
    /^array size wrong: \S+x\.npy says \[2000000, 1000\], 2000000000 bytes, which it cannot hold; fetch the file again$/,
  ],
  'more than there is to count': [
    npyBytes('<f8', new Array<number>(32).fill(4294967295), [1, 2]),
    /^array size wrong: \S+x\.npy says \[4294967295, /,
  ],
  'too many axes': [npyBytes('|u1', new Array<number>(33).fill(1), [1]), /\(33 axes\); save the array again$/],
  'a header longer than any': [
    Buffer.concat([Buffer.from('\x93NUMPY\x02\x00\xff\xff\xff\x7f', 'latin1')]),
    /^npy header damaged: \S+x\.npy \(2147483647 bytes\)/,
  ],
  'a truncated header': [X.subarray(0, 40), /^file truncated: \S+x\.npy ends before its data do/],
  'truncated numbers': [X.subarray(0, -1), /^array size wrong: \S+x\.npy says \[2, 3\], 6 bytes, which it cannot/],
  'numbers to spare': [Buffer.concat([X, X]), /^array size wrong: \S+x\.npy says \[2, 3\] and holds more/],
  'another file': [Buffer.from('GIF89a, of all things'), /^not an npy array: \S+x\.npy; choose a file in a format/],
  'a future version': [
    Buffer.from('\x93NUMPY\x09\x00\x00\x00', 'latin1'),
    /^npy version unsupported: 9 of \S+x\.npy; save it with numpy\.save$/,
  ],
  'one axis': [
    npyBytes('|u1', [2], [1, 2]),
    /^sample shape unknown: \[2\] in \S+x\.npy; one row or image per sample is wanted$/,
  ],
  'no samples': [npyBytes('|u1', [0, 3], []), /^sample and label counts differ: 0 samples and 2 labels/],
  'samples of nothing': [npyBytes('|u1', [2, 0], []), /^samples empty: \S+x\.npy has samples of shape \[0\]$/],
};

for (const [name, [file, message]] of Object.entries(BAD)) {
  test(`npy refused: ${name}`, async (t) => {
    const folder = temporaryFolder(t, { 'x.npy': file, 'y.npy': Y });
    await assert.rejects(openDataset(folder, 'test'), { name: 'InputError', message });
  });
}

const u1 = (shape: number[]) =>
  npyBytes(
    '|u1',
    shape,
    Buffer.from({ length: shape.reduce((a, b) => a * b) }).map((_, i) => i),
  );
for (const [shape, sampleShape, first] of [
  [[2, 5], [5], [0, 1, 2]],
  [
    [2, 3, 4],
    [1, 3, 4],
    [0, 1, 2],
  ],
  [
    [2, 4, 5, 3],
    [3, 4, 5],
    [0, 3, 6],
  ],
  [
    [2, 4, 5, 1],
    [1, 4, 5],
    [0, 1, 2],
  ],
  [
    [2, 3, 4, 5],
    [3, 4, 5],
    [0, 1, 2],
  ],
  [
    [2, 1, 4, 5],
    [1, 4, 5],
    [0, 1, 2],
  ],
  [
    [2, 3, 4, 3],
    [3, 4, 3],
    [0, 1, 2],
  ],
  [
    [2, 4, 2, 2],
    [4, 2, 2],
    [0, 1, 2],
  ],
  [
    [2, 2, 2, 2, 2],
    [2, 2, 2, 2],
    [0, 1, 2],
  ],
] as const) {
  test(`npy: axes of ${shape.join('×')}`, async (t) => {
    const folder = temporaryFolder(t, { 'x.npy': u1([...shape]), 'y.npy': Y });
    const dataset = await openDataset(folder, 'test');
    assert.deepEqual([dataset.sampleShape, [...dataset.values.subarray(0, 3)]], [sampleShape, first]);
  });
}

test('npy: labels as a column, as floats, as one-hot rows', async (t) => {
  const labels = async (y: Uint8Array) => [
    ...(await openDataset(temporaryFolder(t, { 'X.npy': X, 'y.npy': y }), 'test')).labels,
  ];
  assert.deepEqual(await labels(npyBytes('|u1', [2, 1], [4, 2])), [4, 2]);
  assert.deepEqual(await labels(npyBytes('<f4', [2], float32Bytes([3, 0]))), [3, 0]);
  assert.deepEqual(await labels(npyBytes('<f4', [2, 3], float32Bytes([0, 0, 1, 0, 1, 0]))), [2, 1]);
  const refused: [Uint8Array, RegExp][] = [
    [npyBytes('<f4', [2], float32Bytes([0.5, 1])), /^label not a class number: 0\.5 \(sample 0, \S+y\.npy\)/],
    [npyBytes('<f4', [2], float32Bytes([0, NaN])), /^label not a class number: NaN \(sample 1/],
    [npyBytes('|i1', [2], [1, 255]), /^label not a class number: -1 \(sample 1/],
    [npyBytes('<u4', [2], [0, 0, 0, 127, 1, 0, 0, 0]), /^label not a class number: 2130706432 \(sample 0/],
    [npyBytes('|u1', [2, 2], [1, 0, 1, 1]), /^label row not one-hot: row 1 of \S+y\.npy; store one class number/],
    [npyBytes('|u1', [2, 2], [1, 0, 0, 0]), /^label row not one-hot: row 1/],
    [npyBytes('|u1', [3], [1, 0, 0]), /^sample and label counts differ: 2 samples and 3 labels/],
    [npyBytes('|u1', [], [1]), /^label shape unknown: \[\] in/],
  ];
  for (const [y, message] of refused) await assert.rejects(labels(y), { name: 'InputError', message });
});

test('npy: pairs by name', async (t) => {
  const two = npyBytes('|u1', [2], [0, 5]);
  const folder = temporaryFolder(t, {
    'split/x_train.npy': X,
    'split/y_train.npy': Y,
    'split/X-Test.npy': X,
    'split/test_labels.npy': two,
    'plain/images.npy': X,
    'plain/labels.npy': two,
    'lone/x_test.npy': X,
    'odd/a.npy': X,
    'odd/b.npy': Y,
  });
  const labels = async (path: string, split: 'test' | 'train') => [
    ...(await openDataset(join(folder, path), split)).labels,
  ];
  assert.deepEqual(await labels('split', 'train'), [1, 0]);
  assert.deepEqual(await labels('split', 'test'), [0, 5]);
  assert.deepEqual(await labels('split/x_train.npy', 'test'), [1, 0]);
  assert.deepEqual(await labels('plain', 'test'), [0, 5]);
  assert.deepEqual(await labels('plain', 'train'), [0, 5]);
  assert.deepEqual(await labels('plain/images.npy', 'train'), [0, 5]);
  const refused: [path: string, message: RegExp][] = [
    ['lone', /^split not found: train; \S+lone holds x_test; choose test or add x_train and y_train$/],
    ['lone/x_test.npy', /^labels not found: none for x_test; \S+lone holds x_test; add an array y_test$/],
    ['odd', /^samples not found: \S+odd holds a, b; name the arrays x and y, or x_train and y_train$/],
    ['odd/a.npy', /^samples not recognised: a\.npy in \S+odd; name the files x\.npy and y\.npy$/],
  ];
  for (const [path, message] of refused) {
    await assert.rejects(labels(path, 'train'), { name: 'InputError', message });
  }
});

test('npz: stored, deflated, ZIP64, both splits', async (t) => {
  const parts = (deflate: boolean, zip64: boolean) =>
    zipBytes([
      { name: 'x_train.npy', content: X, deflate, zip64 },
      { name: 'y_train.npy', content: Y, deflate, zip64 },
      { name: 'x_test.npy', content: npyBytes('|u1', [1, 3], [7, 8, 9]), deflate, zip64 },
      { name: 'y_test.npy', content: npyBytes('|u1', [1], [6]), deflate, zip64 },
    ]);
  for (const file of [parts(false, false), parts(true, false), parts(false, true), parts(true, true)]) {
    const folder = temporaryFolder(t, { 'mnist.npz': file });
    for (const path of [folder, join(folder, 'mnist.npz')]) {
      const train = await openDataset(path, 'train');
      assert.deepEqual([train.format, [...train.values], [...train.labels]], ['npz', [1, 2, 3, 4, 5, 6], [1, 0]]);
      const test = await openDataset(path, 'test');
      assert.deepEqual([[...test.values], [...test.labels]], [[7, 8, 9], [6]]);
    }
  }
});

test('npz: one archive per split', async (t) => {
  const archive = (label: number) =>
    zipBytes([
      { name: 'x.npy', content: npyBytes('|u1', [1, 1], [0]) },
      { name: 'y.npy', content: npyBytes('|u1', [1], [label]) },
    ]);
  const folder = temporaryFolder(t, { 'my-train.npz': archive(1), 'my-test.npz': archive(2) });
  assert.deepEqual([...(await openDataset(folder, 'train')).labels], [1]);
  assert.deepEqual([...(await openDataset(folder, 'test')).labels], [2]);
});

const pair = (x: object) =>
  zipBytes([
    { name: 'x.npy', content: X, ...x },
    { name: 'y.npy', content: Y },
  ]);
const good = pair({});
const BOMB = Buffer.concat([npyBytes('|u1', [2, 3], [1, 2, 3, 4, 5, 6]), new Uint8Array(1 << 20)]);
const ARCHIVES: Record<string, [file: Uint8Array, message: RegExp]> = {
  'no directory': [Buffer.from('PK\x03\x04'), /^archive damaged: \S+ has no zip directory; fetch the file again$/],
  'an empty file': [Buffer.alloc(0), /^archive damaged: \S+ has no zip directory/],
  truncated: [good.subarray(0, -30), /^archive damaged: \S+ has no zip directory/],
  'front cut off': [good.subarray(60), /^archive damaged/],
  'unpacked size of two gigabytes': [
    pair({ deflate: true, size: 2 ** 31 }),
    /^archive damaged: \S+ \(x\.npy says that \d+ bytes unpack to 2147483648\); fetch the file again$/,
  ],
  'stored size that differs': [
    pair({ size: 5 }),
    /^archive damaged: \S+ \(x\.npy says that 134 bytes unpack to 5\); fetch the file again$/,
  ],
  'packed size beyond the file': [
    pair({ size: 2 ** 31, packed: 2 ** 31 }),
    /^archive damaged: \S+ \(x\.npy says 2147483648 bytes, more than there are\)/,
  ],
  'ZIP64 size beyond counting': [
    pair({ zip64: true, size: 2 ** 60, packed: 2 ** 60 }),
    /^archive damaged: \S+ \(size 1152921504606846976 is no size\)/,
  ],
  'an entry that unpacks to more': [
    pair({ content: BOMB, deflate: true }),
    /^array size wrong: x\.npy in \S+ says \[2, 3\] and holds more/,
  ],
  'a wrong checksum': [pair({ crc: 1 }), /^checksum wrong: x\.npy in \S+; fetch the file again$/],
  'a damaged stream': [
    pair({ method: 8, content: new Uint8Array(64).fill(7) }),
    /^compressed data damaged: x\.npy in \S+ \(.+\); fetch the file again$/,
  ],
  encrypted: [pair({ flags: 1 }), /^archive unsupported: x\.npy in \S+ is encrypted; unlock it first$/],
  'another compression': [
    pair({ method: 12 }),
    /^compression unsupported: method 12 of x\.npy in \S+; save it stored or deflated$/,
  ],
  'an object array': [
    pair({ content: npyBytes('|O', [1], [0x2e]) }),
    /^object array refused: x\.npy in \S+ is a pickle and might run code; save plain numbers$/,
  ],
};

for (const [name, [file, message]] of Object.entries(ARCHIVES)) {
  test(`npz refused: ${name}`, async (t) => {
    const folder = temporaryFolder(t, { 'a.npz': file });
    await assert.rejects(openDataset(folder, 'test'), { name: 'InputError', message });
  });
}

test('npz outside: int_arrays', { skip: withoutSharedData() }, async () => {
  for (const name of ['int_arrays.npz', 'int_arrays_compressed.npz']) {
    const path = join(sharedData()!, 'checkpoints/malicious-pickles', name);
    assert.deepEqual(await npzNames(path), ['a', 'b']);
    const [a, b] = await readNpz(path, ['a', 'b']);
    assert.deepEqual(a, { shape: [3], values: Float32Array.of(0, 1, 2) });
    assert.deepEqual(b, { shape: [3], values: Float32Array.of(3, 4, 5) });
    await assert.rejects(readNpz(path, ['c']), { message: /^array not found: c in \S+, which holds a, b; choose/ });
    await assert.rejects(openDataset(path, 'test'), { message: /^samples not found: \S+ holds a, b; name the arrays/ });
  }
});

test('npy outside: a pickle is refused, numbers are read', { skip: withoutSharedData() }, async () => {
  const checkpoints = join(sharedData()!, 'checkpoints');
  await assert.rejects(withSource(join(checkpoints, 'malicious-pickles/object_array.npy'), readNpy), {
    name: 'InputError',
    message: /^object array refused: \S+object_array\.npy is a pickle and might run code; save plain numbers$/,
  });
  const path = join(checkpoints, 'keras/mlperf_tiny/perf_samples_idxs.npy');
  const { shape, values } = await withSource(path, readNpy);
  assert.deepEqual(shape, [200]);
  const file = readFileSync(path);
  assert.deepEqual(
    [...values],
    Array.from({ length: 200 }, (_, i) => Number(file.readBigInt64LE(128 + 8 * i))),
  );
});
