import type { PruneMethod, PruneRequest } from '../../../protocol/prune';
import { InputError } from '../errors';
import {
  ANALYSIS_OPTIONS,
  DATA_USAGE,
  NETWORK_USAGE,
  PRECISION_USAGE,
  readAnalysisOptions,
  RUNNING_USAGE,
} from './analysis-options';
import { choice, onlyFile, parse, pathOption, Values } from './option-values';
import type { TypedPath } from './paths';

export interface PruneCommand {
  readonly kind: 'prune';
  /** Without the analysis that `result` names. */
  readonly request: PruneRequest;
  readonly checkpoint: TypedPath;
  readonly output: TypedPath;
  readonly mask: TypedPath | undefined;
  readonly data: TypedPath | undefined;
  /** A saved analysis. */
  readonly result: TypedPath | undefined;
  readonly json: boolean;
}

export const PRUNE_USAGE = `Usage: pruning-limit prune FILE (--at-limit | --sparsity S) -o OUT [OPTION ...]

Sets weights of a checkpoint to zero, once, the smallest of a layer first, and
writes the checkpoint in its own format with everything else as it was.

How many
  --at-limit             as many as the headline limit allows
  --sparsity S           this fraction of all prunable weights, 0 to 1
  --result FILE.json     what analyze --json wrote; without it the limit is
                         computed from --data

Which
  --method METHOD        global    the smallest of the whole network (default)
                         uniform   the same fraction of every layer
                         erk       Erdos-Renyi kernel: small layers keep more
                         layers    every layer to its own limit, by its share
                                   of the curvature (--data or --result)
  --allow-disconnected   also where that empties a layer, or leaves no path of
                         weights from the input to the output

Output
  -o, --output OUT       the pruned checkpoint; the original is never replaced.
                         OUT.onnx exports a network of any format to ONNX
  --sparse               zeros take no room in OUT.onnx: its weights become
                         sparse initializers where that makes them smaller
  --mask OUT.npz         which weights stay: an array of booleans per tensor
  --force                replace files that are there already
  --json                 one JSON object on standard output, nothing else there

${NETWORK_USAGE}
With data, loss and accuracy before and after are measured.
${DATA_USAGE}
${PRECISION_USAGE}
${RUNNING_USAGE}`;

const METHODS: readonly PruneMethod[] = ['global', 'uniform', 'erk', 'layers'];

const PRUNE_OPTIONS = {
  ...ANALYSIS_OPTIONS,
  'at-limit': { type: 'boolean' },
  sparsity: { type: 'string' },
  result: { type: 'string' },
  method: { type: 'string' },
  'allow-disconnected': { type: 'boolean' },
  output: { type: 'string', short: 'o' },
  mask: { type: 'string' },
  sparse: { type: 'boolean' },
  force: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

/**
 * @returns undefined when help was asked for
 * @throws InputError for an unknown option, a missing or a bad value
 */
export function parsePrune(argv: readonly string[]): PruneCommand | undefined {
  const { values: parsed, positionals } = parse(argv, 'prune', PRUNE_OPTIONS);
  if (parsed['help']) return undefined;
  const values = new Values<keyof typeof PRUNE_OPTIONS>(parsed);
  const checkpoint = onlyFile(positionals, 'prune');
  const atLimit = values.flag('at-limit');
  if (atLimit === (values.text('sparsity') !== undefined)) {
    throw new InputError(
      `${atLimit ? 'both --at-limit and --sparsity' : 'no sparsity'}: give either --at-limit or --sparsity S; see pruning-limit prune --help`,
    );
  }
  const output = pathOption(values.text('output'), '--output');
  if (output === undefined) {
    throw new InputError('no output: give -o OUT, where the pruned checkpoint goes; see pruning-limit prune --help');
  }
  const mask = pathOption(values.text('mask'), '--mask');
  const analysis = readAnalysisOptions(values);
  const architecture = values.text('architecture');
  const graph = pathOption(values.text('graph'), '--graph');
  return {
    kind: 'prune',
    request: {
      checkpoint: checkpoint.absolute,
      output: output.absolute,
      ...(architecture !== undefined && { architecture }),
      ...(graph !== undefined && { graph: graph.absolute }),
      ...(mask !== undefined && { mask: mask.absolute }),
      target: atLimit ? { kind: 'limit' } : { kind: 'sparsity', sparsity: values.number('sparsity', 0, 0, 1) },
      method: choice(values.text('method'), '--method', METHODS, 'global'),
      allowDisconnected: values.flag('allow-disconnected'),
      sparse: values.flag('sparse'),
      overwrite: values.flag('force'),
      ...(analysis !== undefined && { options: analysis.options }),
    },
    checkpoint,
    output,
    mask,
    data: analysis?.data,
    result: pathOption(values.text('result'), '--result'),
    json: values.flag('json'),
  };
}
