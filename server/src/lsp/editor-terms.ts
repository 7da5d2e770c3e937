import type { FailureMessage } from '../../../protocol/analysis';
import type { JobEvent } from '../../../protocol/messages';

/** Options that are entries of `pruning-limit.json`. */
const ENTRIES = new Set(
  'architecture graph split scale normalize layout resize crop samples epsilon curvature l1 steps tolerance minutes measure batch seed'.split(
    ' ',
  ),
);
/** Options that are settings. */
const SETTINGS = new Map([
  ['memory', 'the setting "pruningLimit.memory"'],
  ['threads', 'the setting "pruningLimit.engine.threads"'],
  ['provider', 'the setting "pruningLimit.engine.provider"'],
]);

/** A message of the analysis, which names options of the command line, with what they are called in the editor. */
export function inEditorTerms(message: string): string {
  return message.replace(/(?<![\w-])--([a-z0-9]+)\b(?!-)/g, (option, name: string) =>
    ENTRIES.has(name) ? `"${name}"` : (SETTINGS.get(name) ?? option),
  );
}

export function failureInEditorTerms(error: FailureMessage): FailureMessage {
  return { ...error, message: inEditorTerms(error.message) };
}

/** An event of a job with its messages in the editor's terms. */
export function eventInEditorTerms<E extends JobEvent['event']>(event: E): E {
  if (event.kind === 'failed') return { ...event, error: failureInEditorTerms(event.error) };
  if (event.kind !== 'partial' && event.kind !== 'done') return event;
  const warnings = event.result.warnings.map((warning) => ({ ...warning, message: inEditorTerms(warning.message) }));
  return { ...event, result: { ...event.result, warnings } };
}
