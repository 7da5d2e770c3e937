/**
 * The listing process: says what is in checkpoints and data sets, one after the
 * other. It may read and unpack gigabytes and be misled by a damaged file;
 * whoever started it lives on.
 */
import { inspectCheckpoint } from './checkpoint/inspect';
import { readFacts } from './dataset/facts';
import { toFailure } from './errors';
import type { ListingAnswer, ListingQuestion } from './jobs/listing-process';

process.on('message', ({ id, path, split }: ListingQuestion) => {
  const found = split === undefined ? inspectCheckpoint(path) : readFacts(path, split);
  void found.then(
    (found) => send({ id, found }),
    (error: unknown) => send({ id, error: toFailure(error) }),
  );
});

// Without its parent nobody wants the answer.
process.once('disconnect', () => process.exit(0));

function send(answer: ListingAnswer): void {
  process.send!(answer);
}
