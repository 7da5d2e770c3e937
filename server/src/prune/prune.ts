import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { AnalysisResult } from '../../../protocol/analysis';
import type { PrunedLayer, PruneEvent, PruneRequest, PruneResult } from '../../../protocol/prune';
import { analyze } from '../analysis/analyze';
import { Evaluator } from '../analysis/evaluator';
import { MemoryGuard } from '../analysis/memory';
import { openSubject } from '../analysis/subject';
import { withZeros } from '../checkpoint/edit';
import { networkOf, type ModelOptions } from '../checkpoint/model';
import { importGraph, type ImportedGraph } from '../checkpoint/onnx/import';
import { toFloat32 } from '../checkpoint/elements';
import type { StoredLayer } from '../checkpoint/onnx/layers';
import type { Checkpoint } from '../checkpoint/checkpoint';
import type { OnnxFile } from '../checkpoint/onnx/reader';
import { writableLayers } from '../checkpoint/onnx/writable';
import { openCheckpoint } from '../checkpoint/open';
import type { StoredTensor } from '../checkpoint/stored-tensor';
import { outputFor, writeCheckpoint } from '../checkpoint/write';
import { REPLACE, Writing } from '../checkpoint/writer';
import { openDataset } from '../dataset/open';
import { createOrtEngine } from '../engine/ort';
import { DisconnectedError, InputError } from '../errors';
import { InputWatch } from '../files/inputs';
import { expectFree, Staging } from '../files/staging';
import { checkTarget } from '../files/write';
import { emptyLayers, findCuts } from './connectivity';
import { pruneMasks, type LayerWeights } from './criteria';
import { checkSameNetwork, limitSparsity } from './saved-analysis';
import { maskFile } from './mask-file';

/** Called with every event; awaited. */
export type PruneListener = (event: PruneEvent) => void | Promise<void>;

interface Layer extends LayerWeights {
  readonly name: string;
  readonly tensor: StoredTensor;
}

/**
 * Prunes a checkpoint once: finds the limit where that is asked, chooses the
 * weights, refuses to cut the network in two, measures what it costs where data
 * are given, and writes checkpoint and mask, both or none.
 *
 * @throws InputError, AnalysisError
 */
export async function prune(request: PruneRequest, listener: PruneListener): Promise<PruneResult> {
  const started = performance.now();
  const tell = (message: string, done: number): void | Promise<void> =>
    listener({
      kind: 'progress',
      phase: 'pruning',
      done,
      total: 4,
      message,
      elapsed: (performance.now() - started) / 1000,
    });
  await checkTargets(request);
  const inputs = await InputWatch.begin(request.checkpoint, [], request.graph);
  const expectUnchanged = (): Promise<void> => inputs.expectUnchanged('prune it again');
  const checkpoint = await openCheckpoint(request.checkpoint);
  const output = outputFor(checkpoint.container, request.output, request.sparse);
  const options = await networkOptions(request, checkpoint);
  const file = await networkOf(checkpoint, options);
  const stored = layersToWrite(file);
  const analysis = await analysisFor(request, listener);
  await expectUnchanged();
  await tell('checkpoint', 0);
  const layers = readLayers(stored, analysis);
  if (analysis !== undefined) checkSameNetwork(analysis, layers, request.checkpoint);
  if (request.method === 'layers' && layers.some(({ curvatureShare }) => curvatureShare === undefined)) {
    throw new InputError('curvature unknown: the analysis evaluated only; allow Lanczos steps with --steps');
  }
  const asked = request.target.kind === 'sparsity' ? request.target.sparsity : limitSparsity(analysis!);

  await tell('choosing weights', 1);
  const chosen = pruneMasks(request.method, layers, asked);
  const pruned = layers.map(({ name, weights }, i) => ({
    name,
    weights: weights.map((w, at) => (chosen[i]![at] === 1 ? w : 0)),
  }));
  const disconnected = await checkWhole(request, file, pruned);
  await tell('measuring', 2);
  const measured = await measure(request, layers, pruned);

  await tell(`writing ${basename(request.output)}`, 3);
  const shapes = new Map(layers.map(({ name, shape }) => [name, shape]));
  const companions = await Staging.run(async (staging) => {
    if (request.mask !== undefined) {
      // Of the weights that are not zero: what was zero before is as little to be trained again.
      const masks = pruned.map(({ name, weights }) => ({
        name,
        shape: shapes.get(name)!,
        mask: Uint8Array.from(weights, (w) => (w === 0 ? 0 : 1)),
      }));
      await writeFile(await staging.place(request.mask), maskFile(masks));
    }
    const changes = layers.flatMap(({ name, tensor }, i) => {
      const mask = chosen[i]!;
      return mask.includes(0) ? [{ name, tensor, edit: (own: StoredTensor) => withZeros(own, mask) }] : [];
    });
    const writing = new Writing(request.checkpoint, request.output, changes, staging, request.overwrite);
    const written = await writeCheckpoint(file, options, output, writing);
    // The mask is that of the weights as they were, and would fit no others.
    await expectUnchanged();
    return written;
  });
  return report(request, layers, pruned, { asked, disconnected, measured, companions });
}

/** Before any work: hours of analysis must not end at a file that cannot be written. */
async function checkTargets({ checkpoint, output, mask, overwrite, target }: PruneRequest): Promise<void> {
  if (target.kind === 'sparsity' && !(target.sparsity >= 0 && target.sparsity <= 1)) {
    throw new InputError(`sparsity out of range: ${target.sparsity}; give a fraction from 0 to 1, such as 0.9`);
  }
  for (const path of mask === undefined ? [output] : [output, mask]) {
    await checkTarget(path, [checkpoint]);
    if (overwrite === false || (overwrite === 'own' && path !== output)) await expectFree(path, REPLACE);
  }
  if (mask === output)
    throw new InputError(`mask and checkpoint in one file: ${mask}; choose another name for the mask`);
}

