/** Checkpoints that are large, and answers about them. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { AnalysisResult, LayerResult } from '../protocol/analysis';
import { layerWarnings } from '../server/src/analysis/warnings';
import type { StoredRun } from '../server/src/jobs/run-store';
import { fileStamp } from '../server/src/lsp/results';
import { floats, modelBytes, node } from './onnx-models';
import { sampleResult } from './results';

export const LAYERS = 5000;
const layerName = (i: number): string => `stage${Math.floor(i / 1000)}.block${Math.floor(i / 10)}.fc${i % 10}.weight`;

/** A chain of so many products. */
export function deepModel(layers = LAYERS): Uint8Array {
  return modelBytes({
    inputs: [['x', ['N', 4]]],
    outputs: [['y', ['N', 4]]],
    nodes: Array.from({ length: layers }, (_, i) =>
      node('MatMul', [i === 0 ? 'x' : `h${i}`, layerName(i)], [i === layers - 1 ? 'y' : `h${i + 1}`]),
    ),
    tensors: Array.from({ length: layers }, (_, i) =>
      floats(
        layerName(i),
        [4, 4],
        Array.from({ length: 16 }, (_, j) => (i + j) / layers),
      ),
    ),
  });
}

/** An answer for that chain, at which a fifth of its layers vanish. */
export function deepResult(checkpoint: string): AnalysisResult {
  const layers = Array.from({ length: LAYERS }, (_, i): LayerResult => ({
    name: layerName(i),
    op: 'MatMul',
    shape: [4, 4],
    weights: 16,
    zeros: 1,
    sparsityAtLimit: i % 5 === 0 ? 1 : 0.875,
    keptAtLimit: i % 5 === 0 ? 0 : 2,
    trace: 1,
    traceStandardError: 0.1,
    curvatureShare: 1 / LAYERS,
  }));
  return { ...sampleResult, checkpoint, layers, warnings: layerWarnings(layers, sampleResult.limits[0]!) };
}

/** The run that had this answer, as it is stored. */
export const runOf = (id: string, result: AnalysisResult): StoredRun => ({
  id,
  name: null,
  checkpoint: result.checkpoint,
  state: 'done',
  started: 1,
  ended: 2,
  limits: result.limits.map(({ operator, sparsity, interval, resolved }) => ({
    operator,
    sparsity,
    interval,
    resolved,
  })),
  error: null,
  samples: 2000,
  request: { checkpoint: result.checkpoint, options: result.options },
  key: null,
  stamp: fileStamp(result.checkpoint),
  owner: process.pid,
  claims: 0,
  asked: 1,
  resumed: 0,
});

/** A network with one matrix of so many MiB; the file is written without holding it. */
export function writeLarge(path: string, mebibytes: number): void {
  const rows = mebibytes;
  const columns = 2 ** 18;
  const head = modelBytes({
    inputs: [['x', ['N', rows]]],
    outputs: [['y', ['N', columns]]],
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    tensors: [],
  });
  // A message may be written twice: the fields of the second are added to the first.
  const varint = (value: number): number[] => {
    const bytes: number[] = [];
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
      if (rest < 128) return bytes;
    }
  };
  const size = 4 * rows * columns;
  const tensor = [
    ...[0x08, ...varint(rows)],
    ...[0x08, ...varint(columns)],
    0x10,
    1,
    0x42,
    1,
    0x77,
    0x4a,
    ...varint(size),
  ];
  const inner = tensor.length + size;
  const initializer = [0x2a, ...varint(inner), ...tensor];
  const graph = [0x3a, ...varint(initializer.length + size), ...initializer];
  const file = openSync(path, 'w');
  writeSync(file, head);
  writeSync(file, Buffer.from(graph));
  const row = new Uint8Array(Float32Array.from({ length: columns }, (_, i) => Math.sin(i + 1)).buffer);
  for (let i = 0; i < mebibytes; i++) writeSync(file, row);
  closeSync(file);
}
