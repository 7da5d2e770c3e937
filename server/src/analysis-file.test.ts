import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Ajv } from 'ajv';
import { analysisFilesFor, optionsFromText } from './analysis-file';
import { InputError } from './errors';
import { DEFAULT_MEASURE, DEFAULT_OPTIONS, parseEpsilon } from './options';

const FILE = '/project/pruning-limit.json';
const read = (json: unknown, checkpoint = '/project/models/a.onnx') =>
  optionsFromText(JSON.stringify(json), FILE, checkpoint);
const entry = (more: object = {}, data: object = {}) => ({
  analyses: [{ checkpoint: '**/*.onnx', data: { path: 'data', ...data }, ...more }],
});

const schema = new Ajv({ strict: false }).compile(
  JSON.parse(readFileSync('syntaxes/pruning-limit.schema.json', 'utf8')) as object,
);

describe('analysis file', () => {
  it('fills what an entry leaves open and resolves paths from its folder', () => {
    assert.deepEqual(read(entry()), { ...DEFAULT_OPTIONS, data: { ...DEFAULT_OPTIONS.data, path: '/project/data' } });
  });

  it('takes everything an entry says', () => {
    const data = { path: '/abs', split: 'train', scale: 1, layout: 'nhwc', samples: 'all' };
    const normalize = { mean: [0.1307], deviation: [0.3081] };
    const rest = { curvature: 'ggn', l1: 5e-5, steps: 64, tolerance: 0.02, minutes: 3, batch: 32, seed: 7 };
    assert.deepEqual(read(entry({ ...rest, epsilon: 'rel:0.05' }, { ...data, normalize })), {
      ...DEFAULT_OPTIONS,
      ...rest,
      epsilon: { kind: 'relative', value: 0.05 },
      data: { ...data, normalize },
    });
  });

  it('lets the first matching entry count, and no other', () => {
    const analyses = ['other/*.onnx', 'models/*.onnx', '**/*.onnx'].map((checkpoint, i) => ({
      checkpoint,
      data: { path: 'data' },
      seed: i,
    }));
    assert.equal(read({ analyses })?.seed, 1);
    assert.equal(read({ analyses: analyses.slice(0, 1) }), null);
    assert.equal(read({ analyses }, '/project/b.onnx')?.seed, 2);
  });

  it('measures when asked, with what is left open as it is by default', () => {
    const cases: readonly [unknown, unknown][] = [
      [false, undefined],
      [true, DEFAULT_MEASURE],
      [{}, DEFAULT_MEASURE],
      [
        { on: 'test', samples: 'all', testData: 'held/out' },
        { on: 'test', samples: 'all', testData: '/project/held/out' },
      ],
    ];
    for (const [measure, expected] of cases) {
      assert.deepEqual(read(entry({ measure }))?.measure, expected);
      assert.ok(schema(entry({ measure })), JSON.stringify(schema.errors));
    }
  });

  it('treats the layout "auto" as not given', () => {
    assert.equal(read(entry({}, { layout: 'auto' }))?.data.layout, undefined);
  });

  const wrong: readonly [json: unknown, message: RegExp][] = [
    [[], /pruning-limit\.json: the file must be an object/],
    [{}, /pruning-limit\.json: analyses is missing/],
    [{ analyses: {} }, /analyses must be a list/],
    [{ analyses: [{ data: { path: 'x' } }] }, /analyses\[0\]\.checkpoint is missing/],
    [entry({ step: 1 }), /unknown property analyses\[0\]\.step; known are checkpoint,/],
    [entry({}, { scale: 0 }), /analyses\[0\]\.data\.scale must be a number above 0, is 0/],
    [entry({}, { split: 'val' }), /analyses\[0\]\.data\.split must be one of train, test, is "val"/],
    [entry({}, { samples: 1.5 }), /analyses\[0\]\.data\.samples must be a whole number of at least 1/],
    [entry({}, { normalize: { mean: [1] } }), /normalize\.deviation is missing/],
    [entry({}, { normalize: { mean: [1], deviation: [0] } }), /deviation\[0\] must be a number above 0, is 0/],
    [entry({ epsilon: 'small' }), /analyses\[0\]\.epsilon takes batch-std, abs:X or rel:X with X above 0, not "small"/],
    [entry({ measure: 'all' }), /analyses\[0\]\.measure must be an object, is "all"/],
    [entry({ measure: { on: 'val' } }), /measure\.on must be one of both, test, train, is "val"/],
    [entry({ measure: { samples: 0 } }), /measure\.samples must be a whole number of at least 1/],
    [
      entry({ targetSparsity: 95 }),
      /analyses\[0\]\.targetSparsity must be a number of at least 0 and at most 1, is 95/,
    ],
    [entry({ l1: -1 }), /analyses\[0\]\.l1 must be a number of at least 0, is -1/],
  ];
  for (const [json, message] of wrong) {
    it(`refuses ${JSON.stringify(json).slice(0, 90)}`, () => {
      assert.throws(() => read(json), { name: 'InputError', message });
      assert.equal(schema(json), false, 'the schema accepts what the reader refuses');
    });
  }

  it('refuses one deviation for three means', () => {
    const normalize = { mean: [1, 2, 3], deviation: [1] };
    assert.throws(() => read(entry({}, { normalize })), /one number per channel/);
  });

  it('says where the text is not JSON', () => {
    assert.throws(() => optionsFromText('{,}', FILE, '/project/a.onnx'), InputError);
  });

  it('has a schema that accepts what the reader accepts, with its defaults', () => {
    for (const json of [entry(), entry({ epsilon: 0.01 }), entry({ epsilon: 'abs:1e-2' }, { samples: 'all' })]) {
      assert.ok(schema(json), JSON.stringify(schema.errors));
      assert.ok(read(json));
    }
    const { definitions } = JSON.parse(readFileSync('syntaxes/pruning-limit.schema.json', 'utf8')) as {
      definitions: Record<string, { properties: Record<string, { default?: unknown }> }>;
    };
    const defaults = (name: string) =>
      Object.fromEntries(Object.entries(definitions[name]!.properties).map(([key, value]) => [key, value.default]));
    const { samples, scale, split } = defaults('data');
    assert.deepEqual({ samples, scale, split }, DEFAULT_OPTIONS.data);
    const { steps, tolerance, minutes, batch, seed, l1, curvature } = defaults('analysis');
    assert.deepEqual(
      { ...DEFAULT_OPTIONS, steps, tolerance, minutes, batch, seed, l1, curvature },
      { ...DEFAULT_OPTIONS },
    );
  });

  it('reads tolerances', () => {
    assert.deepEqual(parseEpsilon('batch-std', '--epsilon'), { kind: 'batch-std' });
    assert.deepEqual(parseEpsilon('abs:1e-3', '--epsilon'), { kind: 'absolute', value: 1e-3 });
    assert.deepEqual(parseEpsilon('rel:0.1', '--epsilon'), { kind: 'relative', value: 0.1 });
    assert.deepEqual(parseEpsilon(0.5, '--epsilon'), { kind: 'absolute', value: 0.5 });
    for (const text of [0, 'abs:0', 'rel:-1', '', '5%', 'abs:', 'std'])
      assert.throws(() => parseEpsilon(text, '--epsilon'), InputError);
  });
});

describe('analysisFilesFor', () => {
  let root: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'analysis-file-'));
    mkdirSync(join(root, 'a/b'), { recursive: true });
    for (const folder of ['', 'a']) writeFileSync(join(root, folder, 'pruning-limit.json'), '{}');
  });
  after(() => rmSync(root, { recursive: true }));

  it('looks upwards, nearest first, and not above the root', () => {
    const files = (checkpoint: string, from?: string) =>
      analysisFilesFor(join(root, checkpoint), from === undefined ? from : join(root, from)).map((file) =>
        file.slice(root.length + 1),
      );
    assert.deepEqual(files('a/b/x.onnx', ''), ['a/pruning-limit.json', 'pruning-limit.json']);
    assert.deepEqual(files('a/b/x.onnx', 'a'), ['a/pruning-limit.json']);
    assert.deepEqual(files('a/b/x.onnx'), []);
    assert.deepEqual(files('x.onnx'), ['pruning-limit.json']);
  });
});
