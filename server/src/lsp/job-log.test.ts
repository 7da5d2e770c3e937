import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sampleResult } from '../../../test/results';
import { DEFAULT_OPTIONS } from '../options';
import { JobLog } from './job-log';

const options = { ...DEFAULT_OPTIONS, data: { ...DEFAULT_OPTIONS.data, path: '/data/cifar10' } };
const request = { checkpoint: '/models/resnet_2b.onnx', options };

function log(): { readonly told: JobLog; readonly lines: string[] } {
  const lines: string[] = [];
  return { told: new JobLog('analyze', request.checkpoint, (line) => lines.push(line)), lines };
}

describe('what the output says of an analysis', () => {
  it('is what was asked, each phase once, what to beware of and the answer', () => {
    const { told, lines } = log();
    told.started({ kind: 'analyze', request });
    const progress = (phase: 'reading' | 'hessian', elapsed: number) =>
      told.told({ kind: 'progress', phase, done: 1, total: 9, message: 'step', elapsed });
    progress('reading', 0.1);
    progress('hessian', 2);
    progress('hessian', 3);
    told.told({ kind: 'done', result: { ...sampleResult, warnings: sampleResult.warnings.slice(0, 1) } });
    const { code, message } = sampleResult.warnings[0]!;
    assert.deepEqual(lines, [
      'analysis of /models/resnet_2b.onnx: Hessian and Gauss–Newton on 2,000 samples of /data/cifar10 (test), at most 256 steps and 10 min, tolerance 1.0 %, provider auto, seed 1',
      'resnet_2b.onnx: reading',
      'resnet_2b.onnx: Hessian',
      `resnet_2b.onnx: ${code}: ${message}`,
      'resnet_2b.onnx: done: Hessian limit 75.2–92.3 %, unresolved; Gauss–Newton limit 92.82–93.42 %; 251 products in 3 min on onnxruntime-node 1.30.0, cpu (no GPU found)',
    ]);
  });

  it('is where an answer comes from that was not computed, or why there is none', () => {
    const { told, lines } = log();
    told.told({ kind: 'done', result: { ...sampleResult, limits: [], warnings: [] } }, 0);
    told.told({ kind: 'failed', error: { message: 'data not found', category: 'input' } });
    told.told({ kind: 'cancelled' });
    assert.deepEqual(lines, [
      'resnet_2b.onnx: answered from the cache (1970-01-01T00:00:00.000Z): no limit was computed',
      'resnet_2b.onnx: analysis failed: data not found',
      'resnet_2b.onnx: cancelled',
    ]);
  });
});
