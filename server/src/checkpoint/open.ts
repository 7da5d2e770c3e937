import { open as openFile, readFile, stat } from 'node:fs/promises';
import { InputError } from '../errors';
import { withZip } from '../files/zip';
import type { Checkpoint } from './checkpoint';
import type { Json } from './keras/config';
import * as keras from './keras/reader';
import * as onnx from './onnx/reader';
import * as pytorch from './pytorch/reader';
import * as safetensors from './safetensors/reader';
import * as tfjs from './tfjs/reader';

/** Enough to tell every format from the others. */
const HEAD = 4096;

const ascii =
  (text: string) =>
  (head: Uint8Array): boolean =>
    [...text].every((letter, i) => head[i] === letter.charCodeAt(0));

/** A format by its first bytes, the more telling ones first. */
interface Format {
  readonly match: (head: Uint8Array) => boolean;
  readonly open: (path: string, size: number) => Promise<Checkpoint>;
}

const formats: readonly Format[] = [
  { match: ascii('PK\x03\x04'), open: openArchive },
  { match: ascii('\x89HDF\r\n'), open: keras.openH5 },
  // Eight bytes of header length, then JSON.
  { match: safetensors.match, open: safetensors.open },
  { match: pytorch.matchPickle, open: (path, size) => Promise.resolve(pytorch.openLegacy(path, size)) },
  { match: (head) => /^\s*\{/.test(Buffer.from(head).toString()), open: openJson },
  { match: onnx.match, open: async (path) => ({ kind: 'network', container: 'onnx', ...(await onnx.open(path)) }) },
  // Pickles of the first protocols have no signature either.
  {
    match: (head) => /^[(c\]}VSIp]/.test(Buffer.from(head).toString('latin1')),
    open: (path, size) => Promise.resolve(pytorch.openLegacy(path, size)),
  },
];

/**
 * Opens a checkpoint, whatever its name: the content decides.
 *
 * @throws InputError when there is no such file, or its format is none that can be read
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const head = await readHead(path);
  if (head.length === 0) throw new InputError(`file empty: ${path}; copy or export it again`);
  const format = formats.find(({ match }) => match(head));
  if (format === undefined) {
    // Too damaged to be known by its content: the reader of its name says what is wrong.
    if (/\.safetensors$/i.test(path)) return safetensors.open(path);
    throw new InputError(`format unknown: ${path}; ONNX, PyTorch, safetensors, Keras and TensorFlow.js files are read`);
  }
  return format.open(path, (await stat(path)).size);
}

/** Zip archives are told apart by what is in them. */
async function openArchive(path: string): Promise<Checkpoint> {
  const entries = await withZip(path, (archive) => Promise.resolve(archive.entries));
  if (pytorch.pickleEntry(entries) !== undefined) return pytorch.openArchive(path);
  if (keras.isKerasArchive(entries)) return keras.openArchive(path);
  throw new InputError(`archive without a checkpoint: ${path}; files of PyTorch and Keras are read`);
}

const LARGEST_JSON = 64 << 20;

async function openJson(path: string, size: number): Promise<Checkpoint> {
  if (size > LARGEST_JSON) throw new InputError(`JSON too large: ${path}; an index of shards or a model is expected`);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path)));
  } catch {
    throw new InputError(`JSON damaged: ${path}; copy it again`);
  }
  if (safetensors.isIndex(json)) return safetensors.openIndex(path);
  if (tfjs.isModel(json)) return tfjs.open(json as Json, path);
  return tfjs.notAModel(path);
}

async function readHead(path: string): Promise<Uint8Array> {
  try {
    // Before it is opened: opening a pipe waits for its other end.
    const kind = await stat(path);
    if (kind.isDirectory()) throw new InputError(`folder, not a file: ${path}; name the checkpoint file inside it`);
    if (!kind.isFile()) throw new InputError(`not a regular file: ${path}; name a checkpoint file`);
    const handle = await openFile(path, 'r');
    try {
      const { buffer, bytesRead } = await handle.read(new Uint8Array(HEAD), 0, HEAD, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new InputError(
      code === 'ENOENT' ? `file not found: ${path}; check the path` : `file not readable: ${path}; ${message}`,
    );
  }
}
