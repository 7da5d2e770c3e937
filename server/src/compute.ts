/**
 * The compute process: one job, then it ends. It may block, use all the
 * memory it was granted, and crash; whoever started it kills it to cancel.
 */
import { join } from 'node:path';
import type { DoctorEvent, DoctorTask } from '../../protocol/doctor';
import type { FromCompute, Interrupt, JournalPlace, ToCompute, TrainTask } from '../../protocol/messages';
import type { RetrainEvent } from '../../protocol/retrain';
import type { TrainEvent } from '../../protocol/train';
import { analyze, LOCAL_ENGINES } from './analysis/analyze';
import { NO_JOURNAL, type Journal } from './analysis/journal';
import { examine } from './doctor/examine';
import { remoteEngines } from './engine/remote';
import { toFailure } from './errors';
import { JournalFile } from './files/journal-file';
import { retrain } from './lomp/retrain';
import { train } from './lomp/train';
import { prune } from './prune/prune';

/** Whatever is not the CPU may take its process along. */
const engines = { ...LOCAL_ENGINES, accelerated: remoteEngines(join(__dirname, 'engine-process.js')) };

let stopping = false;

process.on('message', (message: ToCompute | TrainTask | DoctorTask | Interrupt) => {
  if (message.kind === 'stop') stopping = true;
  else void run(message);
});

// Without its parent nobody wants the answer.
process.once('disconnect', () => process.exit(0));

// Ctrl-C in a terminal goes to every process there; whoever started this one decides.
process.on('SIGINT', () => undefined);

async function run(task: ToCompute | TrainTask | DoctorTask): Promise<void> {
  try {
    if (task.kind === 'analyze') await analyze(task.request, send, openJournal(task.journal) ?? NO_JOURNAL, engines);
    else if (task.kind === 'prune') await send({ kind: 'pruned', result: await prune(task.request, send) });
    else if (task.kind === 'doctor') await send({ kind: 'examined', report: await examine(task.request, __dirname) });
    else if (task.kind === 'train') await train(task.request, send, () => stopping);
    else await retrain(task.request, send, () => stopping);
  } catch (error) {
    await send({ kind: 'failed', error: toFailure(error) });
  }
  process.disconnect();
}

/** What cannot be kept is only missed when this process is killed. */
function openJournal(place: JournalPlace | undefined): Journal | null {
  if (!place) return null;
  const { path, key } = place;
  return JournalFile.open(path, key, (reason) => {
    console.error(`journal not written (${reason}): an interrupted analysis will begin again`);
  });
}

/** Resolves when the message has left the process: a session blocks the event loop, and nothing would be sent. */
function send(event: FromCompute | TrainEvent | RetrainEvent | DoctorEvent): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(event, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
  });
}
