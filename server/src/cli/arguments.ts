import { parseArgs, type ParseArgsConfig } from 'node:util';
import type { AnalysisOptions, AnalysisRequest, DataOptions } from '../../../protocol/analysis';
import { InputError } from '../errors';
import { DEFAULT_OPTIONS, parseEpsilon } from '../options';
import { typedPath, type TypedPath } from './paths';

export type Command =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'inspect'; readonly checkpoint: TypedPath; readonly json: boolean }
  | {
      readonly kind: 'analyze';
      readonly request: AnalysisRequest;
      readonly checkpoint: TypedPath;
      readonly data: TypedPath;
      readonly json: boolean;
      /** Where the HTML report goes. */
      readonly report: TypedPath | undefined;
    };

const USAGE = `Usage: pruning-limit COMMAND [OPTION ...]

How many weights of a trained network can go, and how sure that is.

Commands
  inspect FILE   list layers, shapes, weights, zeros and operators
  analyze FILE   compute the pruning limit from the curvature of the loss

pruning-limit COMMAND --help says more. Exit status: 0 done, 1 analysis failed,
2 bad usage or input.
`;

const INSPECT_USAGE = `Usage: pruning-limit inspect FILE [--json]

Lists what a checkpoint holds, without running it.

  --json         one JSON object on standard output
`;

const ANALYZE_USAGE = `Usage: pruning-limit analyze FILE --data PATH [OPTION ...]

Computes the pruning limit of a trained classifier: the largest sparsity at
which magnitude pruning can keep the loss within a tolerance, from the Hessian
(the paper's limit, the headline) and from the Gauss-Newton matrix.

Data
  --data PATH            a file or a folder: idx, CIFAR binary, .npy, .npz, CSV
  --split test|train     which part of it (default test)
  --scale 1|255          divide raw values by this (default 255)
  --normalize "M;S"      then subtract means and divide by deviations, one each
                         or one per channel: ".49,.48,.45;.25,.24,.26"
  --layout nchw|nhwc     of the network's input (default: as the network says)
  --samples N|all        how many, stratified by class (default 2000)

Precision
  --tolerance X          wished width of the limit's bracket (default 0.01,
                         which is one point)
  --steps N              most Lanczos steps per operator (default 256); 0 only
                         evaluates loss and accuracy
  --minutes N            time budget (default 10)
  --curvature KIND       both, hessian or ggn (default both)
  --epsilon RULE         loss tolerance: batch-std, the deviation of the loss
                         over mini-batches (default), abs:X in nats, or rel:X,
                         a multiple of the loss
  --l1 MU                coefficient of an L1 penalty it was trained with

Running
  --batch N              samples per run of the engine (default 128)
  --threads N            default: as many as the engine likes
  --memory N             most MiB of memory (default: 70 % of the machine's)
  --seed N               of samples and probes (default 1)

Output
  --json                 one JSON object on standard output, nothing else there
  --report OUT.html      write a report with plots

The bracket of a limit is a 95 % interval. An interrupt (Ctrl-C) ends at once.
`;

/**
 * The command line as a command.
 *
 * @throws InputError for an unknown command or option, a missing or a bad value
 */
export function parseCommand(argv: readonly string[]): Command {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h') return { kind: 'help', text: USAGE };
  if (name === 'help') return { kind: 'help', text: usageOf(rest[0]) };
  if (name === '--version' || name === '-v') return { kind: 'version' };
  if (name === 'inspect') return parseInspect(rest);
  if (name === 'analyze') return parseAnalyze(rest);
  throw new InputError(`unknown command: ${name}; see pruning-limit --help`);
}

function usageOf(command: string | undefined): string {
  return command === 'analyze' ? ANALYZE_USAGE : command === 'inspect' ? INSPECT_USAGE : USAGE;
}

function parseInspect(argv: readonly string[]): Command {
  const { values, positionals } = parse(argv, 'inspect', { json: { type: 'boolean' } });
  if (values.help) return { kind: 'help', text: INSPECT_USAGE };
  return { kind: 'inspect', checkpoint: onlyFile(positionals, 'inspect'), json: values.json === true };
}

const ANALYZE_OPTIONS = {
  data: { type: 'string' },
  split: { type: 'string' },
  scale: { type: 'string' },
  normalize: { type: 'string' },
  layout: { type: 'string' },
  samples: { type: 'string' },
  batch: { type: 'string' },
  steps: { type: 'string' },
  tolerance: { type: 'string' },
  minutes: { type: 'string' },
  epsilon: { type: 'string' },
  curvature: { type: 'string' },
  l1: { type: 'string' },
  threads: { type: 'string' },
  memory: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'boolean' },
  report: { type: 'string' },
} as const;

