import type { TrainEvent } from '../../../protocol/train';
import { toFailure } from '../errors';
import { checkTarget } from '../files/write';
import { trainJson } from '../report/json';
import { trainText } from '../report/train-text';
import { EXIT, fail, write } from './output';
import { asTyped } from './paths';
import type { TrainCommand } from './train-arguments';
import { TrainDisplay } from './train-display';
import { INTERRUPTED, runTraining } from './training-job';

/** Trains in a compute process, which writes the files. */
export async function trainCommand({ request, paths, output, json }: TrainCommand): Promise<void> {
  try {
    // Checked where the work is done too; here in the words of the command.
    await checkTarget(output.typed, [
      request.options.data.path,
      ...(request.source.kind === 'checkpoint' ? [request.source.path] : []),
    ]);
  } catch (error) {
    return fail(toFailure(error));
  }
  const display = new TrainDisplay(process.stderr, (text) => asTyped(text, paths));
  const outcome = await runTraining<Extract<TrainEvent, { kind: 'trained' }>>({ kind: 'train', request }, display);
  display.clear();
  if ('failure' in outcome) {
    const { message, category } = outcome.failure;
    return fail({ message: asTyped(message, paths), category });
  }
  const { result } = outcome;
  await write(json ? trainJson(result) : trainText({ ...result, output: output.typed }));
  process.exitCode = result.finished ? EXIT.done : INTERRUPTED;
}
