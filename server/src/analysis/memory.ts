import { totalmem } from 'node:os';
import { InputError } from '../errors';

const MIB = 2 ** 20;
/** Of the machine's memory, when nothing was granted explicitly. */
const DEFAULT_SHARE = 0.7;
/** Of the grant, at most, for each cache. */
const CACHE_SHARE = 1 / 8;

/** Keeps an analysis within the memory it was granted. */
export class MemoryGuard {
  private readonly limit: number;

  /**
   * @param granted MiB of resident memory; 0 takes a share of the machine's
   * @param used bytes in use
   */
  constructor(
    private readonly granted: number,
    private readonly used: () => number = () => process.memoryUsage.rss(),
  ) {
    this.limit = granted > 0 ? granted * MIB : DEFAULT_SHARE * totalmem();
  }

  /** @throws InputError when the process is too large before it has read anything */
  begin(): void {
    const used = this.used();
    if (used <= this.limit) return;
    throw new InputError(
      `memory too small: ${this.allowance()}, and the process alone takes ${megabytes(used)}; grant more with --memory`,
    );
  }

  /** @throws InputError when more is in use than granted */
  check(): void {
    const used = this.used();
    if (used <= this.limit) return;
    throw new InputError(
      `memory ran out: ${megabytes(used)} in use, ${this.allowance()}; lower --batch or --samples, or grant more with --memory`,
    );
  }

  /**
   * To be called before something large is made.
   *
   * @param what the subject of the sentence, in the plural
   * @param remedy what would make it smaller
   * @throws InputError when `bytes` more do not fit
   */
  expect(bytes: number, what: string, remedy: string): void {
    const used = this.used();
    if (used + bytes <= this.limit) return;
    throw new InputError(
      `memory would run out: ${what} take ${megabytes(bytes)} beside ${megabytes(used)} in use, ${this.allowance()}; ${remedy}, or grant more with --memory`,
    );
  }

  /** How many Lanczos vectors of `dimension` fit into what is left, after the same again for everything else; 2 at least. */
  lanczosVectors(dimension: number): number {
    const free = Math.max(0, this.limit - this.used()) / 2;
    return Math.max(2, Math.floor(free / (4 * dimension)));
  }

  /** Bytes that values kept to save time may take: few enough not to be missed by anything else. */
  cacheBytes(): number {
    return Math.max(0, Math.min(CACHE_SHARE * this.limit, (this.limit - this.used()) / 4));
  }

  private allowance(): string {
    return `${megabytes(this.limit)} ${this.granted > 0 ? 'granted' : 'available'}`;
  }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / MIB)} MiB`;
}
