import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { AnalysisEvent, AnalysisOptions, AnalysisResult, LimitResult } from '../../protocol/analysis';
import { ComputeProcess } from '../../server/src/jobs/compute-process';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { COMPUTE } from './command';
import { assertMatches } from './schema';
import { tinySubject } from './subject';

/** All that a compute process says of an analysis of the tiny network, and why it went. */
function analysed(
  t: TestContext,
  options: Partial<AnalysisOptions>,
  checkpoint = 'net.onnx',
): Promise<{ events: AnalysisEvent[]; failure: string | null }> {
  const folder = tinySubject(t);
  const request = {
    checkpoint: join(folder, checkpoint),
    options: {
      ...DEFAULT_OPTIONS,
      threads: 1,
      ...options,
      data: { ...DEFAULT_OPTIONS.data, path: join(folder, 'data') },
    },
  };
  return new Promise((resolve) => {
    const events: AnalysisEvent[] = [];
    const compute = new ComputeProcess(
      COMPUTE,
      { kind: 'analyze', request },
      {
        event: (event) => event.kind !== 'pruned' && events.push(event),
        log: () => undefined,
        gone: (failure) => resolve({ events, failure }),
      },
    );
    t.after(() => compute.kill());
  });
}

const ofKind = <K extends AnalysisEvent['kind']>(events: readonly AnalysisEvent[], kind: K) =>
  events.filter((event): event is Extract<AnalysisEvent, { kind: K }> => event.kind === kind);

test('events count up, sharpen the result and end with it', async (t) => {
  const { events, failure } = await analysed(t, { steps: 40, batch: 16 });
  assert.equal(failure, null);
  assert.deepEqual(
    events.map(({ kind }) => kind).filter((kind) => kind === 'done' || kind === 'failed'),
    ['done'],
  );
  assert.equal(events.at(-1)!.kind, 'done');

  const progress = ofKind(events, 'progress');
  for (const [i, { done, total, elapsed, message }] of progress.entries()) {
    const before = progress[i - 1];
    assert.ok(done >= (before?.done ?? 0), `done falls to ${done}`);
    assert.ok(elapsed >= (before?.elapsed ?? 0), `time falls to ${elapsed}`);
    assert.ok(total >= done && Number.isFinite(total), `${done} of ${total}`);
    assert.notEqual(message, '');
  }
  const phases = progress.map(({ phase }) => phase).filter((phase, i, all) => phase !== all[i - 1]);
  assert.deepEqual(phases, ['reading', 'compiling', 'evaluating', 'ggn', 'hessian', 'path']);
  const last = progress.at(-1)!;
  assert.ok(last.done > 0 && last.total - last.done < 1e-6 * last.total, `ends at ${last.done} of ${last.total}`);
  // Three batches per product, and an event after each.
  const ggn = progress.filter(({ phase }) => phase === 'ggn');
  assert.ok(ggn.length > 3 * 8, `${ggn.length} events`);

  const partials = ofKind(events, 'partial').map(({ result }) => result);
  for (const kind of ['ggn', 'hessian'] as const) {
    const widths = partials
      .flatMap(({ limits }) => limits.filter(({ operator }) => operator === kind))
      .filter((limit, i, all) => limit.curvature.steps !== all[i - 1]?.curvature.steps)
      .map(({ interval: [low, high] }) => high - low);
    assert.ok(widths.length > 10, `${kind}: ${widths.length} partial results`);
    assert.ok(widths.at(-1)! < widths[0]! / 2, `${kind}: from ${widths[0]} to ${widths.at(-1)}`);
  }
  // Gauss–Newton: the bounds of one probe are monotone, so no step may widen the bracket.
  const isOneProbe = ({ operator, curvature }: LimitResult) =>
    operator === 'ggn' && curvature.probes === 1 && !curvature.exact;
  const brackets = partials.flatMap(({ limits }) => limits.filter(isOneProbe)).map(({ bracket }) => bracket);
  for (const [i, [low, high]] of brackets.entries()) {
    const before = brackets[i - 1] ?? [0, 1];
    assert.ok(low >= before[0] - 1e-4 && high <= before[1] + 1e-4, `bracket ${i} widens`);
  }
  const points = partials.map(({ path }) => path.length);
  assert.deepEqual(
    points,
    [...points].sort((a, b) => a - b),
  );

  const { result } = ofKind(events, 'done')[0]!;
  assertMatches('result', JSON.parse(JSON.stringify(result)));
  assertConsistent(result);
  const final = partials.at(-1)!;
  assert.deepEqual([final.limits, final.layers, final.path], [result.limits, result.layers, result.path]);
});

/** What must agree within one result. */
function assertConsistent({ limits, layers, path, parameters, accuracy, data }: AnalysisResult): void {
  assert.equal(
    layers.reduce((sum, { weights }) => sum + weights, 0),
    parameters.prunable,
  );
  const kept = layers.reduce((sum, { keptAtLimit }) => sum + keptAtLimit!, 0);
  assert.ok(Math.abs(kept - limits[0]!.keep * parameters.prunable) <= 1);
  assert.ok(Math.abs(layers.reduce((sum, { curvatureShare }) => sum + curvatureShare!, 0) - 1) < 1e-9);
  assert.equal(accuracy.total, data.samples);
  assert.ok(limits.every(({ end }) => end !== undefined));
  for (const { bracket, interval, sparsity, keep, lower, upper, curvature } of limits) {
    assert.ok(interval[0] <= bracket[0] && bracket[0] <= sparsity && sparsity <= bracket[1]);
    assert.ok(bracket[1] <= interval[1] && lower <= 1 - interval[1] && 1 - interval[0] <= upper);
    assert.ok(Math.abs(sparsity + keep - 1) < 1e-12);
    assert.ok(Math.abs(curvature.weights.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-6);
    assert.equal(curvature.weights.length, curvature.ritzValues.length);
    assert.ok(curvature.lambdaMin <= curvature.lambdaMax);
  }
  const sparsities = path.map(({ sparsity }) => sparsity);
  assert.deepEqual(
    sparsities,
    [...sparsities].sort((a, b) => a - b),
  );
  for (const limit of limits) assert.ok(sparsities.includes(limit.sparsity), 'the path meets every limit');
}

test('an analysis keeps to its time and says what it lacked', async (t) => {
  const { events } = await analysed(t, { minutes: 0.001, curvature: 'hessian' });
  const { result } = ofKind(events, 'done')[0]!;
  assert.ok(result.limits[0]!.curvature.steps < 40, `${result.limits[0]!.curvature.steps} steps`);
  const warning = result.warnings.find(({ code }) => code === 'unresolved-bracket')!;
  assert.match(
    warning.message,
    /^Hessian limit unresolved: .*; allow more time with --minutes, or take fewer samples$/,
  );
});

test('bad input is the only and last thing that is said', async (t) => {
  const { events, failure } = await analysed(t, {}, 'none.onnx');
  assert.equal(failure, null);
  const last = events.at(-1)!;
  assert.equal(last.kind, 'failed');
  assert.equal(last.kind === 'failed' && last.error.category, 'input');
  assert.deepEqual(ofKind(events, 'partial'), []);
});