function parseAnalyze(argv: readonly string[]): Command {
  const { values, positionals } = parse(argv, 'analyze', ANALYZE_OPTIONS);
  if (values.help) return { kind: 'help', text: ANALYZE_USAGE };
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const number = (name: keyof typeof ANALYZE_OPTIONS, fallback: number, low: number, high = Infinity): number =>
    toNumber(text(name), `--${name}`, fallback, low, high);
  const integer = (name: keyof typeof ANALYZE_OPTIONS, fallback: number, low: number, high = LARGEST): number => {
    const value = number(name, fallback, low, high);
    if (!Number.isInteger(value)) throw new InputError(`--${name} takes a whole number, not ${text(name)}`);
    return value;
  };
  const checkpoint = onlyFile(positionals, 'analyze');
  const data = pathOption(text('data'), '--data');
  if (data === undefined) {
    throw new InputError(
      'no data: give --data PATH, the samples that define the loss; see pruning-limit analyze --help',
    );
  }
  const normalize = text('normalize');
  const layout = choice(text('layout'), '--layout', ['nchw', 'nhwc'], undefined);
  const dataOptions: DataOptions = {
    path: data.absolute,
    split: choice(text('split'), '--split', ['test', 'train'], DEFAULT_OPTIONS.data.split),
    scale: number('scale', DEFAULT_OPTIONS.data.scale, Number.MIN_VALUE),
    samples: text('samples') === 'all' ? 'all' : integer('samples', DEFAULT_OPTIONS.data.samples, 1),
    ...(normalize !== undefined && { normalize: parseNormalize(normalize) }),
    ...(layout !== undefined && { layout }),
  };
  const options: AnalysisOptions = {
    data: dataOptions,
    batch: integer('batch', DEFAULT_OPTIONS.batch, 1, 65_536),
    steps: integer('steps', DEFAULT_OPTIONS.steps, 0, 100_000),
    tolerance: number('tolerance', DEFAULT_OPTIONS.tolerance, 1e-6, 1),
    minutes: number('minutes', DEFAULT_OPTIONS.minutes, 0.001),
    epsilon: parseEpsilon(text('epsilon') ?? 'batch-std', '--epsilon'),
    curvature: choice(text('curvature'), '--curvature', ['both', 'hessian', 'ggn'], DEFAULT_OPTIONS.curvature),
    l1: number('l1', DEFAULT_OPTIONS.l1, 0),
    threads: integer('threads', DEFAULT_OPTIONS.threads, 0, 1024),
    memory: integer('memory', DEFAULT_OPTIONS.memory, 0),
    seed: integer('seed', DEFAULT_OPTIONS.seed, 0, 2 ** 32 - 1),
  };
  return {
    kind: 'analyze',
    request: { checkpoint: checkpoint.absolute, options },
    checkpoint,
    data,
    json: values.json === true,
    report: pathOption(text('report'), '--report'),
  };
}

/** Of counts that have no other bound. */
const LARGEST = Number.MAX_SAFE_INTEGER;

interface Parsed {
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

function parse(argv: readonly string[], command: string, options: NonNullable<ParseArgsConfig['options']>): Parsed {
  try {
    return parseArgs({
      args: [...argv],
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new InputError(`${usageProblem(error as Error)}; see pruning-limit ${command} --help`);
  }
}

/** What `parseArgs` says, in our words: its own are several sentences, and differ between versions. */
function usageProblem({ message }: Error): string {
  const [, option] = /'(?:-\w, )?(--?[^' ]+)/.exec(message) ?? [];
  if (option === undefined) return message.split('\n', 1)[0]!;
  if (message.startsWith('Unknown option')) return `unknown option: ${option}`;
  return message.includes('does not take an argument') ? `${option} takes no value` : `${option} needs a value`;
}

function onlyFile(positionals: readonly string[], command: string): TypedPath {
  const [file, ...more] = positionals;
  if (file !== undefined && file !== '' && more.length === 0) return typedPath(file);
  const problem = more.length === 0 ? 'no checkpoint' : `more than one checkpoint: ${positionals.join(', ')}`;
  throw new InputError(`${problem}; the usage is pruning-limit ${command} FILE`);
}

function pathOption(text: string | undefined, name: string): TypedPath | undefined {
  if (text === '') throw new InputError(`${name} takes a path, not an empty text`);
  return text === undefined ? undefined : typedPath(text);
}

function toNumber(text: string | undefined, name: string, fallback: number, low: number, high: number): number {
  if (text === undefined) return fallback;
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new InputError(`${name} takes a number, not ${JSON.stringify(text)}`);
  if (value < low || value > high) {
    const range = high < LARGEST ? `${low} to ${high}` : low === Number.MIN_VALUE ? 'above 0' : `${low} or more`;
    throw new InputError(`${name} out of range: ${text}; give ${range}`);
  }
  return value;
}

function choice<T extends string, F extends T | undefined>(
  text: string | undefined,
  name: string,
  allowed: readonly T[],
  fallback: F,
): T | F {
  if (text === undefined) return fallback;
  if ((allowed as readonly string[]).includes(text)) return text as T;
  throw new InputError(`${name} is one of ${allowed.join(', ')}, not ${JSON.stringify(text)}`);
}

/** "m,m,m;s,s,s" */
function parseNormalize(text: string): NonNullable<DataOptions['normalize']> {
  const parts = text.split(';').map((part) => part.split(',').map((item) => (item.trim() === '' ? NaN : Number(item))));
  const [mean, deviation] = parts;
  const valid =
    parts.length === 2 &&
    mean!.length === deviation!.length &&
    [...mean!, ...deviation!].every(Number.isFinite) &&
    deviation!.every((s) => s > 0);
  if (!valid) {
    throw new InputError(
      `--normalize takes as many means as positive deviations, such as "0.5,0.5,0.5;0.2,0.2,0.2", not ${JSON.stringify(text)}`,
    );
  }
  return { mean: mean!, deviation: deviation! };
}