/** How the network of weights alone is found: the shape of the data's samples helps where there are data. */
async function networkOptions(
  { architecture, graph, options }: PruneRequest,
  { kind }: Checkpoint,
): Promise<Omit<ModelOptions, 'batch'>> {
  if (kind === 'network' || graph !== undefined || options === undefined) return { architecture, graph };
  const { sampleShape } = await openDataset(options.data.path, options.data.split, options.data);
  return { architecture, sample: sampleShape };
}

async function analysisFor(request: PruneRequest, listener: PruneListener): Promise<AnalysisResult | undefined> {
  const { target, method, analysis, options, checkpoint } = request;
  if (analysis !== undefined || (target.kind === 'sparsity' && method !== 'layers')) return analysis;
  if (options === undefined) {
    throw new InputError(
      target.kind === 'limit'
        ? 'no limit: give --data PATH to compute it, or --result FILE that analyze --json wrote'
        : 'curvature unknown: the method layers needs --data PATH to compute it, or --result FILE that analyze --json wrote',
    );
  }
  return analyze({ checkpoint, options }, (event) => {
    if (event.kind === 'progress' || event.kind === 'partial') return listener(event);
    return undefined;
  });
}

/** @throws InputError when there are none, or weights that cannot be written */
function layersToWrite(file: OnnxFile): StoredLayer[] {
  const layers = writableLayers(file);
  if (layers.length > 0) return layers;
  throw new InputError(
    `network without prunable weights (${file.path}); the weights of convolutions and matrix products are, and they must be stored in the file`,
  );
}

function readLayers(stored: readonly StoredLayer[], analysis: AnalysisResult | undefined): Layer[] {
  const shares = new Map(analysis?.layers.map(({ name, curvatureShare }) => [name, curvatureShare ?? undefined]));
  return stored.map(({ name, op, shape, tensor }): Layer => {
    const share = shares.get(name);
    return {
      name,
      op,
      shape,
      tensor,
      weights: toFloat32(tensor.read()),
      ...(share !== undefined && { curvatureShare: share }),
    };
  });
}

const ALLOW = 'prune less, choose another method, or allow it with --allow-disconnected';

/** @returns what is cut, where that is allowed */
async function checkWhole(
  { allowDisconnected, checkpoint, options }: PruneRequest,
  file: OnnxFile,
  pruned: readonly { name: string; weights: Float32Array }[],
): Promise<string[]> {
  let network: ImportedGraph;
  try {
    network = importGraph(file, { batch: 1 });
  } catch (error) {
    // What cannot be run cannot be checked beyond its layers.
    if (!(error instanceof InputError) || !allowDisconnected) {
      const { message } = error as Error;
      throw new InputError(`connections unknown: ${message}; --allow-disconnected prunes without looking at them`);
    }
    return emptyLayers(pruned);
  }
  const cuts = await findCuts(await createOrtEngine(options?.threads ?? 0), network, pruned);
  if (cuts.length === 0 || allowDisconnected) return cuts;
  const more = cuts.length > 1 ? ` (and ${cuts.length - 1} more)` : '';
  throw new DisconnectedError(`network would be cut in two: ${cuts[0]}${more} in ${checkpoint}; ${ALLOW}`);
}

async function measure(
  { checkpoint, options }: PruneRequest,
  layers: readonly Layer[],
  pruned: readonly { readonly name: string; readonly weights: Float32Array }[],
): Promise<PruneResult['measured']> {
  if (options === undefined) return null;
  const memory = new MemoryGuard(options.memory);
  const subject = await openSubject({ checkpoint, options }, memory);
  const evaluator = await Evaluator.create(await createOrtEngine(options.threads), subject, () => memory.check());
  const flat = (parts: readonly { readonly name: string; readonly weights: Float32Array }[]): Float32Array => {
    const weights = subject.weights.slice();
    for (const { name, offset } of subject.layout.layers)
      weights.set(parts.find((x) => x.name === name)!.weights, offset);
    return weights;
  };
  try {
    const before = await evaluator.evaluate(flat(layers));
    const after = await evaluator.evaluate(flat(pruned));
    return {
      path: options.data.path,
      samples: subject.samples,
      before: { loss: before.loss, correct: before.correct },
      after: { loss: after.loss, correct: after.correct },
    };
  } finally {
    await evaluator.dispose();
  }
}

function report(
  { checkpoint, output, mask, method, target }: PruneRequest,
  layers: readonly Layer[],
  pruned: readonly { readonly weights: Float32Array }[],
  rest: Pick<PruneResult, 'asked' | 'disconnected' | 'measured' | 'companions'>,
): PruneResult {
  const rows = layers.map(({ name, op, shape, weights }, i): PrunedLayer => {
    const kept = pruned[i]!.weights.reduce((count, w) => count + (w === 0 ? 0 : 1), 0);
    return { name, op, shape, weights: weights.length, kept, sparsity: 1 - kept / weights.length };
  });
  const sum = (of: (row: PrunedLayer) => number): number => rows.reduce((total, row) => total + of(row), 0);
  const [weights, kept] = [sum((row) => row.weights), sum((row) => row.kept)];
  return {
    checkpoint,
    output,
    mask: mask ?? null,
    method,
    atLimit: target.kind === 'limit',
    sparsity: 1 - kept / weights,
    weights,
    kept,
    layers: rows,
    ...rest,
  };
}
