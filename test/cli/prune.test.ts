import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, test } from 'node:test';
import type { AnalysisResult } from '../../protocol/analysis';
import type { PruneResult } from '../../protocol/prune';
import { onnx } from '../../server/src/checkpoint/onnx/generated/onnx';
import { storedLayers } from '../../server/src/checkpoint/onnx/layers';
import { open as openOnnx } from '../../server/src/checkpoint/onnx/reader';
import { readNpz } from '../../server/src/dataset/arrays';
import { modelBytes } from '../onnx-models';
import { COMMAND, run, start } from './command';
import { assertMatches } from './schema';
import { tinyModel, tinyParts, tinySubject } from './subject';

const prune = (...options: string[]): string[] => ['prune', 'net.onnx', '-o', 'out.onnx', '--threads', '1', ...options];

async function weights(path: string): Promise<Map<string, number[]>> {
  const layers = storedLayers(await openOnnx(path));
  return new Map(layers.map(({ name, tensor }) => [name, Array.from(tensor.read().values)]));
}

test('the smallest weights are zero, everything else is as it was, and the mask says which', async (t) => {
  const cwd = tinySubject(t);
  const args = prune('--sparsity', '0.75', '--mask', 'mask.npz', '--data', 'data', '--json');
  const { status, stdout, stderr } = await run(args, { cwd });
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout) as PruneResult;
  assertMatches('pruned', result);
  assert.deepEqual(
    [result.output, result.mask, result.asked, result.atLimit, result.weights, result.kept, result.disconnected],
    [join(cwd, 'out.onnx'), join(cwd, 'mask.npz'), 0.75, false, 228, 57, []],
  );

  const before = await weights(join(cwd, 'net.onnx'));
  const after = await weights(join(cwd, 'out.onnx'));
  const magnitudes = [...before.values()]
    .flat()
    .map(Math.abs)
    .sort((a, b) => b - a);
  const masks = await readNpz(join(cwd, 'mask.npz'), [...before.keys()]);
  [...before].forEach(([name, values], i) => {
    const kept = values.map((w) => Math.abs(w) >= magnitudes[56]!);
    assert.deepEqual(
      after.get(name),
      values.map((w, at) => (kept[at] ? w : 0)),
    );
    assert.deepEqual(Array.from(masks[i]!.values), kept.map(Number));
    assert.equal(result.layers[i]!.kept, kept.filter(Boolean).length);
  });

  const hollow = (path: string) => {
    const model = onnx.ModelProto.decode(readFileSync(join(cwd, path)));
    for (const tensor of model.graph!.initializer!) if (before.has(tensor.name!)) tensor.floatData = [];
    return onnx.ModelProto.encode(model).finish();
  };
  assert.deepEqual(hollow('out.onnx'), hollow('net.onnx'));

  // What is said of the new checkpoint is what an analysis of it says.
  const analyze = ['analyze', 'out.onnx', '--data', 'data', '--steps', '0', '--threads', '1', '--json'];
  const analysis = JSON.parse((await run(analyze, { cwd })).stdout) as AnalysisResult;
  assert.deepEqual(result.measured!.after, { loss: analysis.loss, correct: analysis.accuracy.correct });
});

