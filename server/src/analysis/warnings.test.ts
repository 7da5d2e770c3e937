import assert from 'node:assert/strict';
import type { ValidityEdge } from '../limit/path';
import { test } from 'node:test';
import type { LayerResult, LimitEnd, LimitResult } from '../../../protocol/analysis';
import { layerWarnings, limitWarnings, sampleWarnings, validityWarnings } from './warnings';

const limit = (parts: Partial<LimitResult> = {}): LimitResult =>
  ({
    operator: 'hessian',
    sparsity: 0.9,
    interval: [0.88, 0.92],
    resolved: false,
    curvature: { steps: 7 },
    ...parts,
  }) as LimitResult;

const layer = (name: string, weights: number, parts: Partial<LayerResult> = {}): LayerResult => ({
  name,
  op: 'Conv',
  shape: [weights],
  weights,
  zeros: 0,
  sparsityAtLimit: 0.5,
  keptAtLimit: weights / 2,
  trace: 1,
  traceStandardError: 0.1,
  curvatureShare: 0.5,
  ...parts,
});

const codes = (warnings: readonly { code: string }[]): string[] => warnings.map(({ code }) => code);

test('a layer of which nothing is left is named', () => {
  const warnings = layerWarnings([layer('a', 100), layer('b', 100, { keptAtLimit: 0 })], limit());
  assert.deepEqual(warnings, [
    {
      code: 'layer-vanishes',
      layer: 'b',
      message:
        'layer b vanishes at the limit: all of its 100 weights are among the 90.0 % smallest; prune it less than the others, or the network is cut in two',
    },
  ]);
});

test('of a thousand layers that vanish the first are named and the others counted', () => {
  const layers = Array.from({ length: 1000 }, (_, i) => layer(`l${i}`, 10, { keptAtLimit: 0, curvatureShare: 0 }));
  const warnings = layerWarnings(layers, limit());
  assert.equal(warnings.length, 21);
  assert.equal(warnings[19]!.layer, 'l19');
  assert.deepEqual(warnings[20], {
    code: 'layer-vanishes',
    message: '980 more layers vanish at the limit; the table of layers has them all',
  });
});

test('a small layer with much of the curvature is named', () => {
  const of = (weights: number, curvatureShare: number) =>
    codes(
      layerWarnings(
        [layer('a', 1000 - weights, { curvatureShare: 0 }), layer('b', weights, { curvatureShare })],
        limit(),
      ),
    );
  assert.deepEqual(of(10, 0.11), ['curvature-share']);
  assert.deepEqual(of(10, 0.09), [], 'little curvature');
  assert.deepEqual(of(500, 0.99), [], 'a large layer');
});

test('zeros that are there already are mentioned when they are many', () => {
  assert.deepEqual(codes(layerWarnings([layer('a', 100, { zeros: 9 })], limit())), []);
  assert.deepEqual(codes(layerWarnings([layer('a', 100, { zeros: 10 })], limit())), ['already-sparse']);
});

test('an open limit is a warning when its study has ended, with what would close it', () => {
  const said = (end: LimitEnd | undefined, parts: Partial<LimitResult> = {}): string[] => {
    return limitWarnings([limit({ ...parts, ...(end && { end }) })], 0.01).map(({ message }) => message);
  };
  const sentence = (next: string) => [
    `Hessian limit unresolved: it lies between 88 and 92 % after 7 Lanczos steps, wider than the asked 1.0 %; ${next}`,
  ];
  assert.deepEqual(said(undefined), []);
  assert.deepEqual(said('resolved', { resolved: true }), []);
  assert.deepEqual(said('steps'), sentence('allow more with --steps'));
  assert.deepEqual(said('time'), sentence('allow more time with --minutes, or take fewer samples'));
  assert.deepEqual(said('memory'), sentence('more do not fit into the memory, grant more with --memory'));
  assert.deepEqual(
    said('exhausted'),
    sentence('neither steps nor probes narrowed it further, be content with a wider --tolerance'),
  );
  assert.match(said('time', { curvature: { steps: 1 } as LimitResult['curvature'] })[0]!, /after 1 Lanczos step, /);
});

test('a model that does not carry as far as the limit is a warning', () => {
  const stationary = { linear: 1e-4, quadratic: 0.02, stationary: true };
  const edge = (sparsity: number, reason: ValidityEdge['reason']) => ({ sparsity, reason });
  assert.deepEqual(validityWarnings(edge(0.95, 'more'), stationary, limit(), 0), []);
  // The path ended before they parted.
  assert.deepEqual(validityWarnings(edge(0.5, 'end'), stationary, limit(), 0), []);
  assert.deepEqual(validityWarnings(null, null, limit(), 0), []);
  const steep = { linear: -0.31, quadratic: 0.02, stationary: false };
  const [first, second] = validityWarnings(edge(0.5, 'more'), steep, limit(), 0);
  assert.match(
    first!.message,
    /at the limit its linear term −0\.31 stands beside the quadratic 0\.02; train longer, or give --l1 /,
  );
  assert.match(validityWarnings(null, steep, limit(), 1e-4)[0]!.message, /; train longer$/);
  assert.match(second!.message, /agree within a factor of 2 up to 50\.0 % only; pruning at once costs more/);
  assert.match(validityWarnings(edge(0.5, 'less'), null, limit(), 0)[0]!.message, /costs less than predicted/);
  // A wide interval does not excuse it.
  const wide = { ...limit(), interval: [0.3, 0.95] as const };
  assert.equal(validityWarnings(edge(0.5, 'more'), null, wide, 0).length, 1);
});

test('too few samples for the directions are a warning', () => {
  assert.deepEqual(sampleWarnings(100, 11, 1000, 5000, {}), []);
  assert.match(
    sampleWarnings(99, 11, 1000, 5000, {})[0]!.message,
    /^99 samples of 11 classes bend at most 990 of 1,000 directions; .* --sample-sizes says/,
  );
  const message = (...given: Parameters<typeof sampleWarnings>) => sampleWarnings(...given)[0]!.message;
  assert.match(message(99, 11, 1000, 5000, { sampleSizes: true }), /for the whole data set$/);
  // Too few to be cut, and all that there are.
  assert.match(message(31, 11, 1000, 5000, {}), /for the whole data set$/);
  assert.match(message(32, 11, 1000, 33, {}), /--sample-sizes says/);
  assert.match(message(32, 11, 1000, 32, {}), /so this holds for these samples, and .* they were drawn from$/);
});
