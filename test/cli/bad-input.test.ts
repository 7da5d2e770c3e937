import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { float32Bytes, idxBytes, npyBytes } from '../files';
import { floats, modelBytes, node } from '../onnx-models';
import { run } from './command';
import { tinyData, tinyModel, tinyParts, tinySubject } from './subject';

/** A mistake, and the one sentence that answers it. */
interface Mistake {
  readonly what: string;
  /** What it adds to the folder with `net.onnx` and `data`, or changes in it. */
  readonly files?: Readonly<Record<string, Uint8Array | string>>;
  readonly prepare?: (folder: string) => void;
  readonly args: readonly string[];
  /** Standard error, without the program's name in front. */
  readonly says: string | RegExp;
}

const analyze = (...options: string[]): string[] => ['analyze', 'net.onnx', '--data', 'data', ...options];

/** `tinyData` in another folder. */
function dataIn(folder: string, ...options: Parameters<typeof tinyData>): Record<string, Uint8Array> {
  return Object.fromEntries(Object.entries(tinyData(...options)).map(([name, bytes]) => [`${folder}/${name}`, bytes]));
}

const whole = tinyModel();

const checkpoints: readonly Mistake[] = [
  {
    what: 'a checkpoint that does not exist',
    args: ['analyze', 'none.onnx', '--data', 'data'],
    says: 'file not found: none.onnx; check the path',
  },
  {
    what: 'inspecting a checkpoint that does not exist',
    args: ['inspect', 'none.onnx'],
    says: 'file not found: none.onnx; check the path',
  },
  {
    what: 'a checkpoint that is a folder',
    args: ['analyze', 'data', '--data', 'data'],
    says: 'folder, not a file: data; name the checkpoint file inside it',
  },
  {
    what: 'a checkpoint that cannot be read',
    prepare: (folder) => symlinkSync('loop.onnx', join(folder, 'loop.onnx')),
    args: ['analyze', 'loop.onnx', '--data', 'data'],
    says: /^file not readable: loop\.onnx; .*ELOOP/,
  },
  {
    what: 'an empty file',
    files: { 'net.onnx': '' },
    args: analyze(),
    says: 'file empty: net.onnx; copy or export it again',
  },
  {
    what: 'a truncated checkpoint',
    files: { 'net.onnx': whole.subarray(0, Math.floor(whole.length / 2)) },
    args: analyze(),
    says: /^ONNX file not readable: net\.onnx \(.*\); it is truncated or no ONNX model, copy or export it again$/,
  },
  {
    what: 'inspecting a truncated checkpoint',
    files: { 'net.onnx': whole.subarray(0, Math.floor(whole.length / 2)) },
    args: ['inspect', '--json', 'net.onnx'],
    says: /^ONNX file not readable: net\.onnx \(.*\); it is truncated or no ONNX model, copy or export it again$/,
  },
  {
    what: 'bytes that are no checkpoint',
    files: { 'net.onnx': 'This is a letter, and no network.\n' },
    args: analyze(),
    says: 'format unknown: net.onnx; ONNX, PyTorch, safetensors, Keras and TensorFlow.js files are read',
  },
  {
    what: 'a pickle that ends before its end',
    files: { 'net.onnx': Uint8Array.of(0x80, 2, 0x7d, 0x71, 0) },
    args: analyze(),
    says: 'file truncated: net.onnx ends before its data do; fetch the file again',
  },
  {
    what: 'an operator that is not supported',
    files: { 'net.onnx': tinyModel({ last: 'Mystery' }) },
    args: analyze(),
    says: 'unknown op: Mystery (node 3 "last", net.onnx); it has no derivative here; export the network with other operators',
  },
  {
    what: 'a network without weights to prune',
    files: {
      'net.onnx': modelBytes({
        inputs: [['x', ['N', 36]]],
        outputs: [['y', ['N', 36]]],
        nodes: [node('Relu', ['x'], ['y'])],
      }),
    },
    args: analyze(),
    says: 'network without prunable weights (net.onnx); the weights of convolutions and matrix products are, and they must be stored in the file',
  },
  {
    what: 'a network that answers no scores of classes',
    files: {
      'net.onnx': modelBytes({ ...tinyParts(), outputs: [['c', ['N', 4, 4, 4]]] }),
    },
    args: analyze(),
    says: 'output shape: [48, 4, 4, 4] for 48 samples (output "c", net.onnx); class scores [batch, classes] are needed',
  },
  {
    what: 'weights that are NaN',
    files: { 'net.onnx': tinyModel({ weight: NaN }) },
    args: analyze(),
    says: 'weights not finite: fc.weight holds NaN at 0 in net.onnx; analyse a checkpoint from before the training diverged',
  },
  {
    what: 'weights that are infinite',
    files: { 'net.onnx': tinyModel({ weight: -Infinity }) },
    args: analyze('--json'),
    says: 'weights not finite: fc.weight holds -Infinity at 0 in net.onnx; analyse a checkpoint from before the training diverged',
  },
  {
    what: 'weights so large that the network overflows',
    files: { 'net.onnx': tinyModel({ weight: 3e38 }) },
    args: analyze('--scale', '0.01'),
    says: 'loss not finite: net.onnx overflows on these samples; check the preprocessing (--scale, --normalize)',
  },
];