test('--at-limit prunes to the limit that an analysis finds, computed here or read', async (t) => {
  const cwd = tinySubject(t);
  // Every direction can be resolved of so small a network.
  const analysis = ['--data', 'data', '--threads', '1', '--steps', '300', '--tolerance', '0.05'];
  const analyzed = await run(['analyze', 'net.onnx', ...analysis, '--json'], { cwd });
  writeFileSync(join(cwd, 'analysis.json'), analyzed.stdout);
  const known = JSON.parse(analyzed.stdout) as AnalysisResult;
  assert.ok(known.limits[0]!.resolved, analyzed.stdout.slice(0, 2000));

  const computed = await run(['prune', 'net.onnx', '--at-limit', '-o', 'a.onnx', ...analysis, '--json'], { cwd });
  const read = await run(['prune', 'net.onnx', '--at-limit', '-o', 'b.onnx', '--result', 'analysis.json', '--json'], {
    cwd,
  });
  assert.deepEqual([computed.status, read.status], [0, 0], computed.stderr + read.stderr);
  const results = [computed, read].map(({ stdout }) => JSON.parse(stdout) as PruneResult);
  for (const result of results) {
    assert.equal(result.atLimit, true);
    assert.equal(result.asked, known.limits[0]!.sparsity);
    assert.deepEqual(
      result.layers.map(({ kept }) => kept),
      known.layers.map(({ keptAtLimit }) => keptAtLimit),
    );
  }
  assert.deepEqual(readFileSync(join(cwd, 'a.onnx')), readFileSync(join(cwd, 'b.onnx')));
  assert.notEqual(results[0]!.measured, null);
  assert.equal(results[1]!.measured, null);

  const layers = await run(prune('--at-limit', '--method', 'layers', '--result', 'analysis.json', '--json'), { cwd });
  assert.equal(layers.status, 0, layers.stderr);
  const own = JSON.parse(layers.stdout) as PruneResult;
  assert.equal(own.kept, results[0]!.kept);
  assert.notDeepEqual(own.layers, results[0]!.layers);
});

test('the text says what was written, what it costs and what is left of each layer', async (t) => {
  const cwd = tinySubject(t);
  const args = prune('--sparsity', '0.5', '--mask', 'm.npz', '--data', 'data', '--method', 'uniform');
  const { status, stdout, stderr } = await run(args, { cwd });
  assert.equal(status, 0, stderr);
  assert.match(
    stdout,
    /^out\.onnx\n50\.00 % of 228 prunable weights are zero, 114 are kept; asked for 50\.00 %, [^]*?\nloss [\d.]+ → [\d.]+ nats\ncorrect \d+ → \d+ of 48 \(.* % → .* %\)\n\nlayer +op +shape +weights +sparsity +kept\nconv\.weight +Conv +4×1×3×3 +36 +50\.0 % +18\nfc\.weight +Gemm +3×64 +192 +50\.0 % +96\n\nMask: m\.npz\n$/,
  );
});

test('a network is cut in two only on request', async (t) => {
  const cwd = tinySubject(t);
  const refused = await run(prune('--sparsity', '1', '--mask', 'm.npz'), { cwd });
  assert.deepEqual([refused.status, refused.stdout], [2, '']);
  assert.match(
    refused.stderr,
    /^pruning-limit: network would be cut in two: layer conv\.weight would keep none of its 36 weights \(and 2 more\) in net\.onnx; prune less, choose another method, or allow it with --allow-disconnected$/m,
  );
  assert.deepEqual(readdirSync(cwd).sort(), ['data', 'net.onnx']);
  const allowed = await run(prune('--sparsity', '1', '--allow-disconnected'), { cwd });
  assert.equal(allowed.status, 0, allowed.stderr);
  assert.match(allowed.stdout, /^warning: the network is cut in two: layer conv\.weight /m);
  assert.ok([...(await weights(join(cwd, 'out.onnx'))).values()].flat().every((w) => Object.is(w, 0)));
});

