import type { RetrainRequest } from '../../../protocol/retrain';
import { parseEpsilon } from '../options';
import { onlyFile, parse, Values } from './option-values';
import type { TypedPath } from './paths';
import {
  readTraining,
  TRAIN_DEFAULTS,
  TRAINING_DATA_USAGE,
  TRAINING_OPTIONS,
  TRAINING_RUNNING_USAGE,
} from './train-arguments';

export interface RetrainCommand {
  readonly kind: 'retrain';
  readonly request: RetrainRequest;
  /** Paths as they were typed, for messages. */
  readonly paths: readonly TypedPath[];
  readonly checkpoint: TypedPath;
  readonly output: TypedPath;
  readonly json: boolean;
}

/** What the search does when nobody says otherwise. */
const RETRAIN_DEFAULTS = { epochs: 10, rate: 0.1, seeds: 1, tolerance: 0.005 } as const;

export const RETRAIN_USAGE = `Usage: pruning-limit retrain FILE --data PATH -o OUT.onnx [OPTION ...]

Finds the retrained limit of a trained classifier: the largest sparsity at which
the network, pruned by global magnitude and then trained with the mask fixed,
comes back to its loss. It has come back when after some epoch the mean loss
over all training samples is at most that of the dense network plus epsilon.

${TRAINING_DATA_USAGE}
What counts
  --epsilon RULE         loss tolerance: batch-std, the deviation of the loss
                         over mini-batches (default), abs:X in nats, or rel:X,
                         a multiple of the loss
  --epochs N             how many it has, at most (default ${RETRAIN_DEFAULTS.epochs})
  --tolerance X          wished width of the bracket (default ${RETRAIN_DEFAULTS.tolerance})
  --seeds N              search with so many orders of the samples, from --seed
                         on (default ${RETRAIN_DEFAULTS.seeds}); the interval has all their brackets

Training
  --rate X               learning rate (default ${RETRAIN_DEFAULTS.rate}), at whose schedule a trial is
                         when it comes back
  --batch N, --schedule KIND, --milestones, --factor, --warmup, --momentum,
  --weight-decay, --l1, --l1-mode
                         as of pruning-limit train (batch ${TRAIN_DEFAULTS.batch}, cosine, momentum ${TRAIN_DEFAULTS.momentum})

Output
  -o, --output OUT.onnx  the sparsest network that came back; OUT.onnx.trials
                         beside it, until the end, is what --resume needs
  --resume               go on from there, or begin
  --force                replace what is there
  --json                 one JSON object on standard output, nothing else there

${TRAINING_RUNNING_USAGE}
An interrupt (Ctrl-C) ends after the epoch in progress, a second one at once.
`;

const OPTIONS = {
  ...TRAINING_OPTIONS,
  epsilon: { type: 'string' },
  tolerance: { type: 'string' },
  seeds: { type: 'string' },
} as const;

/**
 * @returns undefined when help was asked for
 * @throws InputError for an unknown option, a missing or a bad value
 */
export function parseRetrain(argv: readonly string[]): RetrainCommand | undefined {
  const parsed = parse(argv, 'retrain', OPTIONS);
  if (parsed.values['help']) return undefined;
  const values = new Values<keyof typeof OPTIONS>(parsed.values);
  const checkpoint = onlyFile(parsed.positionals, 'retrain');
  const { options: training, data, output } = readTraining(values, 'retrain', RETRAIN_DEFAULTS);
  const request: RetrainRequest = {
    checkpoint: checkpoint.absolute,
    output: output.absolute,
    resume: values.flag('resume'),
    overwrite: values.flag('force'),
    options: {
      training,
      epsilon: parseEpsilon(values.text('epsilon') ?? 'batch-std', '--epsilon'),
      seeds: values.integer('seeds', RETRAIN_DEFAULTS.seeds, 1, 100),
      tolerance: values.number('tolerance', RETRAIN_DEFAULTS.tolerance, 0, 1),
    },
  };
  return { kind: 'retrain', request, paths: [checkpoint, output, data], checkpoint, output, json: values.flag('json') };
}