const labels = (path: string): string => `(sample 5, ${path}/t10k-images-idx3-ubyte)`;

const data: readonly Mistake[] = [
  {
    what: 'data that do not exist',
    args: ['analyze', 'net.onnx', '--data', 'none/at/all'],
    says: 'data not found: none/at/all; correct the path of the data',
  },
  {
    what: 'data in no format that is read',
    files: { 'notes.md': '# Notes\n' },
    args: ['analyze', 'net.onnx', '--data', 'notes.md'],
    says: /^data not recognised: notes\.md; wanted is a folder with t10k-images-idx3-ubyte/,
  },
  {
    what: 'an empty folder',
    prepare: (folder) => mkdirSync(join(folder, 'empty')),
    args: ['analyze', 'net.onnx', '--data', 'empty'],
    says: /^data not recognised: empty holds nothing; wanted is/,
  },
  {
    what: 'an empty data set',
    files: dataIn('empty', { count: 0 }),
    args: ['analyze', 'net.onnx', '--data', 'empty'],
    says: 'data set empty: empty/t10k-images-idx3-ubyte has no samples; choose another file or split',
  },
  {
    what: 'a split that is not there',
    args: analyze('--split', 'train'),
    says: 'split not found: train in data, which holds t10k-images-idx3-ubyte; choose test or name a file',
  },
  {
    what: 'data that are cut off',
    files: { 'data/t10k-images-idx3-ubyte': tinyData()['t10k-images-idx3-ubyte']!.subarray(0, 1000) },
    args: analyze(),
    says: 'array size wrong: data/t10k-images-idx3-ubyte says [48, 6, 6], 1728 bytes, which it cannot hold; fetch the file again',
  },
  {
    what: 'samples of another size than the input',
    files: dataIn('large', { size: 8 }),
    args: ['analyze', 'net.onnx', '--data', 'large'],
    says: 'data do not fit the network: samples [1, 8, 8] (64 values, large/t10k-images-idx3-ubyte), input [1, 6, 6] (36 values); choose the data it was trained with',
  },
  {
    what: 'labels outside the classes',
    files: dataIn('odd', { classOf: (i) => (i === 5 ? 7 : i % 3) }),
    args: ['analyze', 'net.onnx', '--data', 'odd'],
    says: `label outside the network's classes: 7 ${labels('odd')}, the network has 3; choose the data it was trained with`,
  },
  {
    what: 'labels that begin with 1',
    files: dataIn('odd', { classOf: (i) => 1 + (i % 3) }),
    args: ['analyze', 'net.onnx', '--data', 'odd'],
    says: /^label outside the network's classes: 3 .*; number the classes from 0$/,
  },
  {
    what: 'values that are not finite',
    files: {
      'odd/x.npy': npyBytes(
        '<f4',
        [2, 1, 6, 6],
        float32Bytes(Array.from({ length: 72 }, (_, i) => (i === 40 ? NaN : i))),
      ),
      'odd/y.npy': npyBytes('|u1', [2], [0, 1]),
    },
    args: ['analyze', 'net.onnx', '--data', 'odd'],
    says: 'value not finite: NaN (sample 1, element 4, odd/x.npy); remove or replace such values',
  },
  {
    what: 'means that do not fit the channels',
    args: analyze('--normalize', '1,2,3;1,1,1'),
    says: 'normalisation does not fit: 3 values of mean, channels 1 (samples [1, 6, 6], data/t10k-images-idx3-ubyte); give 1',
  },
  {
    what: 'one sample, which has no deviation',
    args: analyze('--samples', '1'),
    says: 'loss tolerance is 0: one sample has no deviation; choose more samples, or give a tolerance with --epsilon abs:X, such as abs:0.01',
  },
];

