import type { RetrainEvent } from '../../../protocol/retrain';
import { toFailure } from '../errors';
import { checkTarget } from '../files/write';
import { retrainJson } from '../report/json';
import { retrainText } from '../report/retrain-text';
import { EXIT, fail, write } from './output';
import { asTyped } from './paths';
import type { RetrainCommand } from './retrain-arguments';
import { TrainDisplay } from './train-display';
import { INTERRUPTED, runTraining } from './training-job';

/** Searches in a compute process, which writes the files. */
export async function retrainCommand({ request, paths, checkpoint, output, json }: RetrainCommand): Promise<void> {
  try {
    await checkTarget(output.typed, [request.options.training.data.path, request.checkpoint]);
  } catch (error) {
    return fail(toFailure(error));
  }
  const display = new TrainDisplay(process.stderr, (text) => asTyped(text, paths));
  const outcome = await runTraining<Extract<RetrainEvent, { kind: 'retrained' }>>(
    { kind: 'retrain', request },
    display,
  );
  display.clear();
  if ('failure' in outcome) {
    const { message, category } = outcome.failure;
    return fail({ message: asTyped(message, paths), category });
  }
  const { result } = outcome;
  const typed = { ...result, checkpoint: checkpoint.typed, output: output.typed };
  await write(json ? retrainJson(result) : retrainText(typed));
  process.exitCode = result.limit !== null ? EXIT.done : INTERRUPTED;
}
