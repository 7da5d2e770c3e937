import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CheckpointSummary } from '../../../protocol/analysis';
import { sampleResult } from '../../../test/results';
import { inspectText, resultText } from './text';

const lines = (text: string): string[] => text.trimEnd().split('\n');

describe('result as text', () => {
  it('answers first, then explains', () => {
    assert.equal(
      resultText(sampleResult, 120),
      `/models/resnet_2b.onnx
112,006 parameters, 104,920 of them prunable; 2,000 of 10,000 samples (cifar10), 10 classes
loss 0.8866 nats, 1,408 of 2,000 correct (70.40 %)
tolerance ε 0.076 nats: standard deviation of the loss over mini-batches of 128

Unresolved: between 75.2 and 92.3 %
The bracket is a 95 % interval: what more Lanczos steps or random probes could still move.

limit                        sparsity         keep  bounds on keep  trace bound   sharp     trace  λmax  steps  probes
Hessian, |λ|  between 75.2 and 92.3 %   7.7–24.8 %      2.1–28.7 %       59.7 %  94.8 %  500 ± 30  31.9     64       1
Gauss–Newton   93.1 % (92.82–93.42 %)  6.58–7.18 %      0.4–12.7 %       66.6 %  99.3 %   505 ± 8  31.9     31       5
Bounds on keep: a random subspace of fewer dimensions misses the tolerance and one of more meets it,
each with a probability of 95 %; a network is no random subspace.
Hessian, |λ|: one probe to Lanczos step 64, because more steps were not granted, which leaves a
bracket of 15.50 %; 72 products, and the first plan had at most 72.
Gauss–Newton: 5 probes to Lanczos step 31, because there the bracket is 0.20 % and so many keep the
sampling error within what is asked; 163 products, and the first plan had at most 72.

Layers in the middle of what is still open, 83.8 % of all weights pruned, the smallest first
whatever their layer:
layer                                   op    shape      weights  sparsity    kept     trace  curvature
conv1.weight                            Conv  8×3×3×3        216    64.3 %      77   44 ± 11        9 %
layer1.0.downsample.block.conv2.weight  Conv  16×16×3×3    2,304   100.0 %       0    −2 ± 4       <1 %
linear1.weight                          Gemm  100×1024   102,400    83.5 %  16,973  460 ± 30       91 %

 sparsity  distance  measured ΔL  predicted ΔL  accuracy
   0.00 %         0            0             0   70.40 %
  58.04 %      3.41       0.0529        0.0492   67.94 %
  83.75 %      7.01        0.369         0.258   56.54 %
99.9990 %      13.2         1.42           0.6   10.00 %
Measured and predicted ΔL agree within a factor of 2 up to 83.8 %: the edge of validity.

Layers by themselves, every one pruned alone within the same tolerance:
layer                                   weights            Gauss–Newton
conv1.weight                                216  75.6 % (75.13–76.09 %)
layer1.0.downsample.block.conv2.weight    2,304   between 96 and 98.8 %
linear1.weight                          102,400  95.0 % (94.71–95.33 %)
Between the layers lie 31.8 ± 2.1 % of Gauss–Newton, by the squared Frobenius norm: the more, the
less layers by themselves say about all of them together.

Pruned at once and measured, the largest sparsity that keeps:
criterion                     samples                 sparsity
accuracy not below the dense  1,017 test  41.2 % (22.1–56.4 %)
accuracy within 1 point       1,017 test  60.1 % (51.2–65.4 %)
loss within 0.076 nats        1,017 test    66.1 % (64–68.1 %)
The range is a 95 % interval: what other samples, as many, and a finer grid could still move.

warning: layer layer1.0.downsample.block.conv2.weight vanishes at the limit: all of its 2,304
         weights are among the 83.8 % smallest; prune it less than the others, or the network is cut
         in two

3 min, 251 products of 2.4 s, onnxruntime-node 1.30.0 (cpu: no GPU found)
`,
    );
  });

  it('keeps to narrow terminals', () => {
    for (const width of [100, 80, 60]) {
      for (const line of lines(resultText(sampleResult, width))) {
        assert.ok([...line].length <= width, `${width}: ${line}`);
      }
    }
    const narrow = resultText(sampleResult, 60);
    assert.match(narrow, /^layer +weights +sparsity +kept +curvature$/m);
    assert.match(narrow, /^layer1\.0\.d\S*…\S*weight +2,304 +100\.0 % +0 +<1 %$/m);
    // Messages are never cut.
    assert.ok(narrow.includes('layer1.0.downsample.block.conv2.weight'));
  });

  it('cuts nothing where there is no terminal', () => {
    assert.match(resultText(sampleResult, Infinity), /^layer1\.0\.downsample\.block\.conv2\.weight +Conv/m);
  });

  it('leaves out what was not computed', () => {
    const evaluated = {
      ...sampleResult,
      limits: [],
      path: [],
      layerLimits: [],
      measured: [],
      warnings: [],
      time: { total: 1, perProduct: 0, products: 0 },
    };
    assert.deepEqual(lines(resultText(evaluated, 100)), [
      '/models/resnet_2b.onnx',
      '112,006 parameters, 104,920 of them prunable; 2,000 of 10,000 samples (cifar10), 10 classes',
      'loss 0.8866 nats, 1,408 of 2,000 correct (70.40 %)',
      'tolerance ε 0.076 nats: standard deviation of the loss over mini-batches of 128',
      '',
      '1 s, onnxruntime-node 1.30.0 (cpu: no GPU found)',
    ]);
  });

  it('says how the limit falls as samples are added', () => {
    const sizes = [
      { samples: 1000, parts: 2, sparsity: 0.9412, interval: [0.938, 0.9444] },
      { samples: 2000, parts: 1, sparsity: 0.9312, interval: [0.9282, 0.9342] },
    ] as const;
    const whole = { samples: 10_000, interval: [0.9003, 0.9342], by: 'growth' } as const;
    const held = { from: 500, samples: 2000, interval: [0.92, 0.95], covered: true } as const;
    const found = { operator: 'ggn', sizes, heldBack: [held], whole } as const;
    const text = (parts: object) => resultText({ ...sampleResult, sampleSizes: [{ ...found, ...parts }] }, Infinity);
    const flowing = (parts: object) => text(parts).replaceAll('\n', ' ');
    assert.ok(
      text({}).includes(`The limit with fewer samples, at the same tolerance:
samples  parts             Gauss–Newton
  1,000      2   94.12 % (93.8–94.44 %)
  2,000      1  93.12 % (92.82–93.42 %)
`),
      text({}),
    );
    assert.match(
      flowing({}),
      /Gauss–Newton: On all 10,000 samples it is, with 95 % confidence, between 90 and 93\.5 %: .* growing on .* do not contradict each other\./,
    );
    assert.match(flowing({ whole: { ...whole, by: 'trace' } }), /the bound that the trace sets/);
    assert.match(
      flowing({ heldBack: [{ ...held, covered: null }] }),
      /is too wide to tell, so that nothing was tested/,
    );
    const missed = flowing({ whole: null, heldBack: [{ ...held, covered: false }] });
    assert.match(missed, /With 2,000 samples the limit does not lie where 500 and fewer say, between 92 and 95 %/);
    assert.doesNotMatch(missed, /On all/);
  });

  it('says that a penalty is counted where measured and predicted are compared, and leaves it out of both', () => {
    const path = sampleResult.path.map((point) => ({ ...point, linear: point.linear - 0.01, penalty: -0.01 }));
    const text = resultText({ ...sampleResult, path, options: { ...sampleResult.options, l1: 1e-4 } }, Infinity);
    assert.match(text.replaceAll('\n', ' '), /With the penalty μ‖w‖₁ in both, .* up to 83\.8 %: the edge/);
    const table = (all: string) => /sparsity +distance[^]*?\n\S/.exec(all)![0];
    assert.equal(table(text), table(resultText(sampleResult, Infinity)));
  });

  it('speaks of the limit itself when it is resolved', () => {
    const text = resultText({ ...sampleResult, limits: [sampleResult.limits[1]!] }, 100);
    assert.match(text, /^Can be pruned to 93\.1 % \(92\.8\d?–93\.4\d? %\)$/m);
    assert.match(text, /^Layers at the limit, 93\.1 % of all weights pruned/m);
  });
});