const resources: readonly Mistake[] = [
  {
    what: 'less memory than the process needs',
    args: analyze('--memory', '30'),
    says: /^memory too small: 30 MiB granted, and the process alone takes \d+ MiB; grant more with --memory$/,
  },
  {
    what: 'more memory than granted, for the samples',
    files: {
      'net8.onnx': tinyModel({ size: 8 }),
      'many/t10k-images-idx3-ubyte': idxBytes(0x08, [300_000, 8, 8], new Uint8Array(300_000 * 64)),
      'many/t10k-labels-idx1-ubyte': idxBytes(0x08, [300_000], new Uint8Array(300_000)),
    },
    args: ['analyze', 'net8.onnx', '--data', 'many', '--samples', 'all', '--memory', '130'],
    says: /^memory would run out: 300000 samples of \[1, 8, 8\] take 73 MiB beside \d+ MiB in use, 130 MiB granted; lower --samples, or grant more with --memory$/,
  },
  {
    what: 'more memory than granted, for the weights',
    files: {
      'big.onnx': modelBytes({ ...tinyParts(), tensors: [floats('big', [8_000_000], new Array(8e6).fill(1))] }),
    },
    args: ['analyze', 'big.onnx', '--data', 'data', '--memory', '100'],
    says: /^memory would run out: the weights of big\.onnx take 61 MiB beside \d+ MiB in use, 100 MiB granted; choose a smaller network, or grant more with --memory$/,
  },
];

const reports: readonly Mistake[] = [
  {
    what: 'a report into a folder that does not exist',
    args: analyze('--report', 'none/out.html'),
    says: 'folder not found: none (for none/out.html); create it first',
  },
  {
    what: 'a report into a file',
    args: analyze('--report', 'net.onnx/out.html'),
    says: 'not a folder: net.onnx (for net.onnx/out.html); choose another place',
  },
  {
    what: 'a report onto a folder',
    args: analyze('--report', 'data'),
    says: 'folder, not a file: data; name a file in it, such as data/report.html',
  },
  {
    what: 'a report onto the checkpoint',
    args: analyze('--report', './net.onnx'),
    says: 'file is an input: ./net.onnx; choose another place, it would be overwritten',
  },
];

const HELP = 'see pruning-limit analyze --help';

