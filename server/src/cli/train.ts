import { join } from 'node:path';
import type { FailureMessage } from '../../../protocol/analysis';
import type { TrainEvent, TrainResult } from '../../../protocol/train';
import { toFailure } from '../errors';
import { checkTarget } from '../files/write';
import { ComputeProcess } from '../jobs/compute-process';
import { trainJson } from '../report/json';
import { trainText } from '../report/train-text';
import { EXIT, fail, write } from './output';
import { asTyped } from './paths';
import type { TrainCommand } from './train-arguments';
import { TrainDisplay } from './train-display';

/** What an interrupted command says of it, as shells have it. */
const INTERRUPTED = 130;

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
  const outcome = await runTraining(request, display);
  display.clear();
  if ('failure' in outcome) {
    const { message, category } = outcome.failure;
    return fail({ message: asTyped(message, paths), category });
  }
  const { result } = outcome;
  await write(json ? trainJson(result) : trainText({ ...result, output: output.typed }));
  process.exitCode = result.finished ? EXIT.done : INTERRUPTED;
}

type Outcome = { readonly result: TrainResult } | { readonly failure: FailureMessage };

/** An interrupt asks the training to end after its epoch; a second one, or an order to terminate, ends it at once. */
function runTraining(request: TrainCommand['request'], display: TrainDisplay): Promise<Outcome> {
  return new Promise((resolve) => {
    let interrupts = 0;
    const compute = new ComputeProcess<TrainEvent>(
      join(__dirname, 'compute.js'),
      { kind: 'train', request },
      {
        event: (event) => {
          if (event.kind === 'trained') resolve({ result: event.result });
          else if (event.kind === 'failed') resolve({ failure: event.error });
          else display.show(event);
        },
        log: () => undefined,
        gone: (failure) => {
          if (failure !== null) resolve({ failure: { message: failure, category: 'analysis' } });
        },
      },
    );
    const end = (status: number): void => {
      display.clear();
      compute.kill();
      process.exit(status);
    };
    process.on('SIGINT', () => {
      interrupts++;
      if (interrupts > 1) return end(INTERRUPTED);
      display.note('ends after this epoch; interrupt again to end at once');
      compute.stop();
    });
    process.on('SIGTERM', () => end(143));
    process.on('SIGHUP', () => end(129));
  });
}
