import { join } from 'node:path';
import type { FailureMessage } from '../../../protocol/analysis';
import type { TrainTask } from '../../../protocol/messages';
import type { RetrainEvent } from '../../../protocol/retrain';
import type { TrainEvent } from '../../../protocol/train';
import { ComputeProcess } from '../jobs/compute-process';
import type { TrainDisplay } from './train-display';

/** What an interrupted command says of it, as shells have it. */
export const INTERRUPTED = 130;

type TrainingEvent = TrainEvent | RetrainEvent;
/** The event that ends a job well. */
type Ending = Extract<TrainingEvent, { readonly kind: 'trained' | 'retrained' }>;
type Outcome<E extends Ending> = { readonly result: E['result'] } | { readonly failure: FailureMessage };

/** Runs a training in a compute process. An interrupt asks it to end after its epoch; a second one, or an order to terminate, ends it at once. */
export function runTraining<E extends Ending>(task: TrainTask, display: TrainDisplay): Promise<Outcome<E>> {
  return new Promise((resolve) => {
    let interrupts = 0;
    const compute = new ComputeProcess<TrainingEvent>(join(__dirname, 'compute.js'), task, {
      event: (event) => {
        if (event.kind === 'trained' || event.kind === 'retrained') resolve({ result: event.result as E['result'] });
        else if (event.kind === 'failed') resolve({ failure: event.error });
        else display.show(event);
      },
      log: () => undefined,
      gone: (failure) => {
        if (failure !== null) resolve({ failure: { message: failure, category: 'analysis' } });
      },
    });
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
