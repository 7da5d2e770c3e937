import { PROVIDER_CHOICES } from '../../../protocol/analysis';
import { DEFAULT_OPTIONS, parseEpsilon } from '../options';
import type { OptionDefaults } from '../analysis-file';
import type { ServerContext } from './context';

/** The section `pruningLimit` as the manifest declares it. */
interface Settings {
  readonly engine?: { readonly provider?: string; readonly modules?: string; readonly threads?: number };
  readonly budget?: { readonly minutes?: number };
  readonly limit?: { readonly tolerance?: number; readonly epsilon?: string };
  /** 0 takes all. */
  readonly samples?: number;
  readonly memory?: number;
}

/**
 * The user's settings as defaults for what an analysis file leaves open.
 *
 * @throws {InputError} naming the setting that is wrong
 */
export async function optionDefaults(context: ServerContext, uri: string): Promise<OptionDefaults> {
  if (!context.hasConfiguration()) return DEFAULT_OPTIONS;
  const settings = ((await context.connection.workspace.getConfiguration({
    scopeUri: uri,
    section: 'pruningLimit',
  })) ?? {}) as Settings;
  return defaultsFrom(settings);
}

export function defaultsFrom({ engine, budget, limit, samples, memory }: Settings): OptionDefaults {
  return {
    ...DEFAULT_OPTIONS,
    data: {
      ...DEFAULT_OPTIONS.data,
      samples: samples === 0 ? 'all' : atLeast(1, samples, DEFAULT_OPTIONS.data.samples),
    },
    minutes: atLeast(0.01, budget?.minutes, DEFAULT_OPTIONS.minutes),
    tolerance: atLeast(1e-6, limit?.tolerance, DEFAULT_OPTIONS.tolerance),
    epsilon:
      limit?.epsilon === undefined
        ? DEFAULT_OPTIONS.epsilon
        : parseEpsilon(limit.epsilon, 'setting "pruningLimit.limit.epsilon"'),
    provider: PROVIDER_CHOICES.find((choice) => choice === engine?.provider) ?? DEFAULT_OPTIONS.provider,
    ...(engine?.modules && { modules: [engine.modules] }),
    threads: atLeast(0, engine?.threads, DEFAULT_OPTIONS.threads),
    memory: atLeast(0, memory, DEFAULT_OPTIONS.memory),
  };
}

/** The manifest keeps values in range; what a hand-edited file has out of range counts as not given. */
function atLeast(min: number, value: number | undefined, otherwise: number): number {
  return typeof value === 'number' && value >= min ? value : otherwise;
}