test('external data go into a file of their own, the old one stays', async (t) => {
  const parts = tinyParts();
  const values = parts.tensors![2]!.floatData!;
  const data = new Uint8Array(Float32Array.from([0, ...values]).buffer);
  const entry = (key: string, value: string) => ({ key, value });
  const outside = {
    name: 'fc.weight',
    dims: parts.tensors![2]!.dims!,
    dataType: onnx.TensorProto.DataType.FLOAT,
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
    externalData: [entry('location', 'net.bin'), entry('offset', '4'), entry('length', String(4 * values.length))],
  };
  const cwd = tinySubject(t, {
    'net.onnx': modelBytes({ ...parts, tensors: parts.tensors!.with(2, outside) }),
    'net.bin': data,
  });
  mkdirSync(join(cwd, 'sub'));
  const { status, stdout, stderr } = await run(['prune', 'net.onnx', '--sparsity', '0.5', '-o', 'sub/out.onnx'], {
    cwd,
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^Weights: sub\/out\.onnx\.data$/m);
  assert.deepEqual(new Uint8Array(readFileSync(join(cwd, 'net.bin'))), data);
  const before = [...(await weights(join(cwd, 'net.onnx'))).values()].flat();
  const after = [...(await weights(join(cwd, 'sub/out.onnx'))).values()].flat();
  assert.equal(after.filter((w) => w === 0).length, 114);
  assert.ok(after.every((w, i) => w === 0 || w === before[i]));
  const again = await run(['prune', 'net.onnx', '--sparsity', '0.6', '-o', 'sub/out.onnx', '--force'], { cwd });
  assert.equal(again.status, 0, again.stderr);
  const blocked = await run(['prune', 'net.onnx', '--sparsity', '0.6', '-o', 'sub/out.onnx'], { cwd });
  assert.equal(blocked.status, 2);
});

test(
  'a full disk leaves nothing half-written, and what was there stays',
  { skip: process.platform === 'win32' },
  async (t) => {
    const cwd = tinySubject(t, { 'net.onnx': tinyModel({ hidden: 64, size: 16 }), 'out.onnx': 'before' });
    // No file may grow beyond 16 KiB: to a writer the same as a disk without room.
    const shell = ['bash', '-c', 'ulimit -f 16; exec "$@"', 'bash', process.execPath, COMMAND] as const;
    const { status, stdout, stderr } = await start(prune('--sparsity', '0.5', '--mask', 'm.npz', '--force'), { cwd }, [
      ...shell,
    ]).finished;
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, /^pruning-limit: file not written: .* \(E\w+\); choose another place$/m);
    assert.deepEqual(readdirSync(cwd).sort(), ['data', 'net.onnx', 'out.onnx']);
    assert.equal(readFileSync(join(cwd, 'out.onnx'), 'utf8'), 'before');
  },
);

/** A mistake, and the one sentence that answers it. */
interface Mistake {
  readonly what: string;
  readonly files?: Readonly<Record<string, Uint8Array | string>>;
  readonly prepare?: (folder: string) => void;
  readonly args: readonly string[];
  readonly says: string | RegExp;
}

