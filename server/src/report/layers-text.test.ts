import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AnalysisResult, CheckpointSummary, LayerSummary } from '../../../protocol/analysis';
import { failureText, layerHint, layerLines, layersText, placeWarnings } from './layers-text';

const layer = (name: string, op: string, shape: number[]): LayerSummary => ({
  name,
  op,
  shape,
  dtype: 'float32',
  weights: shape.reduce((a, b) => a * b, 1),
  zeros: 0,
  nonFinite: 0,
  constant: false,
});
const summary = {
  checkpoint: '/models/lenet.onnx',
  format: 'ONNX',
  producer: 'pytorch 2.3',
  opset: 17,
  parameters: { total: 12456, prunable: 12400 },
  layers: [layer('conv1.weight', 'Conv', [16, 1, 5, 5]), layer('fc.weight', 'Gemm', [100, 120])],
  unsupported: [],
} as unknown as CheckpointSummary;
const result = {
  limits: [
    { operator: 'hessian', sparsity: 0.951, interval: [0.9495, 0.952], resolved: true },
    { operator: 'ggn', sparsity: 0.8, interval: [0.669, 0.973], resolved: false },
  ],
  data: { path: '/data', samples: 2000, available: 60000 },
  epsilon: { value: 0.0087, rule: 'batch-std' },
  layers: [
    { name: 'conv1.weight', sparsityAtLimit: 0.125, keptAtLimit: 350, curvatureShare: 0.6 },
    { name: 'fc.weight', sparsityAtLimit: 1, keptAtLimit: 0, curvatureShare: 0.4 },
  ],
} as unknown as AnalysisResult;
const computed = new Date(2026, 0, 31, 9, 5);

describe('layersText', () => {
  it('shows what is known before any analysis', () => {
    assert.equal(
      layersText({ summary, result: null, computed: null, outdated: false }),
      [
        '# checkpoint  /models/lenet.onnx (ONNX, opset 17, pytorch 2.3)',
        '# weights     12,400 prunable of 12,456',
        '# limit       not computed yet',
        '',
        '# layer       operator  shape     weights  sparsity  kept  curvature',
        'conv1.weight  Conv      16×1×5×5      400         ·     ·          ·',
        'fc.weight     Gemm      100×120    12,000         ·     ·          ·',
        '',
      ].join('\n'),
    );
  });

  it('lists the tensors of weights whose network is not known, and says what to do', () => {
    const weights = {
      ...summary,
      format: 'PyTorch',
      opset: null,
      producer: '',
      layers: [],
      architecture: { names: [], reason: 'no architecture fits: give its graph\u0007' },
      tensors: [
        { name: 'net.conv.weight', dtype: 'float32', shape: [16, 1, 5, 5] },
        { name: 'a b', dtype: 'int64', shape: [] },
      ],
    };
    const text = layersText({ summary: weights, result: null, computed: null, outdated: false });
    assert.equal(
      text,
      [
        '# checkpoint  /models/lenet.onnx (PyTorch)',
        '# weights     12,400 prunable of 12,456',
        '# network     no architecture fits: give its graph�',
        '# limit       not computed yet',
        '',
        '# tensor         type     shape     elements',
        'net.conv.weight  float32  16×1×5×5       400',
        '"a b"            int64    scalar           1',
        '',
      ].join('\n'),
    );
    assert.deepEqual(
      layerLines(text).map(({ layer }) => layer),
      ['net.conv.weight', 'a b'],
    );
  });

  it('folds a result in', () => {
    assert.equal(
      layersText({ summary, result, computed, outdated: true }),
      [
        '# checkpoint  /models/lenet.onnx (ONNX, opset 17, pytorch 2.3)',
        '# weights     12,400 prunable of 12,456',
        '# limit       95.1 % (94.95–95.2 %) zeros, Hessian',
        '#             unresolved: between 66.9 and 97.3 % zeros, Gauss–Newton',
        '# tolerance   ε = 0.0087 (batch-std)',
        '# data        2,000 of 60,000 samples, /data',
        '# computed    2026-01-31 09:05, the checkpoint has changed since: compute again',
        '',
        '# layer       operator  shape     weights  sparsity  kept  curvature',
        'conv1.weight  Conv      16×1×5×5      400    12.5 %   350     60.0 %',
        'fc.weight     Gemm      100×120    12,000   100.0 %     0     40.0 %',
        '',
      ].join('\n'),
    );
  });

  it('names operators that stand in the way', () => {
    const blocked = { ...summary, unsupported: [{ op: 'TopK', node: 'topk_1' }] };
    const text = layersText({ summary: blocked, result: null, computed: null, outdated: false });
    assert.match(text, /^# unsupported {2}TopK \(node topk_1\): the limit cannot be computed$/m);
  });

  it('says so when nothing can be pruned', () => {
    const text = layersText({ summary: { ...summary, layers: [] }, result: null, computed: null, outdated: false });
    assert.match(text, /^# no prunable layers/m);
    assert.deepEqual(layerLines(text), []);
  });
});

describe('layerLines', () => {
  it('finds every layer again, whatever its name', () => {
    const names = ['a', '# b', 'with space', 'quote"d', 'tab\there', 'π/Conv_0', '', 'c#d', '\\'];
    const odd = { ...summary, layers: names.map((name) => layer(name, 'Conv', [1])) };
    const text = layersText({ summary: odd, result: null, computed: null, outdated: false });
    assert.deepEqual(
      layerLines(text).map((line) => line.layer),
      names,
    );
    for (const { line, end } of layerLines(text)) assert.equal(text.split('\n')[line]!.length, end);
  });

  it('finds none in the text of a failure', () => {
    assert.deepEqual(layerLines(failureText('/x.onnx', 'not ONNX: byte 0')), []);
  });
});

describe('placeWarnings', () => {
  const text = layersText({ summary, result, computed, outdated: false });

  it("puts a warning on its layer's line and any other on the first", () => {
    const places = placeWarnings(text, [
      { code: 'layer-vanishes', message: 'gone', layer: 'fc.weight' },
      { code: 'few-samples', message: 'few' },
      { code: 'layer-vanishes', message: 'unknown', layer: 'nowhere' },
    ]);
    const lines = text.split('\n');
    assert.deepEqual(
      places.map(({ line, start, end }) => lines[line]!.slice(start, end)),
      ['fc.weight', '# checkpoint', '# checkpoint'],
    );
  });
});

describe('layerHint', () => {
  it('says what share of the kept weights a layer holds, or that it vanishes', () => {
    assert.equal(layerHint(result.layers[0]!, 700), '50.0 % of kept weights');
    assert.equal(layerHint(result.layers[1]!, 700), 'vanishes at the limit');
  });
});
