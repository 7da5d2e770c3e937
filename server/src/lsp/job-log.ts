import { basename } from 'node:path';
import type { AnalysisResult, Phase } from '../../../protocol/analysis';
import type { JobEvent, ToCompute } from '../../../protocol/messages';
import { duration, grouped, operatorName, percent, percentRange } from '../../../protocol/numbers';
import { PHASES } from '../../../protocol/phases';

/**
 * What the output says of a job: what was asked, each phase once, how it ended
 * and why it is worth what it is. In English, like everything that goes into a
 * bug report.
 */
export class JobLog {
  private phase: Phase | undefined;
  private readonly name: string;

  constructor(
    private readonly task: ToCompute['kind'],
    checkpoint: string,
    private readonly write: (line: string) => void,
  ) {
    this.name = basename(checkpoint);
  }

  started(task: ToCompute): void {
    if (task.kind === 'prune') {
      this.write(`pruning of ${task.request.checkpoint} to ${task.request.output}`);
      return;
    }
    const { checkpoint, options } = task.request;
    const { data, steps, minutes, tolerance, curvature, provider, seed } = options;
    const samples = data.samples === 'all' ? 'all' : grouped(data.samples);
    const operators = curvature === 'both' ? 'Hessian and Gauss–Newton' : operatorName[curvature];
    this.write(
      `analysis of ${checkpoint}: ${operators} on ${samples} samples of ${data.path} (${data.split}), at most ${steps} steps and ${minutes} min, tolerance ${percent(tolerance)}, provider ${provider}, seed ${seed}`,
    );
  }

  /** @param cached when the answer was computed, if it was before: milliseconds since 1970 */
  told(event: JobEvent['event'], cached?: number): void {
    switch (event.kind) {
      case 'progress':
        if (event.phase === this.phase) break;
        this.phase = event.phase;
        this.say(PHASES[event.phase]);
        break;
      case 'done':
        for (const { code, message } of event.result.warnings) this.say(`${code}: ${message}`);
        this.say(answer(event.result, cached));
        break;
      case 'pruned':
        this.say(`pruned: ${percent(event.result.sparsity)} of the weights are zero, in ${event.result.output}`);
        break;
      case 'failed':
        this.say(`${this.task === 'prune' ? 'pruning' : 'analysis'} failed: ${event.error.message}`);
        break;
      case 'cancelled':
        this.say('cancelled');
        break;
      case 'partial':
      case 'warning':
        break;
    }
  }

  private say(line: string): void {
    this.write(`${this.name}: ${line}`);
  }
}

function answer({ limits, engine, time }: AnalysisResult, cached: number | undefined): string {
  const found = limits.map(
    ({ operator, interval, resolved }) =>
      `${operatorName[operator]} limit ${percentRange(interval)}${resolved ? '' : ', unresolved'}`,
  );
  const said = found.length > 0 ? found.join('; ') : 'no limit was computed';
  if (cached !== undefined) return `answered from the cache (${new Date(cached).toISOString()}): ${said}`;
  const reason = engine.reason === '' ? '' : ` (${engine.reason})`;
  return `done: ${said}; ${grouped(time.products)} products in ${duration(time.total)} on ${engine.name} ${engine.version}, ${engine.provider}${reason}`;
}
