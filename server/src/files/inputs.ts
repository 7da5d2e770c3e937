import { createReadStream } from 'node:fs';
import { stat, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { InputError } from '../errors';

/**
 * The files that an analysis rests on besides the one that names them: whether
 * a question was asked before, and whether an answer is still one to it, depends
 * on all of them.
 */

/** Indexes and configurations longer than this are not looked into. */
const LARGEST_JSON = 64 * 2 ** 20;
/** Folders of classes are at most this deep: split, class. */
const DEEPEST = 2;

/** Names of files that a data set is read from; a log beside them may grow meanwhile. */
const DATA =
  /(ubyte|\.(npy|npz|csv|bin|gz|png|jpe?g|webp))$|^(data_batch_\d+|test_batch|batches\.meta|train|test|meta)$/i;

/** An input by its name inside its folder, which does not depend on where that is. */
export interface InputFile {
  readonly name: string;
  readonly path: string;
}

/** Files inside a checkpoint's folder among places that it names: only they would be read. */
export function filesInside(checkpoint: string, places: readonly string[]): string[] {
  const folder = dirname(checkpoint);
  return places
    .filter((place) => place !== '' && !place.includes('\0') && !isAbsolute(place))
    .map((place) => resolve(folder, place))
    .filter((path) => path !== checkpoint && !relative(folder, path).startsWith('..'));
}

/** ONNX files end here. */
const LARGEST_ONNX = 2 ** 31 - 1;
/** `StringStringEntryProto` of an ONNX tensor whose values are in another file: key, then the tag of the value. */
const LOCATION = Buffer.from('\x0a\x08location\x12', 'latin1');
/** Longest location that is looked for; one byte of length. */
const LONGEST_LOCATION = 127;

/** Looks for places of external data in the bytes of a file, which come in pieces. */
export class LocationScan {
  private readonly found = new Set<string>();
  private tail = Buffer.alloc(0);

  add(chunk: Uint8Array): void {
    // A place may lie across two pieces.
    const bytes = Buffer.concat([this.tail, chunk]);
    for (let at = bytes.indexOf(LOCATION); at >= 0; at = bytes.indexOf(LOCATION, at + 1)) {
      const start = at + LOCATION.length + 1;
      const length = bytes[start - 1];
      if (length === undefined || length > LONGEST_LOCATION || start + length > bytes.length) continue;
      this.found.add(bytes.toString('utf8', start, start + length));
    }
    this.tail = bytes.subarray(Math.max(0, bytes.length - LOCATION.length - 1 - LONGEST_LOCATION));
  }

  get locations(): string[] {
    return [...this.found].sort();
  }
}

/** Places of external data that an ONNX file names; none of any other file. Reads it in small pieces. */
export async function externalLocations(path: string): Promise<readonly string[]> {
  if ((await stat(path)).size > LARGEST_ONNX) return [];
  const scan = new LocationScan();
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) scan.add(chunk as Buffer);
  return scan.locations;
}

/** The other files that belong to a checkpoint: external data, shards. */
export async function companionsOf(checkpoint: string): Promise<string[]> {
  return [...filesInside(checkpoint, await externalLocations(checkpoint)), ...(await namedInJson(checkpoint))];
}

/** Files that a checkpoint in JSON, an index of shards or a model of TensorFlow.js, names. */
export async function namedInJson(checkpoint: string): Promise<string[]> {
  if (!/\.json$/i.test(checkpoint) || (await stat(checkpoint)).size > LARGEST_JSON) return [];
  const texts = new Set<string>();
  try {
    JSON.parse(await readFile(checkpoint, 'utf8'), (_, value: unknown) => {
      if (typeof value === 'string' && value.length < 256) texts.add(value);
      return value;
    });
  } catch {
    // Its reader complains.
  }
  const found: string[] = [];
  for (const path of filesInside(checkpoint, [...texts].sort())) {
    if (await isFile(path)) found.push(path);
  }
  return found;
}

/** The files of a data set: one file, those of one folder, or those of the folders of its classes. */
export async function dataFiles(path: string): Promise<InputFile[]> {
  if ((await stat(path)).isFile()) return [{ name: 'data', path }];
  const files: InputFile[] = [];
  const visit = async (folder: string, depth: number): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const inside = join(folder, entry.name);
      if (!entry.isDirectory()) files.push({ name: relative(path, inside), path: inside });
      else if (depth < DEEPEST) await visit(inside, depth + 1);
    }
  };
  await visit(path, 0);
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Size and time of the last change; empty where there is no file. */
async function stampOf(path: string): Promise<string> {
  try {
    const { size, mtimeMs, ino } = await stat(path);
    return `${size}-${mtimeMs}-${ino}`;
  } catch {
    return '';
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() === true;
}

/** The inputs of an analysis as they were when it began. */
export class InputWatch {
  private constructor(private readonly stamps: ReadonlyMap<string, string>) {}

  /**
   * Watches a checkpoint, the file that lends it a graph, the files that belong
   * to both, and data sets. What is missing is for its reader to complain about.
   */
  static async begin(checkpoint: string, data: readonly string[], graph?: string): Promise<InputWatch> {
    const stamps = new Map<string, string>();
    const watch = async (path: string): Promise<unknown> => stamps.set(path, await stampOf(path));
    for (const path of graph === undefined ? [checkpoint] : [checkpoint, graph]) {
      // First, so that a change is seen while its companions are looked for.
      await watch(path);
      for (const companion of await companionsOf(path).catch(() => [])) await watch(companion);
    }
    for (const path of data) {
      const files = await dataFiles(path).catch(() => []);
      for (const file of files) if (file.path === path || DATA.test(basename(file.path))) await watch(file.path);
    }
    return new InputWatch(stamps);
  }

  /** The first input that is not as it was, and whether it is still there; null when all are. */
  async changed(): Promise<{ readonly path: string; readonly gone: boolean } | null> {
    for (const [path, before] of this.stamps) {
      const now = await stampOf(path);
      if (now !== before) return { path, gone: now === '' };
    }
    return null;
  }

  /**
   * @param again what to do then
   * @throws InputError when an input has changed: what was read may be half of the one and half of the other
   */
  async expectUnchanged(again = 'analyse it again'): Promise<void> {
    const change = await this.changed();
    if (change === null) return;
    throw new InputError(
      change.gone
        ? `file gone while it was read: ${change.path}; put it back, and ${again}`
        : `file changed while it was read: ${change.path}; wait until nothing writes it, and ${again}`,
    );
  }
}
