import { join } from 'node:path';
import type { AnalysisResult, CurvatureKind, Provider } from '../../protocol/analysis';
import { analyze } from '../../server/src/analysis/analyze';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { sharedData, withoutSharedData } from '../outside';
import type { ConformanceCase } from './suite';

/** Steps and samples that a GPU in software can do in minutes. */
const [STEPS, SAMPLES] = [8, 4];
/** Of the bracket's width: its ends may move by what each engine rounds, which is measured and counted in. */
const TOLERANCE = 0.5;

const data = join(sharedData() ?? '', 'datasets/cifar10');
const checkpoint = join(sharedData() ?? '', 'checkpoints/pytorch/akamaster/resnet20-12fca82f.th');

async function limit(provider: Provider, curvature: CurvatureKind): Promise<AnalysisResult['limits'][number]> {
  const result = await analyze(
    {
      checkpoint,
      options: {
        ...DEFAULT_OPTIONS,
        data: {
          ...DEFAULT_OPTIONS.data,
          path: data,
          normalize: { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] },
          samples: SAMPLES,
        },
        curvature,
        provider,
        batch: SAMPLES,
        steps: STEPS,
        // Both do all steps.
        tolerance: 1e-6,
        // However slow the device is.
        minutes: 24 * 60,
      },
    },
    () => undefined,
  );
  if (result.engine.provider !== provider) throw new Error(`${provider} was left: ${result.engine.reason}`);
  const found = result.limits.find(({ operator }) => operator === curvature)!;
  if (found.curvature.steps !== STEPS) throw new Error(`${provider} ended at step ${found.curvature.steps}`);
  return found;
}

/** How far the limit of a real checkpoint is from the CPU's, as a share of the CPU's bracket. */
export const limitCases: readonly ConformanceCase[] = (['ggn', 'hessian'] as const).map((curvature) => ({
  section: 'limits',
  name: `ResNet-20, ${curvature}, ${SAMPLES} samples, ${STEPS} steps`,
  skip: withoutSharedData(),
  weight: 3,
  tolerance: TOLERANCE,
  error: async (engine) => {
    const expected = await limit('cpu', curvature);
    const actual = await limit(engine.description.provider as Provider, curvature);
    const [from, to] = expected.bracket;
    const ends = expected.bracket.map((end, i) => Math.abs(end - actual.bracket[i]!));
    return Math.max(Math.abs(actual.sparsity - expected.sparsity), ...ends) / (to - from);
  },
}));
