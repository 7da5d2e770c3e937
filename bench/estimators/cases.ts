import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AnalysisOptions } from '../../protocol/analysis';
import type { Engine } from '../../server/src/engine/engine';
import { FC_L1, trainFc } from '../../test/models/fc';
import { projectRoot, sharedData } from '../../test/outside';

export interface Case {
  readonly title: string;
  readonly checkpoint: (engine: Engine) => Promise<string>;
  readonly data: string;
  readonly options: Partial<AnalysisOptions>;
  readonly samples: number;
  readonly normalize?: NonNullable<AnalysisOptions['data']['normalize']>;
}

const fc = (title: string, l1: number, samples: number): Case => ({
  title,
  checkpoint: async (engine) => {
    const folder = join(projectRoot(), 'out/estimators', l1 > 0 ? 'fc-l1' : 'fc');
    const file = join(folder, 'network.onnx');
    mkdirSync(folder, { recursive: true });
    if (!existsSync(file)) writeFileSync(file, await trainFc(engine, shared('datasets/mnist'), undefined, l1));
    return file;
  },
  data: 'datasets/mnist',
  options: { batch: 500 },
  samples,
});

const resnet20 = (samples: number): Case => ({
  title: `ResNet-20, ${samples} samples`,
  checkpoint: () => Promise.resolve(shared('checkpoints/pytorch/akamaster/resnet20-12fca82f.th')),
  data: 'datasets/cifar10',
  options: { batch: 64 },
  samples,
  normalize: { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] },
});

/** Those of few samples are for the comparison of estimators; the others are what the limits are wanted of. */
export const CASES: Readonly<Record<string, Case>> = {
  'fc-l1': fc('FC with L1', FC_L1, 10_000),
  fc: fc('FC without L1', 0, 10_000),
  resnet20: resnet20(512),
  'fc-l1-1000': fc('FC with L1, 1,000 samples', FC_L1, 1000),
  'resnet20-64': resnet20(64),
};

export function shared(path: string): string {
  const root = sharedData();
  if (root === undefined) throw new Error('no test data: ../shared/data is missing beside the project');
  return join(root, path);
}
