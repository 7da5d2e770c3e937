import type { SearchTrial, TrainRequest, TrainResult } from '../../../protocol/train';
import { MemoryGuard } from '../analysis/memory';
import { createOrtEngine } from '../engine/ort';
import { checkPlaces } from './places';
import { TrainingRun, type RunOutcome, type TrainListener } from './run';
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
  const inputs = [options.data.path, ...(source.kind === 'checkpoint' ? [source.path] : [])];
  if (typeof options.mask === 'object') inputs.push(options.mask.path);
  // What a search has found does not say by which search.
  const state = search === undefined ? statePath(output) : searchFolder(output);
  await checkPlaces({ ...request, inputs, state, endKnown: search === undefined });
  const subject = await openTrainSubject(source, options, memory);
  const engine = await createOrtEngine(options.threads);
  const { overwrite } = request;
  const around = { engine, memory, listener, shouldStop, overwrite, anew: overwrite && !request.resume };
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
