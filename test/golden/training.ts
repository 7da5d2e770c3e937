import { createHash } from 'node:crypto';
import { importForTraining } from '../../server/src/checkpoint/onnx/classifier';
import { decodeModel } from '../../server/src/checkpoint/onnx/reader';
import type { TrainingModel } from '../../server/src/graph/model';
import { freshNetwork } from '../../server/src/lomp/architectures/architectures';
import { Random } from '../../server/src/random';
import { bytesOf } from './cases';
import type { VectorSummary } from './golden';

/** Networks in training whose gradient and first step are known from PyTorch. Made up from seeds, so that they run everywhere. */
export interface TrainingCase {
  /** The golden file is `train-NAME.json`. */
  readonly name: string;
  readonly architecture: string;
  readonly sample: readonly number[];
  readonly batch: number;
  /**
   * ‖error‖/‖vector‖ allowed: of the engine in float32, or, for a network small
   * enough, of the graph interpreted in float64, which shows the formulas right
   * where rounding hides them. Measured: 3·10⁻⁷ and, for ResNet-20, 1.0·10⁻⁶,
   * where PyTorch's own float32 is 1.1·10⁻⁶ from its float64.
   */
  readonly tolerance: number;
  readonly interpreted?: boolean;
}

export const CLASSES = 10;

export const trainingCases: readonly TrainingCase[] = [
  { name: 'fc5', architecture: 'fc5', sample: [3, 32, 32], batch: 8, tolerance: 1e-6 },
  { name: 'lenet', architecture: 'lenet', sample: [1, 28, 28], batch: 4, tolerance: 1e-6 },
  { name: 'resnet20', architecture: 'resnet20', sample: [3, 32, 32], batch: 4, tolerance: 2e-6 },
  {
    name: 'resnet20-small',
    architecture: 'resnet20',
    sample: [3, 8, 8],
    batch: 4,
    tolerance: 1e-9,
    interpreted: true,
  },
];

/** Of the one step. */
export const STEP = { rate: 0.1, momentum: 0.9, weightDecay: 5e-4, l1: 1e-4 } as const;

/** Batches among which `make_training_goldens.py` takes the first without a ReLU at its kink. */
export const CANDIDATES = 60;

export interface TrainingGolden {
  /** Which candidate was taken. */
  readonly candidate: number;
  readonly fingerprint: string;
  readonly loss: number;
  /** Names and lengths of the tensors that each summary strings together. */
  readonly parameters: readonly (readonly [string, number])[];
  readonly statistics: readonly (readonly [string, number])[];
  readonly indices: { readonly parameters: readonly number[]; readonly statistics: readonly number[] };
  readonly gradient: VectorSummary;
  /** After one step. */
  readonly weights: VectorSummary;
  readonly velocities: VectorSummary;
  /** Running means and variances after one step; null where nothing is normalised. */
  readonly running: VectorSummary | null;
}

export function trainingModel({ architecture, sample, batch }: TrainingCase): TrainingModel {
  return importForTraining(decodeModel(freshNetwork(architecture, sample, CLASSES, 1), architecture), { batch });
}

export interface TrainingBatch {
  readonly inputs: Float32Array;
  readonly labels: Int32Array;
}

export function trainingBatch({ name, sample, batch }: TrainingCase, candidate: number): TrainingBatch {
  const random = Random.stream(candidate, `golden batch of ${name}`);
  const count = sample.reduce((product, size) => product * size, batch);
  const inputs = Float32Array.from({ length: count }, () => 2 * random.uniform() - 1);
  return { inputs, labels: Int32Array.from({ length: batch }, () => random.below(CLASSES)) };
}

/** SHA-256 over weights and batch: goldens of others are not to be compared. */
export function trainingFingerprint(model: TrainingModel, { inputs, labels }: TrainingBatch): string {
  const hash = createHash('sha256');
  for (const { value } of model.parameters.values()) hash.update(bytesOf(value));
  return hash.update(bytesOf(inputs)).update(bytesOf(labels)).digest('hex');
}
