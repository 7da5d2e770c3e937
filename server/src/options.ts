import type { AnalysisOptions, DataOptions, EpsilonRule, MeasureOptions } from '../../protocol/analysis';
import { InputError } from './errors';

/**
 * What an analysis does when nobody says otherwise. The editor's settings and
 * the command line's options repeat these values in their descriptions, and
 * `options.test.ts` holds the manifest to them.
 */
export const DEFAULT_OPTIONS = {
  data: { split: 'test', scale: 255, samples: 2000 },
  batch: 128,
  steps: 256,
  tolerance: 0.01,
  minutes: 10,
  epsilon: { kind: 'batch-std' },
  curvature: 'both',
  l1: 0,
  provider: 'auto',
  threads: 0,
  memory: 0,
  seed: 1,
} as const satisfies Omit<AnalysisOptions, 'data'> & { data: Omit<DataOptions, 'path'> };

/** What the measured curve is measured on when nobody says otherwise. */
export const DEFAULT_MEASURE = { on: 'both', samples: 10_000 } as const satisfies MeasureOptions;

/**
 * A tolerance as the user writes it: `batch-std`, a loss difference in nats
 * (`abs:0.01`, or the number itself), or a multiple of the dense loss
 * (`rel:0.05`).
 *
 * @param where names the option or property
 * @throws {InputError} for anything else
 */
export function parseEpsilon(text: string | number, where: string): EpsilonRule {
  if (text === 'batch-std') return { kind: 'batch-std' };
  const match = /^(abs|rel):(.+)$/.exec(typeof text === 'number' ? `abs:${text}` : text);
  const value = match === null ? NaN : Number(match[2]);
  if (match === null || !(value > 0 && Number.isFinite(value))) {
    throw new InputError(`${where} takes batch-std, abs:X or rel:X with X above 0, not ${JSON.stringify(text)}`);
  }
  return { kind: match[1] === 'abs' ? 'absolute' : 'relative', value };
}
