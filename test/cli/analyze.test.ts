import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AnalysisResult } from '../../protocol/analysis';
import { run } from './command';
import { assertMatches } from './schema';
import { tinySubject } from './subject';

/** Quick, and with every part of an analysis. */
const QUICK = ['--data', 'data', '--steps', '6', '--threads', '1'];

test('an analysis ends with its limit, layers, path and warnings on standard output', async (t) => {
  const cwd = tinySubject(t);
  const { status, stdout, stderr } = await run(['analyze', 'net.onnx', ...QUICK], { cwd });
  assert.equal(status, 0, stderr);
  const lines = stdout.split('\n');
  assert.equal(lines[0], 'net.onnx');
  assert.equal(lines[1], '235 parameters, 228 of them prunable; all 48 samples (idx), 3 classes');
  assert.match(lines[2]!, /^loss [\d.]+ nats, \d+ of 48 correct \([\d.]+ %\)$/);
  assert.match(lines[3]!, /^tolerance ε [\d.]+ nats: standard deviation of the loss over mini-batches of 128$/);
  assert.match(lines[5]!, /^(Can be pruned to|Unresolved: between) [\d.]+/);
  for (const heading of [/^limit +sparsity +keep/m, /^layer +op +shape +weights/m, /^sparsity +distance/m]) {
    assert.match(stdout, heading);
  }
  assert.match(stdout, /^warning: Hessian limit unresolved: .*after 6 Lanczos steps/m);
  assert.match(lines.at(-2)!, /^\d+ s, \d+ products of .* s, onnxruntime-node [\d.]+ \(cpu(: [^()]+)?\)$/);
});

test('with --json there is one object on standard output, and progress in lines beside it', async (t) => {
  const cwd = tinySubject(t);
  const { status, stdout, stderr } = await run(['analyze', 'net.onnx', ...QUICK, '--json'], { cwd });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^\{.*\}\n$/);
  const result = JSON.parse(stdout) as AnalysisResult;
  assertMatches('result', result);
  assert.equal(result.checkpoint, join(cwd, 'net.onnx'));
  assert.deepEqual(
    result.limits.map(({ operator }) => operator),
    ['hessian', 'ggn'],
  );
  assert.deepEqual(result.parameters, { total: 235, prunable: 228 });
  assert.ok(result.path.length >= 12, `${result.path.length} points`);

  const lines = stderr.trimEnd().split('\n');
  for (const line of lines) assert.match(line, /^ {0,2}\d+ % {2}\d+ s(, up to .* left)? +\S/);
  const shares = lines.map((line) => parseInt(line, 10));
  assert.deepEqual(
    shares,
    [...shares].sort((a, b) => a - b),
  );
  assert.ok(!stderr.includes('\r') && !stderr.includes('\x1b'), 'no bar where there is no terminal');
});

test('--layer-limits studies every layer by itself', async (t) => {
  const cwd = tinySubject(t);
  const options = ['--data', 'data', '--steps', '40', '--threads', '1', '--layer-limits', '--json'];
  const { status, stdout, stderr } = await run(['analyze', 'net.onnx', ...options], { cwd });
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout) as AnalysisResult;
  assertMatches('result', result);
  assert.deepEqual(
    result.layerLimits.map(({ operator }) => operator),
    ['hessian', 'ggn'],
  );
  for (const { coupling, layers } of result.layerLimits) {
    assert.ok(coupling!.share > 0 && coupling!.share < 1 && coupling!.standardError > 0);
    assert.deepEqual(
      layers.map(({ name }) => name),
      ['conv.weight', 'fc.weight'],
    );
    for (const { sparsity, interval } of layers) assert.ok(interval[0] <= sparsity && sparsity <= interval[1]);
  }
  const text = await run(['analyze', 'net.onnx', ...options.slice(0, -1)], { cwd });
  assert.match(text.stdout, /^Layers by themselves, .*\nlayer +weights +Hessian, \|λ\| +Gauss–Newton\nconv\.weight/m);
});

