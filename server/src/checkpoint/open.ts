import { open as openFile, stat } from 'node:fs/promises';
import { InputError } from '../errors';
import * as onnx from './onnx/reader';
import type { OnnxFile } from './onnx/reader';

/** Enough to tell every format from the others. */
const HEAD = 4096;

const ascii =
  (text: string) =>
  (head: Uint8Array): boolean =>
    [...text].every((letter, i) => head[i] === letter.charCodeAt(0));

const EXPORT_PYTORCH = 'export the network with torch.onnx.export and open the .onnx file';
const EXPORT_KERAS = 'export the network with tf2onnx and open the .onnx file';

/** Formats that are recognised only to say what to do with them. */
const others: readonly { name: string; match: (head: Uint8Array) => boolean; next: string }[] = [
  { name: 'zip archive (PyTorch or Keras)', match: ascii('PK\x03\x04'), next: EXPORT_PYTORCH },
  {
    name: 'pickle (PyTorch)',
    match: (head) => head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5,
    next: EXPORT_PYTORCH,
  },
  { name: 'HDF5 (Keras)', match: ascii('\x89HDF\r\n'), next: EXPORT_KERAS },
  // Eight bytes of header length, then JSON.
  { name: 'safetensors', match: (head) => head[8] === 0x7b && head[7] === 0, next: EXPORT_PYTORCH },
  { name: 'JSON (TensorFlow.js)', match: (head) => /^\s*\{/.test(Buffer.from(head).toString()), next: EXPORT_KERAS },
];

/**
 * Opens a checkpoint, whatever its name: the content decides.
 *
 * @throws InputError when there is no such file, or its format is none that can be read
 */
export async function openCheckpoint(path: string): Promise<OnnxFile> {
  const head = await readHead(path);
  if (head.length === 0) throw new InputError(`file empty: ${path}; copy or export it again`);
  const other = others.find(({ match }) => match(head));
  if (other !== undefined) throw new InputError(`format not supported: ${other.name} (${path}); ${other.next}`);
  if (onnx.match(head)) return onnx.open(path);
  throw new InputError(`format unknown: ${path}; ONNX models are read`);
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
