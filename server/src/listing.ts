/**
 * The listing process: says what is in checkpoints, one after the other. It may
 * read gigabytes and be misled by a damaged file; whoever started it lives on.
 */
import { inspectCheckpoint } from './checkpoint/inspect';
import { toFailure } from './errors';
import type { ListingAnswer, ListingQuestion } from './jobs/listing-process';

process.on('message', ({ id, path }: ListingQuestion) => {
  void inspectCheckpoint(path).then(
    (summary) => send({ id, summary }),
    (error: unknown) => send({ id, error: toFailure(error) }),
  );
});

// Without its parent nobody wants the answer.
process.once('disconnect', () => process.exit(0));

function send(answer: ListingAnswer): void {
  process.send!(answer);
}
