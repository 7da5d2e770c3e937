import { rm, stat } from 'node:fs/promises';
import type { SearchTrial, TrainRequest, TrainResult } from '../../../protocol/train';
import { MemoryGuard } from '../analysis/memory';
import { createOrtEngine } from '../engine/ort';
import { InputError } from '../errors';
import { checkTarget } from '../files/write';
import { TrainingRun, type RunOutcome, type Surroundings, type TrainListener } from './run';
import { searchL1, searchFolder } from './search';
import { statePath } from './state';
import { openTrainSubject } from './subject';

/**
 * A whole training, or the search for μ, as the command line asks it.
 *
 * @param shouldStop whether to end after the epoch in progress
 * @throws InputError, AnalysisError
 */
export async function train(
  request: TrainRequest,
  listener: TrainListener,
  shouldStop: () => boolean = () => false,
): Promise<TrainResult> {
  const { source, output, options, search } = request;
  const memory = new MemoryGuard(options.memory);
  memory.begin();
  await checkPlaces(request);
  const subject = await openTrainSubject(source, options, memory);
  const engine = await createOrtEngine(options.threads);
  const { overwrite } = request;
  const around: Surroundings = { engine, memory, listener, shouldStop, overwrite, anew: overwrite && !request.resume };
  const layers = subject.network(2).layers;
  const weights = layers.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  const answer = async (
    { records, finished }: Pick<RunOutcome, 'records' | 'finished'>,
    trials: readonly SearchTrial[] | null = null,
    l1 = options.l1,
  ): Promise<TrainResult> => {
    const result = { source, output, weights, epochs: records, finished, options: { ...options, l1 }, trials };
    await listener({ kind: 'trained', result });
    return result;
  };
  if (search !== undefined) {
    const found = await searchL1(subject, options, search, output, around);
    return answer(found, found.trials, found.l1);
  }
  return answer(await TrainingRun.run(subject, options, output, around));
}

/** @throws InputError when something would be overwritten that may not be, or the output cannot be written */
async function checkPlaces({ source, output, options, resume, overwrite, search }: TrainRequest): Promise<void> {
  const inputs = [options.data.path, ...(source.kind === 'checkpoint' ? [source.path] : [])];
  if (typeof options.mask === 'object') inputs.push(options.mask.path);
  await checkTarget(output, inputs);
  const state = search === undefined ? statePath(output) : searchFolder(output);
  if (resume) {
    // What a search has found does not say by which search.
    if (search === undefined || overwrite || (await exists(state)) || !(await exists(output))) return;
    throw new InputError(`nothing to go on with: ${output} is there; choose another name, or give --force`);
  }
  if (overwrite) return rm(state, { force: true, recursive: true });
  if (await exists(state)) {
    throw new InputError(`training begun before: ${state}; --resume goes on with it, --force begins anew`);
  }
  if (await exists(output)) throw new InputError(`file exists: ${output}; choose another name, or give --force`);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
