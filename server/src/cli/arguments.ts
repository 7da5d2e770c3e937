import type { AnalysisRequest } from '../../../protocol/analysis';
import { InputError } from '../errors';
import {
  ANALYSIS_OPTIONS,
  DATA_USAGE,
  MEASURE_OPTIONS,
  MEASURE_USAGE,
  NETWORK_USAGE,
  PRECISION_USAGE,
  readAnalysisOptions,
  readMeasureOptions,
  RUNNING_USAGE,
} from './analysis-options';
import { DOCTOR_USAGE, parseDoctor, type DoctorCommand } from './doctor';
import { INSTALL_USAGE, parseInstall, type InstallCommand } from './install-tensorflow';
import { onlyFile, parse, pathOption, Values } from './option-values';
import type { TypedPath } from './paths';
import { parsePrune, PRUNE_USAGE, type PruneCommand } from './prune-arguments';
import { parseRetrain, RETRAIN_USAGE, type RetrainCommand } from './retrain-arguments';
import { parseTrain, TRAIN_USAGE, type TrainCommand } from './train-arguments';

export type Command =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'inspect'; readonly checkpoint: TypedPath; readonly json: boolean; readonly hash: boolean }
  | {
      readonly kind: 'analyze';
      readonly request: AnalysisRequest;
      readonly checkpoint: TypedPath;
      readonly data: TypedPath;
      readonly testData: TypedPath | undefined;
      readonly json: boolean;
      /** Where the HTML report goes. */
      readonly report: TypedPath | undefined;
    }
  | PruneCommand
  | TrainCommand
  | RetrainCommand
  | DoctorCommand
  | InstallCommand;

const USAGE = `Usage: pruning-limit COMMAND [OPTION ...]

How many weights of a trained network can go, and how sure that is.

Commands
  inspect FILE   list layers, shapes, weights, zeros and operators
  analyze FILE   compute the pruning limit from the curvature of the loss
  prune FILE     write a checkpoint with the smallest weights set to zero
  train FILE     train with an L1 penalty, from a checkpoint or from nothing
  retrain FILE   find up to which sparsity pruning can be made good by training
  doctor         what this machine has to run a network with, and what it lacks
  install-tensorflow  install TensorFlow.js, for the provider tfjs

pruning-limit COMMAND --help says more. Exit status: 0 done, 1 analysis failed,
2 bad usage or input.
`;

const INSPECT_USAGE = `Usage: pruning-limit inspect FILE [--json [--hash]]

Lists what a checkpoint holds, without running it: ONNX, PyTorch, safetensors,
Keras, TensorFlow.js.

  --json         one JSON object on standard output
  --hash         with the SHA-256 of every tensor's elements, little-endian and
                 in row-major order
`;

const ANALYZE_USAGE = `Usage: pruning-limit analyze FILE --data PATH [OPTION ...]

Computes the pruning limit of a trained classifier: the largest sparsity at
which magnitude pruning can keep the loss within a tolerance, from the Hessian
(the paper's limit, the headline) and from the Gauss-Newton matrix.

${NETWORK_USAGE}
${DATA_USAGE}
${PRECISION_USAGE}
${MEASURE_USAGE}
${RUNNING_USAGE}
Output
  --json                 one JSON object on standard output, nothing else there
  --report OUT.html      write a report with plots

The bracket of a limit is a 95 % interval. An interrupt (Ctrl-C) ends at once.
`;

const COMMAND_USAGE: Readonly<Record<string, string>> = {
  inspect: INSPECT_USAGE,
  analyze: ANALYZE_USAGE,
  prune: PRUNE_USAGE,
  train: TRAIN_USAGE,
  retrain: RETRAIN_USAGE,
  doctor: DOCTOR_USAGE,
  'install-tensorflow': INSTALL_USAGE,
};

/**
 * The command line as a command.
 *
 * @throws InputError for an unknown command or option, a missing or a bad value
 */
export function parseCommand(argv: readonly string[]): Command {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h') return { kind: 'help', text: USAGE };
  if (name === 'help') return { kind: 'help', text: COMMAND_USAGE[rest[0] ?? ''] ?? USAGE };
  if (name === '--version' || name === '-v') return { kind: 'version' };
  if (name === 'inspect') return parseInspect(rest);
  if (name === 'analyze') return parseAnalyze(rest);
  if (name === 'prune') return parsePrune(rest) ?? { kind: 'help', text: PRUNE_USAGE };
  if (name === 'train') return parseTrain(rest) ?? { kind: 'help', text: TRAIN_USAGE };
  if (name === 'retrain') return parseRetrain(rest) ?? { kind: 'help', text: RETRAIN_USAGE };
  if (name === 'doctor') return parseDoctor(rest) ?? { kind: 'help', text: DOCTOR_USAGE };
  if (name === 'install-tensorflow') return parseInstall(rest) ?? { kind: 'help', text: INSTALL_USAGE };
  throw new InputError(`unknown command: ${name}; see pruning-limit --help`);
}

function parseInspect(argv: readonly string[]): Command {
  const { values, positionals } = parse(argv, 'inspect', { json: { type: 'boolean' }, hash: { type: 'boolean' } });
  if (values['help']) return { kind: 'help', text: INSPECT_USAGE };
  const [json, hash] = [values['json'] === true, values['hash'] === true];
  if (hash && !json) throw new InputError('--hash needs --json; a table has no room for it');
  return { kind: 'inspect', checkpoint: onlyFile(positionals, 'inspect'), json, hash };
}

const ANALYZE_OPTIONS = {
  ...ANALYSIS_OPTIONS,
  ...MEASURE_OPTIONS,
  json: { type: 'boolean' },
  report: { type: 'string' },
} as const;

function parseAnalyze(argv: readonly string[]): Command {
  const { values: parsed, positionals } = parse(argv, 'analyze', ANALYZE_OPTIONS);
  if (parsed['help']) return { kind: 'help', text: ANALYZE_USAGE };
  const values = new Values<keyof typeof ANALYZE_OPTIONS>(parsed);
  const checkpoint = onlyFile(positionals, 'analyze');
  const analysis = readAnalysisOptions(values);
  if (analysis === undefined) {
    throw new InputError(
      'no data: give --data PATH, the samples that define the loss; see pruning-limit analyze --help',
    );
  }
  const measured = readMeasureOptions(values);
  return {
    kind: 'analyze',
    request: {
      checkpoint: checkpoint.absolute,
      options: { ...analysis.options, ...(measured !== undefined && { measure: measured.measure }) },
    },
    checkpoint,
    data: analysis.data,
    testData: measured?.testData,
    json: values.flag('json'),
    report: pathOption(values.text('report'), '--report'),
  };
}
