import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { edited } from './sample';

/** The embedded sample in a folder that a test may write to. */
export interface Workspace {
  readonly folder: string;
  readonly checkpoint: string;
  /** Writes the sample's analysis file; `more` and `data` change its one entry. */
  configure(more?: object, data?: object): void;
  remove(): void;
}

/** A layer of the sample, by whose name it is found again. */
export const WEAK_LAYER = 'conv3.weight';

/** Deep enough to be caught in the middle. */
export const SLOW = { steps: 4000, tolerance: 1e-6, minutes: 30 };

export function sampleWorkspace(): Workspace {
  const root = mkdtempSync(join(tmpdir(), 'pruning-limit-workspace-'));
  const folder = join(root, 'digits');
  const checkpoint = join(folder, 'models', 'digits.onnx');
  const { analyses } = JSON.parse(readFileSync(resolve('samples/pruning-limit.json'), 'utf8')) as {
    analyses: [{ data: object }];
  };
  const [sample] = analyses;
  mkdirSync(join(folder, 'models'), { recursive: true });
  copyFileSync(resolve('samples/digits.onnx'), checkpoint);
  writeFileSync(join(folder, 'models', 'weak.onnx'), weakened(readFileSync(checkpoint)));
  cpSync(resolve('samples/data'), join(folder, 'data'), { recursive: true });
  return {
    folder,
    checkpoint,
    configure(more = {}, data = {}) {
      const entry = {
        ...sample,
        checkpoint: 'models/*.onnx',
        data: { ...sample.data, path: 'data', ...data },
        ...more,
      };
      writeFileSync(join(folder, 'pruning-limit.json'), JSON.stringify({ analyses: [entry] }, null, 2));
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** The sample with one layer far smaller than the others, so that nothing of it is left at the limit. */
function weakened(sample: Uint8Array): Uint8Array {
  return edited(sample, (name, values) => {
    if (name === WEAK_LAYER) values.forEach((value, i) => (values[i] = value / 1000));
  });
}
