import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { AnalysisRequest } from '../../../protocol/analysis';
import { dataFiles, externalLocations, filesInside, LocationScan, namedInJson } from '../files/inputs';

/** Files larger than this are told apart by size and time of change. */
const LARGEST = 2 ** 30;

interface Digest {
  readonly content: string;
  /** Places of external data that the file names. */
  readonly locations: readonly string[];
}

/**
 * What an analysis is asked, as a hash: of the contents of checkpoint, external
 * data and data files, of all options, and of the program that answers. Names
 * and places do not count, so that a copy of a checkpoint is the same question.
 *
 * Files are read in small pieces, so the event loop goes on, and only when they
 * have changed.
 */
export class Questions {
  private readonly digests = new Map<string, { readonly stamp: string; readonly digest: Promise<Digest> }>();

  /**
   * @param program script of the compute process
   * @param largest bytes of a file that is told apart by its content
   */
  constructor(
    private readonly program: string,
    private readonly largest = LARGEST,
  ) {}

  /** @returns null when something is missing or cannot be read: then there is no question to remember */
  async key({ checkpoint, options }: AnalysisRequest): Promise<string | null> {
    try {
      const hash = createHash('sha256');
      const { path, ...data } = options.data;
      const { testData, ...measure } = options.measure ?? {};
      add(hash, 'program', (await this.digest(this.program)).content);
      add(hash, 'options', sortedJson({ ...options, data, measure: options.measure && measure }));
      const model = await this.digest(checkpoint);
      add(hash, 'checkpoint', model.content);
      for (const file of [...filesInside(checkpoint, model.locations), ...(await namedInJson(checkpoint))]) {
        // What is missing is for the reader to complain about.
        add(hash, 'external', await this.digest(file).then(({ content }) => content, String));
      }
      if (options.graph !== undefined) add(hash, 'graph', (await this.digest(options.graph)).content);
      await this.addData(hash, '', path);
      if (testData !== undefined) await this.addData(hash, 'test ', testData);
      return hash.digest('hex');
    } catch {
      return null;
    }
  }

  /** Large sets of many files are told apart by size and time of change, as large files are. */
  private async addData(hash: Hash, prefix: string, path: string): Promise<void> {
    const files = await dataFiles(path);
    const stats = new Map<string, { size: number; mtimeMs: number }>();
    for (const file of files) stats.set(file.path, await stat(file.path));
    const total = [...stats.values()].reduce((sum, { size }) => sum + size, 0);
    for (const file of files) {
      const { size, mtimeMs } = stats.get(file.path)!;
      const isLarge = files.length > 1 && total > this.largest;
      const content = isLarge ? `${size}-${mtimeMs}` : (await this.digest(file.path)).content;
      add(hash, `${prefix}${file.name}`, content);
    }
  }

  private async digest(path: string): Promise<Digest> {
    const { size, mtimeMs } = await stat(path);
    const stamp = `${size}-${mtimeMs}`;
    const known = this.digests.get(path);
    if (known?.stamp === stamp) return known.digest;
    const digest = size > this.largest ? stamped(path, stamp) : read(path);
    this.digests.set(path, { stamp, digest });
    digest.catch(() => this.digests.delete(path));
    return digest;
  }
}

/** A field with its length, so that no two lists of fields are the same bytes. */
function add(hash: Hash, name: string, value: string): void {
  hash.update(`${name.length}:${name} ${value.length}:${value}\n`);
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

async function read(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  const scan = new LocationScan();
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk as Buffer);
    scan.add(chunk as Buffer);
  }
  return { content: hash.digest('hex'), locations: scan.locations };
}

async function stamped(path: string, stamp: string): Promise<Digest> {
  return { content: stamp, locations: await externalLocations(path) };
}
