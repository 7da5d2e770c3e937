import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { Random } from '../../server/src/random';
import { LanczosRun } from '../../server/src/spectrum/lanczos';
import type { SymmetricOperator } from '../../server/src/spectrum/operator';
import { SEED } from './subject';

/** What is kept of one run; its basis lies beside it. */
export interface Kept {
  readonly alpha: number[];
  readonly beta: number[];
  /** Of every step: the product, and the whole step. */
  readonly product: number[];
  readonly step: number[];
}

/** User and system, of all threads. */
export function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Goes on with the run that is kept at `path`, to so many steps. */
export async function deepen(operator: SymmetricOperator, path: string, steps: number): Promise<void> {
  const { dimension } = operator;
  const [state, basis] = [`${path}.json`, `${path}.basis`];
  let kept: Kept = { alpha: [], beta: [], product: [], step: [] };
  let run: LanczosRun;
  if (existsSync(state)) {
    kept = JSON.parse(readFileSync(state, 'utf8')) as Kept;
    const vectors = readVectors(basis, dimension, kept.alpha.length + 1);
    const [alpha, beta] = [Float64Array.from(kept.alpha), Float64Array.from(kept.beta)];
    run = LanczosRun.restore({ dimension, status: 'running', alpha, beta, basis: vectors });
  } else {
    run = LanczosRun.from(Random.stream(SEED, 'lanczos 0').rademacher(dimension));
    writeFileSync(basis, bytes(run.next!));
  }
  while (run.steps < steps && run.next !== null) {
    const started = processorSeconds();
    const [product] = await operator.apply([run.next]);
    kept.product.push(processorSeconds() - started);
    run.absorb(product!);
    kept.step.push(processorSeconds() - started);
    // Without another vector the next start would not know that the run has ended.
    if (run.next === null) break;
    appendFileSync(basis, bytes(run.next));
    const { alpha, beta } = run.jacobi;
    writeFileSync(`${state}.part`, JSON.stringify({ ...kept, alpha: [...alpha], beta: [...beta] }));
    renameSync(`${state}.part`, state);
    if (run.steps % 10 === 0) console.error(`${path}: step ${run.steps}, ${kept.step.at(-1)!.toFixed(2)} s`);
  }
}

function bytes(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/**
 * The first `count` vectors; one that was written before the state that counts it is cut off.
 *
 * @throws Error where they are of another dimension: what is left of the weights without zero rows may change
 */
function readVectors(path: string, dimension: number, count: number): Float32Array[] {
  const vectorsThere = statSync(path).size / (4 * dimension);
  if (vectorsThere < count || vectorsThere > count + 1) {
    throw new Error(`${path}: not ${count} vectors of ${dimension} entries; delete the run that it belongs to`);
  }
  truncateSync(path, 4 * count * dimension);
  const file = openSync(path, 'r');
  const vectors = Array.from({ length: count }, (_, i) => {
    const vector = new Float32Array(dimension);
    readSync(file, bytes(vector), 0, 4 * dimension, 4 * i * dimension);
    return vector;
  });
  closeSync(file);
  return vectors;
}
