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

/** Any error as one sentence for the user. */
export function toFailure(error: unknown): FailureMessage {
  const message = error instanceof Error ? error.message : String(error);
  return {
    message: firstLine(message),
    category: error instanceof InputError ? 'input' : 'analysis',
    ...(error instanceof DisconnectedError && { reason: 'disconnected' }),
  };
}

function firstLine(message: string): string {
  const line = message.split('\n', 1)[0]!.trim();
  return line === '' ? 'unknown error' : line;
}