const options: readonly Mistake[] = [
  { what: 'an unknown command', args: ['analyse', 'x'], says: 'unknown command: analyse; see pruning-limit --help' },
  { what: 'an unknown option', args: analyze('--stepz', '3'), says: `unknown option: --stepz; ${HELP}` },
  {
    what: 'an unknown short option',
    args: ['inspect', '-x'],
    says: 'unknown option: -x; see pruning-limit inspect --help',
  },
  { what: 'an option without its value', args: analyze('--steps'), says: `--steps needs a value; ${HELP}` },
  {
    what: 'an option in the place of a value',
    args: analyze('--steps', '--json'),
    says: `--steps needs a value; ${HELP}`,
  },
  { what: 'a value where there is none', args: analyze('--json=yes'), says: `--json takes no value; ${HELP}` },
  { what: 'no checkpoint', args: ['inspect'], says: 'no checkpoint; the usage is pruning-limit inspect FILE' },
  {
    what: 'an empty checkpoint',
    args: ['inspect', ''],
    says: 'no checkpoint; the usage is pruning-limit inspect FILE',
  },
  {
    what: 'two checkpoints',
    args: ['inspect', 'a', 'b'],
    says: 'more than one checkpoint: a, b; the usage is pruning-limit inspect FILE',
  },
  {
    what: 'no data',
    args: ['analyze', 'net.onnx'],
    says: `no data: give --data PATH, the samples that define the loss; ${HELP}`,
  },
  { what: 'an empty path', args: analyze('--report', ''), says: '--report takes a path, not an empty text' },
  { what: 'a word for a number', args: analyze('--batch', 'many'), says: '--batch takes a number, not "many"' },
  { what: 'a fraction of a step', args: analyze('--steps', '1.5'), says: '--steps takes a whole number, not 1.5' },
  { what: 'no samples', args: analyze('--samples', '0'), says: '--samples out of range: 0; give 1 or more' },
  { what: 'no tolerance', args: analyze('--tolerance', '0'), says: '--tolerance out of range: 0; give 0.000001 to 1' },
  { what: 'no time', args: analyze('--minutes', '0'), says: '--minutes out of range: 0; give 0.001 or more' },
  { what: 'no scale', args: analyze('--scale', '0'), says: '--scale out of range: 0; give above 0' },
  { what: 'a negative penalty', args: analyze('--l1=-1'), says: '--l1 out of range: -1; give 0 or more' },
  {
    what: 'too many threads',
    args: analyze('--threads', '4096'),
    says: '--threads out of range: 4096; give 0 to 1024',
  },
  { what: 'an unknown split', args: analyze('--split', 'val'), says: '--split is one of test, train, not "val"' },
  { what: 'an unknown layout', args: analyze('--layout', 'chw'), says: '--layout is one of nchw, nhwc, not "chw"' },
  {
    what: 'an unknown operator',
    args: analyze('--curvature', 'fisher'),
    says: '--curvature is one of both, hessian, ggn, not "fisher"',
  },
  {
    what: 'an unknown tolerance rule',
    args: analyze('--epsilon', 'abs:0'),
    says: '--epsilon takes batch-std, abs:X or rel:X with X above 0, not "abs:0"',
  },
  {
    what: 'more deviations than means',
    args: analyze('--normalize', '0.5;0.2,0.2'),
    says: '--normalize takes as many means as positive deviations, such as "0.5,0.5,0.5;0.2,0.2,0.2", not "0.5;0.2,0.2"',
  },
];

/** Every file below a folder, sorted. */
const listing = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort();

for (const [group, mistakes] of Object.entries({ checkpoints, data, resources, reports, options })) {
  describe(`bad input: ${group}`, { concurrency: 2 }, () => {
    for (const { what, files, prepare, args, says } of mistakes) {
      it(what, async (t) => {
        const cwd = tinySubject(t, files);
        prepare?.(cwd);
        const before = listing(cwd);
        const { status, stdout, stderr } = await run(args, { cwd });
        const sentences = stderr.split('\n').filter((line) => line.startsWith('pruning-limit: '));
        assert.equal(sentences.length, 1, stderr);
        const sentence = sentences[0]!.slice('pruning-limit: '.length);
        if (typeof says === 'string') assert.equal(sentence, says);
        else assert.match(sentence, says);
        assert.deepEqual([status, stdout], [2, '']);
        // The sentence is the last word, after lines of progress at most; no stack trace.
        assert.ok(stderr.endsWith(`${sentences[0]}\n`), stderr);
        assert.doesNotMatch(stderr, /^\s+at /m);
        assert.doesNotMatch(sentence, /[.;]$/);
        assert.deepEqual(listing(cwd), before, 'nothing is left behind');
      });
    }
  });
}
