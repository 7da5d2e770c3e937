import type { AnalysisResult, LayerResult, LimitResult } from '../protocol/analysis';

/** A result made by hand, of a small network that was analysed with both operators. */

const hessian: LimitResult = {
  operator: 'hessian',
  sparsity: 0.8375,
  keep: 0.1625,
  lower: 0.021,
  upper: 0.287,
  bracket: [0.76, 0.915],
  standardError: 0.004,
  interval: [0.752, 0.923],
  resolved: false,
  eta: 0.05,
  traceBound: 0.5974,
  sharp: 0.9478,
  R: 7.01,
  method:
    'one probe to Lanczos step 64, because more steps were not granted, which leaves a bracket of 15.50 %; 72 products, and the first plan had at most 72',
  curvature: {
    trace: 501.3,
    traceStandardError: 34.6,
    lambdaMax: 31.87,
    lambdaMin: -2.5,
    steps: 64,
    probes: 1,
    exact: false,
    blur: 1e-8,
    scale: 1e-3,
    ritzValues: [-2.5, 0, 31.87],
    weights: [0.1, 0.8, 0.1],
  },
};

const ggn: LimitResult = {
  ...hessian,
  operator: 'ggn',
  method:
    '5 probes to Lanczos step 31, because there the bracket is 0.20 % and so many keep the sampling error within what is asked; 163 products, and the first plan had at most 72',
  sparsity: 0.9312,
  keep: 0.0688,
  lower: 0.0041,
  upper: 0.127,
  bracket: [0.9298, 0.9326],
  standardError: 0.0008,
  interval: [0.9282, 0.9342],
  resolved: true,
  traceBound: 0.6661,
  sharp: 0.9931,
  R: 9.2,
  curvature: { ...hessian.curvature, trace: 505.2, traceStandardError: 8.1, lambdaMin: 0, steps: 31, probes: 5 },
};

function layer(name: string, op: string, shape: readonly number[], parts: Partial<LayerResult>): LayerResult {
  return {
    name,
    op,
    shape,
    weights: shape.reduce((product, size) => product * size, 1),
    zeros: 0,
    sparsityAtLimit: 0,
    keptAtLimit: 0,
    trace: 0,
    traceStandardError: 0,
    curvatureShare: 0,
    ...parts,
  };
}

export const sampleResult: AnalysisResult = {
  checkpoint: '/models/resnet_2b.onnx',
  engine: { name: 'onnxruntime-node', version: '1.30.0', provider: 'cpu', threads: 2, reason: 'no GPU found' },
  data: { path: '/data/cifar10', format: 'cifar10', samples: 2000, available: 10_000, classes: 10 },
  parameters: { total: 112_006, prunable: 104_920 },
  loss: 0.88662,
  accuracy: { correct: 1408, total: 2000 },
  epsilon: { value: 0.07604, rule: 'standard deviation of the loss over mini-batches of 128' },
  limits: [hessian, ggn],
  path: [
    { sparsity: 0, R: 0, loss: 0.88662, accuracy: 0.704, linear: 0, quadratic: 0 },
    { sparsity: 0.58042, R: 3.408, loss: 0.93952, accuracy: 0.6794, linear: 0.0101, quadratic: 0.0391 },
    { sparsity: 0.8375, R: 7.014, loss: 1.25564, accuracy: 0.5654, linear: -0.0102, quadratic: 0.2682 },
    { sparsity: 0.99999, R: 13.21, loss: 2.30259, accuracy: 0.1, linear: 0.4, quadratic: 0.2 },
  ],
  layerLimits: [
    {
      operator: 'ggn',
      coupling: { share: 0.318, standardError: 0.021 },
      layers: [
        { name: 'conv1.weight', sparsity: 0.7561, interval: [0.7513, 0.7609], resolved: true },
        { name: 'layer1.0.downsample.block.conv2.weight', sparsity: 0.974, interval: [0.96, 0.988], resolved: false },
        { name: 'linear1.weight', sparsity: 0.9502, interval: [0.9471, 0.9533], resolved: true },
      ],
    },
  ],
  measured: [
    {
      split: 'test',
      path: '/data/cifar10',
      samples: 1017,
      available: 1017,
      points: [
        {
          sparsity: 0,
          loss: 0.9137,
          riseStandardError: 0,
          correct: 716,
          accuracyInterval: [0.6752, 0.7313],
        },
        {
          sparsity: 0.512,
          loss: 0.9368,
          riseStandardError: 0.0038,
          correct: 712,
          accuracyInterval: [0.6711, 0.7275],
        },
        {
          sparsity: 0.7031,
          loss: 1.0222,
          riseStandardError: 0.0105,
          correct: 671,
          accuracyInterval: [0.6296, 0.6884],
        },
        { sparsity: 1, loss: 2.3026, riseStandardError: 0.03, correct: 101, accuracyInterval: [0.0825, 0.1195] },
      ],
      oneShot: [
        { criterion: 'accuracy', tolerance: 0, sparsity: 0.4122, interval: [0.2214, 0.5631], resolution: 0.0009 },
        { criterion: 'accuracy', tolerance: 0.01, sparsity: 0.6014, interval: [0.5127, 0.6533], resolution: 0.001 },
        { criterion: 'loss', tolerance: 0.07604, sparsity: 0.6611, interval: [0.6402, 0.6807], resolution: 0.001 },
      ],
    },
  ],
  validity: { edge: 0.8375, gradientNorm: 0.21 },
  layers: [
    layer('conv1.weight', 'Conv', [8, 3, 3, 3], {
      sparsityAtLimit: 0.6435,
      keptAtLimit: 77,
      trace: 43.93,
      traceStandardError: 11.2,
      curvatureShare: 0.086,
    }),
    layer('layer1.0.downsample.block.conv2.weight', 'Conv', [16, 16, 3, 3], {
      sparsityAtLimit: 1,
      keptAtLimit: 0,
      trace: -2.26,
      traceStandardError: 4.1,
      curvatureShare: 0.004,
    }),
    layer('linear1.weight', 'Gemm', [100, 1024], {
      zeros: 12,
      sparsityAtLimit: 0.8353,
      keptAtLimit: 16_973,
      trace: 459.6,
      traceStandardError: 34.1,
      curvatureShare: 0.91,
    }),
  ],
  warnings: [
    {
      code: 'layer-vanishes',
      layer: 'layer1.0.downsample.block.conv2.weight',
      message:
        'layer layer1.0.downsample.block.conv2.weight vanishes at the limit: all of its 2,304 weights are among the 83.8 % smallest; prune it less than the others, or the network is cut in two',
    },
  ],
  options: {
    data: { path: '/data/cifar10', split: 'test', scale: 255, samples: 2000 },
    measure: { on: 'test', samples: 10_000 },
    batch: 128,
    steps: 64,
    tolerance: 0.01,
    minutes: 10,
    epsilon: { kind: 'batch-std' },
    curvature: 'both',
    l1: 0,
    provider: 'auto',
    threads: 2,
    memory: 0,
    seed: 1,
  },
  time: { total: 177.3, perProduct: 2.384, products: 251 },
};
