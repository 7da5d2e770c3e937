import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { Method, type HealthAnswer } from '../../../protocol/messages';
import type { ServerContext } from './context';

/** Between two looks at the clock: milliseconds. */
const RESOLUTION = 5;
const MIB = 2 ** 20;

/** For benchmarks and bug reports. The loop is watched from the first question on. */
export function registerHealth({ connection }: ServerContext): void {
  let loop: IntervalHistogram | undefined;
  connection.onRequest(Method.health, (): HealthAnswer => {
    const longest = loop === undefined ? 0 : loop.max / 1e6 - RESOLUTION;
    if (loop === undefined) {
      loop = monitorEventLoopDelay({ resolution: RESOLUTION });
      loop.enable();
    }
    loop.reset();
    const { rss, heapUsed } = process.memoryUsage();
    return { delay: Math.max(0, longest), memory: rss / MIB, heap: heapUsed / MIB };
  });
}
