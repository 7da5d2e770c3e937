import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { AnalysisOptions, AnalysisRequest } from '../../protocol/analysis';
import { openDataset } from '../../server/src/dataset/open';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { idxBytes } from '../files';
import { projectRoot } from '../outside';

/** Networks small enough for their whole curvature matrix, trained on the digits of samples/. */
export const oracleNames = ['oracle-mlp', 'oracle-cnn', 'oracle-residual', 'oracle-attention'] as const;
export type OracleName = (typeof oracleNames)[number];

/** Samples that define the loss: the first of the training set. */
export const ORACLE_SAMPLES = 400;
const SIDE = 16;
const POOLED = SIDE / 2;

/** The folder of golden files. */
export function goldenFolder(): string {
  return join(projectRoot(), 'test', 'golden');
}

export interface Digits {
  readonly count: number;
  /** count × 8 × 8 bytes. */
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

/** The training digits of the demonstration, every 2 × 2 pixels averaged and rounded. */
export async function pooledDigits(): Promise<Digits> {
  const { values, labels, count } = await openDataset(join(projectRoot(), 'samples', 'data'), 'train');
  const images = new Uint8Array(count * POOLED * POOLED);
  for (let i = 0; i < images.length; i++) {
    const column = 2 * (i % POOLED);
    const row = 2 * Math.floor(i / POOLED);
    const at = row * SIDE + column;
    const sum = values[at]! + values[at + 1]! + values[at + SIDE]! + values[at + SIDE + 1]!;
    images[i] = Math.round(sum / 4);
  }
  return { count, images, labels: Uint8Array.from(labels) };
}

/** Where the samples of the oracle networks are, as an idx pair. */
export function oracleData(): string {
  return join(goldenFolder(), 'digits');
}

/** Writes the first `ORACLE_SAMPLES` pooled digits, the way users keep them; the digits of the demonstration may change. */
export async function writeOracleData(): Promise<void> {
  const { images, labels } = await pooledDigits();
  const content = images.subarray(0, ORACLE_SAMPLES * POOLED * POOLED);
  const write = (name: string, bytes: Uint8Array) => writeFileSync(join(oracleData(), name), gzipSync(bytes));
  mkdirSync(oracleData(), { recursive: true });
  write('train-images-idx3-ubyte.gz', idxBytes(8, [ORACLE_SAMPLES, POOLED, POOLED], content));
  write('train-labels-idx1-ubyte.gz', idxBytes(8, [ORACLE_SAMPLES], labels.subarray(0, ORACLE_SAMPLES)));
}

/** What a user would ask of an oracle network. 400 samples in batches of 128 leave a partial one. */
export function oracleRequest(name: OracleName, options: Partial<AnalysisOptions> = {}): AnalysisRequest {
  return {
    checkpoint: join(goldenFolder(), `${name}.onnx`),
    options: {
      ...DEFAULT_OPTIONS,
      data: { path: oracleData(), split: 'train', scale: 255, samples: 'all' },
      batch: 128,
      threads: 1,
      tolerance: 0.005,
      steps: 400,
      ...options,
    },
  };
}
