import type { FailureMessage } from '../../protocol/analysis';

/**
 * The user's input is wrong: a file, an option, a shape. The message is shown
 * as it is, so it says what, where and what to do next, without a stack trace.
 * Exit status 2.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** A pruned network would be cut in two; whoever wants it all the same has to say so. */
export class DisconnectedError extends InputError {}

/**
 * The analysis could not be done although the input was in order: engine
 * failure, memory, numerical breakdown. Exit status 1.
 */
export class AnalysisError extends Error {
  override readonly name = 'AnalysisError';
}

/** What to do when the machine refuses memory, or ends a process for it. */
export const LESS_MEMORY =
  'lower --samples or --batch, close what else needs memory, or have the analysis stop by itself before that with --memory';

/** How runtimes and the system say that there is none: whatever was to be done with it, its lack is what matters. */
const NO_MEMORY = /\bENOMEM\b|bad_alloc|array buffer allocation failed|cannot allocate memory/i;

/** Any error as one sentence for the user. */
export function toFailure(error: unknown): FailureMessage {
  const text = firstLine(error instanceof Error ? error.message : String(error));
  const message = NO_MEMORY.test(text) ? `memory ran out (${text.split(';', 1)[0]!}); ${LESS_MEMORY}` : text;
  return {
    message,
    category: error instanceof InputError ? 'input' : 'analysis',
    ...(error instanceof DisconnectedError && { reason: 'disconnected' }),
  };
}

function firstLine(message: string): string {
  const line = message.split('\n', 1)[0]!.trim();
  return line === '' ? 'unknown error' : line;
}