const HELP = 'see pruning-limit prune --help';
const mistakes: readonly Mistake[] = [
  { what: 'no sparsity', args: prune(), says: `no sparsity: give either --at-limit or --sparsity S; ${HELP}` },
  {
    what: 'two sparsities',
    args: prune('--at-limit', '--sparsity', '0.5'),
    says: `both --at-limit and --sparsity: give either --at-limit or --sparsity S; ${HELP}`,
  },
  { what: 'more than all', args: prune('--sparsity', '1.5'), says: '--sparsity out of range: 1.5; give 0 to 1' },
  { what: 'less than nothing', args: prune('--sparsity=-0.1'), says: '--sparsity out of range: -0.1; give 0 to 1' },
  { what: 'percent', args: prune('--sparsity', '95%'), says: '--sparsity takes a number, not "95%"' },
  {
    what: 'no output',
    args: ['prune', 'net.onnx', '--sparsity', '0.5'],
    says: `no output: give -o OUT, where the pruned checkpoint goes; ${HELP}`,
  },
  {
    what: 'an unknown method',
    args: prune('--sparsity', '0.5', '--method', 'snip'),
    says: '--method is one of global, uniform, erk, layers, not "snip"',
  },
  {
    what: 'the checkpoint as output, even with --force',
    args: ['prune', 'net.onnx', '--sparsity', '0.5', '-o', './data/../net.onnx', '--force'],
    says: 'file is an input: ./data/../net.onnx; choose another place, it would be overwritten',
  },
  {
    what: 'a link to the checkpoint as output',
    prepare: (folder) => symlinkSync('net.onnx', join(folder, 'out.onnx')),
    args: prune('--sparsity', '0.5', '--force'),
    says: 'file is an input: out.onnx; choose another place, it would be overwritten',
  },
  {
    what: 'the checkpoint as mask',
    args: prune('--sparsity', '0.5', '--mask', 'net.onnx', '--force'),
    says: 'file is an input: net.onnx; choose another place, it would be overwritten',
  },
  {
    what: 'one file for mask and checkpoint',
    args: prune('--sparsity', '0.5', '--mask', 'out.onnx'),
    says: 'mask and checkpoint in one file: out.onnx; choose another name for the mask',
  },
  {
    what: 'an output that exists',
    files: { 'out.onnx': 'old' },
    args: prune('--sparsity', '0.5'),
    says: 'file exists: out.onnx; choose another name, or allow it to be replaced with --force',
  },
  {
    what: 'a mask that exists',
    files: { 'm.npz': 'old' },
    args: prune('--sparsity', '0.5', '--mask', 'm.npz'),
    says: 'file exists: m.npz; choose another name, or allow it to be replaced with --force',
  },
  {
    what: 'a folder that does not exist',
    args: ['prune', 'net.onnx', '--sparsity', '0.5', '-o', 'none/out.onnx'],
    says: 'folder not found: none (for none/out.onnx); create it first',
  },
  {
    what: 'no limit to be had',
    args: prune('--at-limit'),
    says: 'no limit: give --data PATH to compute it, or --result FILE that analyze --json wrote',
  },
  {
    what: 'no curvature to be had',
    args: prune('--sparsity', '0.5', '--method', 'layers'),
    says: 'curvature unknown: the method layers needs --data PATH to compute it, or --result FILE that analyze --json wrote',
  },
  {
    what: 'an analysis that measured no curvature',
    args: prune('--sparsity', '0.5', '--method', 'layers', '--data', 'data', '--steps', '0'),
    says: 'curvature unknown: the analysis evaluated only; allow Lanczos steps with --steps',
  },
  {
    what: 'a limit that is not resolved',
    args: prune('--at-limit', '--data', 'data', '--steps', '1', '--curvature', 'hessian'),
    says: /^limit unresolved: it lies between [\d.]+ and [\d.]+ %; give --sparsity 0\.\d{3} for its safe end, or narrow it with more --steps and --minutes$/,
  },
  {
    what: 'a saved analysis that is none',
    files: { 'r.json': '{"limits": [{"sparsity": 7}]}' },
    args: prune('--at-limit', '--result', 'r.json'),
    says: 'no analysis result: r.json; name what analyze --json wrote',
  },
  {
    what: 'a saved analysis that is not JSON',
    files: { 'r.json': 'x' },
    args: prune('--at-limit', '--result', 'r.json'),
    says: /^not JSON: r\.json \(.*\); name what analyze --json wrote$/,
  },
  {
    what: 'a saved analysis that is not there',
    args: prune('--at-limit', '--result', 'r.json'),
    says: 'analysis not readable: r.json (ENOENT); name what analyze --json wrote',
  },
  {
    what: 'a checkpoint that does not exist',
    args: ['prune', 'none.onnx', '--sparsity', '0.5', '-o', 'out.onnx'],
    says: 'file not found: none.onnx; check the path',
  },
  {
    what: 'weights that are not finite',
    files: { 'net.onnx': tinyModel({ weight: NaN }) },
    args: prune('--sparsity', '0.5'),
    says: /^weights not finite: /,
  },
  {
    what: 'an operator without which nothing is known of the connections',
    files: { 'net.onnx': tinyModel({ last: 'Mystery' }) },
    args: prune('--sparsity', '0.1'),
    says: /^connections unknown: unknown op: Mystery .*; --allow-disconnected prunes without looking at them$/,
  },
];

const listing = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String).sort();

describe('bad input: pruning', { concurrency: 2 }, () => {
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
      assert.doesNotMatch(stderr, /^\s+at /m);
      assert.deepEqual(listing(cwd), before, 'nothing is left behind');
      assert.equal(files?.['out.onnx'] === undefined || readFileSync(join(cwd, 'out.onnx'), 'utf8') === 'old', true);
    });
  }
});

test('an analysis of another network is refused', async (t) => {
  const cwd = tinySubject(t, { 'other.onnx': tinyModel({ hidden: 5 }) });
  const analyzed = await run(
    ['analyze', 'other.onnx', '--data', 'data', '--steps', '2', '--tolerance', '1', '--json'],
    { cwd },
  );
  writeFileSync(join(cwd, 'r.json'), analyzed.stdout);
  const { status, stderr } = await run(prune('--at-limit', '--result', 'r.json'), { cwd });
  assert.equal(status, 2);
  assert.match(
    stderr,
    /^pruning-limit: analysis of another network: layer conv\.weight differs from that of net\.onnx; analyse this checkpoint$/m,
  );
});
