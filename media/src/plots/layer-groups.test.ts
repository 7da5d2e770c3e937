import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LayerResult } from '../../../protocol/analysis';
import { sampleResult } from '../../../test/results';
import { layerRows, MOST_ROWS } from './layer-groups';

const layer = (i: number, parts: Partial<LayerResult> = {}): LayerResult => ({
  ...sampleResult.layers[0]!,
  name: `l${i}`,
  weights: 100,
  keptAtLimit: 10,
  sparsityAtLimit: 0.9,
  curvatureShare: 1 / 5000,
  ...parts,
});

describe('rows of layers', () => {
  it('are the layers where they can be read', () => {
    const rows = layerRows(sampleResult.layers);
    assert.deepEqual(
      rows.map(({ label, layers }) => [label, layers]),
      sampleResult.layers.map(({ name }) => [name, 1]),
    );
    assert.deepEqual(
      rows.map(({ vanishing }) => vanishing),
      [0, 1, 0],
    );
    assert.ok(Math.abs(rows[0]!.kept - 77 / 216) < 1e-12);
    assert.equal(layerRows(Array.from({ length: MOST_ROWS }, (_, i) => layer(i))).length, MOST_ROWS);
  });

  it('are neighbours where there are thousands, and nothing is left out', () => {
    const layers = Array.from({ length: 5000 }, (_, i) => layer(i, i % 7 === 0 ? { keptAtLimit: 0 } : {}));
    const rows = layerRows(layers);
    assert.ok(rows.length <= MOST_ROWS && rows.length > MOST_ROWS / 2, String(rows.length));
    const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + of(row), 0);
    assert.equal(
      sum((row) => row.layers),
      5000,
    );
    assert.ok(Math.abs(sum((row) => row.curvature) - 1) < 1e-9);
    assert.equal(
      sum((row) => row.vanishing),
      layers.filter(({ keptAtLimit }) => keptAtLimit === 0).length,
    );
    assert.equal(rows[0]!.label, 'l0 … l83');
    const kept = layers.reduce((total, { keptAtLimit }) => total + keptAtLimit!, 0);
    assert.ok(Math.abs(sum((row) => row.kept * row.layers * 100) - kept) < 1e-6);
  });
});
