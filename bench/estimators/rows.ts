import { wilsonInterval } from '../../server/src/limit/one-shot';
import { TRACE_PROBES } from '../../server/src/analysis/limit-study';
import { createOrtEngine } from '../../server/src/engine/ort';
import { CASES } from './cases';
import { opened, operatorOf, withoutZeros } from './subject';

/** L1 norm below which the paper's code counts a row as zero. */
const ZERO_ROW = 1e-7;

/** The paper's sample of rows beside those that are zero in the products with the trace's probes. */
export async function rows(name: string, count: number, threads: number): Promise<void> {
  const engine = await createOrtEngine(threads);
  const subject = await opened(name, engine);
  const operator = operatorOf(subject, engine, 'hessian');
  const live = new Set((await withoutZeros(operator)).coordinates);
  const order = Float32Array.from(subject.weights, Math.abs);
  const bySize = Array.from(order, (_, i) => i).sort((i, j) => order[i]! - order[j]!);
  let [small, zero, missed] = [0, 0, 0];
  for (let first = 0; first < count; first += 4) {
    // At percentiles of the magnitude, as the paper's code does.
    const chosen = Array.from(
      { length: Math.min(4, count - first) },
      (_, i) => bySize[Math.floor(((first + i + 0.5) / count) * bySize.length)]!,
    );
    const units = chosen.map((at) => {
      const unit = new Float32Array(operator.dimension);
      unit[at] = 1;
      return unit;
    });
    (await operator.apply(units)).forEach((row, i) => {
      const norm = row.reduce((sum, value) => sum + Math.abs(value), 0);
      if (norm < ZERO_ROW) small++;
      if (norm === 0) zero++;
      if ((norm === 0) === live.has(chosen[i]!)) missed++;
    });
  }
  await operator.dispose();
  const [low, high] = wilsonInterval(small, count);
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  console.log(
    `${CASES[name]!.title}: ${small} of ${count} sampled rows under ${ZERO_ROW}, ${percent(low)} to ${percent(high)}; ` +
      `${zero} of them zero throughout; by ${TRACE_PROBES} probes ${percent(1 - live.size / operator.dimension)}, ` +
      `which ${missed} of the sampled rows contradict`,
  );
}
