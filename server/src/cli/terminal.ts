import type { Phase } from '../../../protocol/analysis';
import type { FromCompute } from '../../../protocol/messages';
import { duration, limitText } from '../../../protocol/numbers';
import { PHASES } from '../../../protocol/phases';

/** A bar is redrawn, and a line of a log written, no more often than this, in milliseconds. */
const BAR_INTERVAL = 100;
const LINE_INTERVAL = 5000;
const BAR_WIDTH = 24;
/** Before this much is done, and this many seconds, nothing is said of the rest. */
const SMALLEST_FRACTION = 0.01;
const SMALLEST_TIME = 2;

/** Columns of what standard output shows; a file or a pipe has no end. */
export function outputWidth(stream: Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> = process.stdout): number {
  return stream.isTTY ? Math.min(120, Math.max(40, stream.columns || 80)) : Infinity;
}

/** What a display needs of a stream. */
export type DisplayStream = Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> & { write(text: string): unknown };

/** Progress on standard error: one line that is redrawn on a terminal, plain lines elsewhere. */
export class ProgressDisplay {
  private readonly interactive: boolean;
  private last = -Infinity;
  private phase: Phase | undefined;
  private limit = '';
  private drawn = false;
  /** What is to come is an estimate; it never takes back what was shown. */
  private fraction = 0;

  constructor(
    private readonly stream: DisplayStream,
    /** In milliseconds. */
    private readonly now: () => number = () => performance.now(),
  ) {
    this.interactive = stream.isTTY;
  }

  show(event: FromCompute): void {
    if (event.kind === 'partial') {
      const latest = event.result.limits.find(({ operator }) => operator === this.phase) ?? event.result.limits[0];
      if (latest !== undefined) this.limit = limitText(latest);
      return;
    }
    if (event.kind !== 'progress') return;
    const changed = event.phase !== this.phase;
    const now = this.now();
    if (!changed && now - this.last < (this.interactive ? BAR_INTERVAL : LINE_INTERVAL)) return;
    if (changed) this.limit = '';
    this.phase = event.phase;
    this.last = now;
    const { done, total, elapsed, message } = event;
    const fraction = total > 0 ? Math.min(1, done / total) : 0;
    this.fraction = Math.max(this.fraction, fraction);
    const share = `${String(Math.floor(100 * this.fraction)).padStart(3)} %`;
    const time = [duration(elapsed), timeLeft(fraction, elapsed)].filter((part) => part !== '').join(', ');
    const what = [PHASES[event.phase], message, this.limit].filter((part) => part !== '').join(' · ');
    if (this.interactive) this.redraw(share, time, what);
    else this.stream.write(`${share}  ${time.padEnd(8)}  ${what}\n`);
  }

  /** Leaves the terminal as it was. */
  clear(): void {
    if (this.drawn) this.stream.write('\r\x1b[K');
    this.drawn = false;
  }

  /** On one line, whatever the width: the bar shrinks first, then the times go, then the text is cut. */
  private redraw(share: string, time: string, what: string): void {
    const width = Math.max(20, (this.stream.columns || 80) - 1);
    const fixed = `${share}  ${what}`.length + 1;
    const withTime = fixed + time.length + 2;
    const room = width - withTime;
    const drawing = room >= 8 ? `${bar(this.fraction, Math.min(BAR_WIDTH, room))} ` : '';
    const text = withTime <= width ? `${share}  ${time}  ${what}` : `${share}  ${what}`;
    this.stream.write(`\r\x1b[K${`${drawing}${text}`.slice(0, width)}`);
    this.drawn = true;
  }
}

/** From above: Lanczos usually stops before the steps it may take. */
function timeLeft(fraction: number, elapsed: number): string {
  if (fraction < SMALLEST_FRACTION || fraction >= 1 || elapsed < SMALLEST_TIME) return '';
  return `up to ${duration((elapsed * (1 - fraction)) / fraction)} left`;
}

function bar(fraction: number, width: number): string {
  const full = Math.round(fraction * width);
  return `${'█'.repeat(full)}${'░'.repeat(width - full)}`;
}
