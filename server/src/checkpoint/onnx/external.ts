import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import { InputError } from '../../errors';
import type { onnx } from './generated/onnx';

/**
 * Bytes of a tensor that lies in a file beside the model. The file may be in
 * the model's folder or below, and nowhere else: a model must not read what
 * its owner did not put there.
 *
 * @param expected bytes that the tensor's shape needs
 * @param where tensor and model, for messages
 * @param model path of the model
 */
export function readExternalData(
  proto: onnx.TensorProto.$Properties,
  expected: number,
  where: string,
  model: string,
): Uint8Array {
  const entries = new Map((proto.externalData ?? []).map(({ key, value }) => [key ?? '', value ?? '']));
  const location = entries.get('location') ?? '';
  const path = locate(location, where, model);
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    throw new InputError(`external data not readable: ${location} (${where}); ${(error as Error).message}`);
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw new InputError(`external data not a file: ${location} (${where}); ${COPY}`);
    const offset = position(entries.get('offset') ?? '0', 'offset', where);
    const length = entries.has('length') ? position(entries.get('length')!, 'length', where) : expected;
    if (length !== expected) {
      throw new InputError(
        `external data length: ${length} bytes where the shape needs ${expected} (${where}); export the model again`,
      );
    }
    if (offset + length > stat.size) {
      throw new InputError(
        `external data too short: ${location} has ${stat.size} bytes, ${offset + length} are needed (${where}); ${COPY}`,
      );
    }
    return readAll(descriptor, offset, length);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Path of a file with external data of a model.
 * @throws InputError when it is not in the model's folder or below, or not there
 */
export function locateExternal(location: string, model: string): string {
  return locate(location, basename(model), model);
}

const COPY = 'copy the data file that was exported with the model into its folder';

function locate(location: string, where: string, model: string): string {
  const folder = resolve(dirname(model));
  const path = resolve(folder, location);
  if (location === '' || location.includes('\0') || isAbsolute(location) || !isInside(folder, path)) {
    throw new InputError(
      `external data location: ${JSON.stringify(location)} is not a path inside the model's folder (${where}); save the model again with its data beside it`,
    );
  }
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    throw new InputError(`external data missing: ${location} (${where}); ${COPY}`);
  }
  if (!isInside(realpathSync(folder), real)) {
    throw new InputError(`external data location: ${location} is a link out of the model's folder (${where}); ${COPY}`);
  }
  return real;
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function position(text: string, what: string, where: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(value)) {
    throw new InputError(`external data ${what}: ${JSON.stringify(text)} (${where}); export the model again`);
  }
  return value;
}

function readAll(descriptor: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // One read moves at most 2 GiB, and may move less.
  for (let done = 0; done < length;) {
    const got = readSync(descriptor, bytes, done, Math.min(length - done, 2 ** 30), offset + done);
    if (got === 0)
      throw new InputError('external data ended while it was read; do not change files during an analysis');
    done += got;
  }
  return bytes;
}