const summary: CheckpointSummary = {
  checkpoint: 'models/net.onnx',
  format: 'ONNX',
  producer: 'pytorch 2.0.0',
  opset: 16,
  inputs: [{ name: 'x', shape: ['N', 1, 28, 28] }],
  outputs: [{ name: 'y', shape: ['N', 10] }],
  architecture: null,
  parameters: { total: 7980, prunable: 7840 },
  layers: [
    {
      name: 'fc.weight',
      op: 'Gemm',
      shape: [10, 784],
      dtype: 'float32',
      weights: 7840,
      zeros: 1234,
      nonFinite: 0,
      constant: false,
    },
  ],
  tensors: [],
  operators: { Flatten: 1, Gemm: 1 },
  unsupported: [],
};

describe('summary as text', () => {
  it('lists layers in columns', () => {
    assert.deepEqual(lines(inspectText(summary, 100)), [
      'models/net.onnx',
      'ONNX, opset 16, written by pytorch 2.0.0',
      '7,980 parameters, 7,840 of them prunable in 1 layer',
      'input   x  N×1×28×28',
      'output  y  N×10',
      '',
      'layer      op    shape   dtype    weights  zeros',
      'fc.weight  Gemm  10×784  float32    7,840  1,234',
      '',
      'operators  Flatten 1, Gemm 1',
    ]);
  });

  it('says what is missing and what is damaged', () => {
    const damaged = { ...summary.layers[0]!, nonFinite: 3 };
    assert.match(inspectText({ ...summary, layers: [damaged] }, 100), /^layer +.*zeros {2}not finite$/m);
    const none = inspectText({ ...summary, producer: '', opset: null, layers: [], operators: {} }, 100);
    assert.match(none, /^ONNX\n/m);
    assert.match(none, /^no layer with weights that could be pruned$/m);
    assert.match(none, /^operators {2}none$/m);
  });

  it('shows hostile names without obeying them', () => {
    const layers = [{ ...summary.layers[0]!, name: 'w\x1b]0;title\x07' }];
    const text = inspectText({ ...summary, checkpoint: 'a\nb', producer: '\x1b[2J', layers }, 100);
    assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    assert.ok(text.includes('w�]0;title�') && text.startsWith('a�b\n'));
  });
});
