/**
 * The compute process: one job, then it ends. It may block, use all the
 * memory it was granted, and crash; whoever started it kills it to cancel.
 */
import type { FromCompute, ToCompute } from '../../protocol/messages';
import { analyze } from './analysis/analyze';
import { toFailure } from './errors';
import { prune } from './prune/prune';

process.once('message', (message: ToCompute) => {
  void run(message);
});

// Without its parent nobody wants the answer.
process.once('disconnect', () => process.exit(0));

// Ctrl-C in a terminal goes to every process there; whoever started this one decides.
process.on('SIGINT', () => undefined);

async function run(task: ToCompute): Promise<void> {
  try {
    if (task.kind === 'analyze') await analyze(task.request, send);
    else await send({ kind: 'pruned', result: await prune(task.request, send) });
  } catch (error) {
    await send({ kind: 'failed', error: toFailure(error) });
  }
  process.disconnect();
}

/** Resolves when the message has left the process: a session blocks the event loop, and nothing would be sent. */
function send(event: FromCompute): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(event, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
  });
}
