import { duration, grouped, percent, percentRange, significant } from '../../../protocol/numbers';
import type { RetrainEvent, RetrainTrial } from '../../../protocol/retrain';
import type { EpochRecord, SearchTrial, TrainEvent } from '../../../protocol/train';
import type { DisplayStream } from './terminal';

/** A line is redrawn, and on no terminal written, no more often than this, in milliseconds. */
const BAR_INTERVAL = 100;
const LINE_INTERVAL = 10_000;
/** Seconds before which nothing is said of the rest. */
const SMALLEST_TIME = 2;

/** Progress of a training on standard error: a line per epoch, and on a terminal one below that is redrawn. */
export class TrainDisplay {
  private drawn = false;
  private last = -Infinity;

  constructor(
    private readonly stream: DisplayStream,
    /** Paths in a message as the user typed them. */
    private readonly asTyped: (message: string) => string = (message) => message,
    /** In milliseconds. */
    private readonly now: () => number = () => performance.now(),
  ) {}

  show(event: Exclude<TrainEvent | RetrainEvent, { readonly kind: 'trained' | 'retrained' | 'failed' }>): void {
    if (event.kind === 'step') return this.step(event);
    if (event.kind === 'epoch') return this.line(epochText(event.record, event.epochs));
    if (event.kind === 'trial') return this.line(trialText(event.trial));
    if (event.kind === 'attempt') return this.line(attemptText(event));
    if (event.kind === 'attempted') return this.line(attemptedText(event.trial, event.target));
    this.line(this.asTyped(event.message));
  }

  note(message: string): void {
    this.line(message);
  }

  /** Leaves the terminal as it was. */
  clear(): void {
    if (this.drawn) this.stream.write('\r\x1b[K');
    this.drawn = false;
  }

  private line(text: string): void {
    this.clear();
    this.stream.write(`${text}\n`);
  }

  private step({ epoch, epochs, step, steps, loss, elapsed, done, here }: Extract<TrainEvent, { kind: 'step' }>): void {
    const interactive = this.stream.isTTY;
    const now = this.now();
    if (now - this.last < (interactive ? BAR_INTERVAL : LINE_INTERVAL)) return;
    // The first step takes its place in the log, not the line of a moment later.
    const isFirst = this.last === -Infinity;
    this.last = now;
    if (!interactive && isFirst) return;
    const left = elapsed >= SMALLEST_TIME && here > 0 ? `, ${duration((elapsed * (1 - done)) / here)} left` : '';
    const share = `${String(Math.floor(100 * done)).padStart(3)} %`;
    const text = `${share}  ${duration(elapsed)}${left}  epoch ${epoch} of ${epochs} · step ${step} of ${steps} · loss ${significant(loss)}`;
    if (!interactive) return void this.stream.write(`${text}\n`);
    this.stream.write(`\r\x1b[K${text.slice(0, Math.max(20, (this.stream.columns || 80) - 1))}`);
    this.drawn = true;
  }
}

/** `epoch  3 of 20  loss 0.0923  test loss 0.1011  96.93 %  near zero 71.2 %  limit 88–91 %` */
export function epochText({ epoch, loss, score, nearZero, limit }: EpochRecord, epochs: number): string {
  const number = String(epoch).padStart(String(epochs).length);
  const parts = [
    `epoch ${number} of ${epochs}`,
    `loss ${significant(loss, 4)}`,
    ...(score === null
      ? []
      : [`evaluated ${significant(score.loss, 4)}`, `${percent(score.correct / score.total, 2)} correct`]),
    `near zero ${percent(nearZero)}`,
    ...(limit === null ? [] : [`limit ${percentRange(limit.interval)}`]),
  ];
  return parts.join('  ');
}

/** One training of a search. */
export function trialText({ l1, dense, pruned, ok }: SearchTrial): string {
  const right = (score: SearchTrial['dense']): string =>
    `${percent(score.correct / score.total, 2)} (${grouped(score.correct)})`;
  return `μ ${significant(l1)}: ${right(dense)} dense, ${right(pruned)} pruned, ${ok ? 'will do' : 'will not do'}`;
}

/** `seed 1, 96.40 %, 9,583 weights kept:` */
function attemptText({ seed, sparsity, kept }: Extract<RetrainEvent, { kind: 'attempt' }>): string {
  return `seed ${seed}, ${percent(sparsity, 2)}, ${grouped(kept)} weights kept:`;
}

/** `came back: loss 0.0212 after 3 epochs, allowed 0.0231` */
export function attemptedText({ epochs, loss, reached }: RetrainTrial, target: number): string {
  if (loss === null) return 'did not come back: the training diverged';
  const when = epochs === 0 ? 'at once' : `after ${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}`;
  return `${reached ? 'came back' : 'did not come back'}: loss ${significant(loss, 4)} ${when}, allowed ${significant(target, 4)}`;
}