test('--steps 0 evaluates and nothing else', async (t) => {
  const cwd = tinySubject(t);
  const options = ['--data', 'data', '--steps', '0'];
  const { status, stdout, stderr } = await run(['analyze', 'net.onnx', ...options, '--json'], { cwd });
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout) as AnalysisResult;
  assertMatches('result', result);
  assert.deepEqual(
    [result.limits, result.path, result.warnings, result.validity, result.time.products],
    [[], [], [], { edge: null, gradientNorm: null }, 0],
  );
  assert.equal(result.accuracy.total, 48);
  for (const { weights, sparsityAtLimit, keptAtLimit, trace, traceStandardError, curvatureShare } of result.layers) {
    assert.ok(weights > 0);
    assert.deepEqual(
      [sparsityAtLimit, keptAtLimit, trace, traceStandardError, curvatureShare],
      Array(5).fill(null),
      'what was not computed is not 0',
    );
  }
  const text = await run(['analyze', 'net.onnx', ...options], { cwd });
  assert.match(
    text.stdout,
    /^net\.onnx\n.*\nloss .*\ntolerance .*\n\n\d+ s, onnxruntime-node [\d.]+ \(cpu(: [^()]+)?\)\n$/,
  );
});

test('the same seed gives the same result, another one other probes', async (t) => {
  const cwd = tinySubject(t);
  const analyze = async (seed: string): Promise<unknown> => {
    const { stdout } = await run(['analyze', 'net.onnx', ...QUICK, '--curvature', 'ggn', '--seed', seed, '--json'], {
      cwd,
    });
    const { limits, layers, path } = JSON.parse(stdout) as AnalysisResult;
    return { limits, layers, path };
  };
  const first = await analyze('1');
  assert.deepEqual(await analyze('1'), first);
  assert.notDeepEqual(await analyze('2'), first);
});

test('--report writes a page with the result in it, and says where', async (t) => {
  const cwd = tinySubject(t);
  const { status, stdout, stderr } = await run(['analyze', 'net.onnx', ...QUICK, '--report', 'out.html'], { cwd });
  assert.equal(status, 0, stderr);
  assert.ok(stdout.endsWith('\n\nReport: out.html\n'));
  const page = readFileSync(join(cwd, 'out.html'), 'utf8');
  const json = /<script type="application\/json" id="result">(.*?)<\/script>/s.exec(page)![1]!;
  assertMatches('result', JSON.parse(json));
  assert.match(page, /<title>Pruning limit of net\.onnx<\/title>/);
  assert.ok(page.includes('<main id="app"></main>'));
});

test('a report takes the place of an older one only when the analysis is done', async (t) => {
  const cwd = tinySubject(t);
  const report = join(cwd, 'out.html');
  writeFileSync(report, 'old');
  const failed = await run(['analyze', 'net.onnx', '--data', 'none', '--report', report], { cwd });
  assert.equal(failed.status, 2);
  assert.equal(readFileSync(report, 'utf8'), 'old');
  const done = await run(['analyze', 'net.onnx', '--data', 'data', '--steps', '0', '--json', '--report', report], {
    cwd,
  });
  assert.equal(done.status, 0, done.stderr);
  assertMatches('result', JSON.parse(done.stdout));
  assert.match(readFileSync(report, 'utf8'), /^<!DOCTYPE html>/);
});

test('a report that cannot go where it shall is refused before anything is computed', async (t) => {
  const cwd = tinySubject(t);
  const { status, stdout, stderr } = await run(['analyze', 'net.onnx', ...QUICK, '--report', 'none/out.html'], { cwd });
  assert.deepEqual([status, stdout], [2, '']);
  assert.equal(stderr, 'pruning-limit: folder not found: none (for none/out.html); create it first\n');
  assert.ok(!existsSync(join(cwd, 'none')));
});
