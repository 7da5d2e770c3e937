import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AnalysisOptions, CurvatureKind } from '../../protocol/analysis';
import { TRACE_PROBES, withoutZeroRows, type Live } from '../../server/src/analysis/limit-study';
import { MemoryGuard } from '../../server/src/analysis/memory';
import { openSubject, type Subject } from '../../server/src/analysis/subject';
import { CurvatureOperator } from '../../server/src/curvature/operator';
import type { Engine } from '../../server/src/engine/engine';
import { DEFAULT_OPTIONS } from '../../server/src/options';
import { Random } from '../../server/src/random';
import { projectRoot } from '../../test/outside';
import { CASES, shared } from './cases';

export const SEED = DEFAULT_OPTIONS.seed;

/** Where the runs of a case are kept. */
export function folderOf(name: string): string {
  const folder = join(projectRoot(), 'out/estimators', name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

export async function opened(name: string, engine: Engine): Promise<Subject> {
  const { normalize, samples, options, data: path, checkpoint } = CASES[name]!;
  const data: AnalysisOptions['data'] = {
    ...DEFAULT_OPTIONS.data,
    path: shared(path),
    split: 'train',
    samples,
    ...(normalize && { normalize }),
  };
  const request = { checkpoint: await checkpoint(engine), options: { ...DEFAULT_OPTIONS, ...options, data } };
  return openSubject(request, new MemoryGuard(0));
}

export function operatorOf(
  { model, layout, batches }: Subject,
  engine: Engine,
  kind: CurvatureKind,
): CurvatureOperator {
  const cacheBytes = new MemoryGuard(0).cacheBytes();
  return new CurvatureOperator(engine, model, layout, kind, batches, undefined, undefined, cacheBytes);
}

export async function withoutZeros(operator: CurvatureOperator): Promise<Live> {
  const probes = Array.from({ length: TRACE_PROBES }, (_, i) =>
    Random.stream(SEED, `trace ${i}`).rademacher(operator.dimension),
  );
  return withoutZeroRows(operator, await operator.apply(probes));
}
