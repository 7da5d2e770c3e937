import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { EpochRecord } from '../../../protocol/train';
import { InputError } from '../errors';
import { writeAtomically } from '../files/write';

/**
 * What a training needs to go on as if it had never stopped, in one file: the
 * checkpoint beside it follows from it, so that no kill between the two can
 * part them. The order of samples and their variations follow from seed and
 * epoch, so no generator has a state to keep.
 *
 * The file is a line of magic, a line with the SHA-256 of the rest, a line of
 * JSON, and the arrays: little-endian float32, in the order of the JSON.
 */
export interface TrainingState {
  /** What the training depends on: another one must not be mixed with it. */
  readonly identity: Identity;
  /** Of the epochs that are done. */
  readonly records: readonly EpochRecord[];
  /** Weights and running statistics. */
  readonly values: ReadonlyMap<string, Float32Array>;
  readonly velocities: ReadonlyMap<string, Float32Array>;
}

/** Names as a user knows them, and values that can be compared as text. */
export type Identity = Readonly<Record<string, string | number>>;

const MAGIC = 'pruning-limit training 1\n';

interface Header {
  readonly identity: Identity;
  readonly records: readonly EpochRecord[];
  readonly arrays: readonly { readonly kind: 'value' | 'velocity'; readonly name: string; readonly length: number }[];
}

export function statePath(output: string): string {
  return `${output}.resume`;
}

/** @throws InputError when it cannot be written */
export async function writeState(
  path: string,
  { identity, records, values, velocities }: TrainingState,
): Promise<void> {
  const all = [
    ...[...values].map(([name, value]) => ({ kind: 'value' as const, name, value })),
    ...[...velocities].map(([name, value]) => ({ kind: 'velocity' as const, name, value })),
  ];
  const header: Header = {
    identity,
    records,
    arrays: all.map(({ kind, name, value }) => ({ kind, name, length: value.length })),
  };
  const parts = [
    Buffer.from(`${JSON.stringify(header)}\n`),
    ...all.map(({ value }) => Buffer.from(value.buffer, value.byteOffset, value.byteLength)),
  ];
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  await writeAtomically(path, Buffer.concat([Buffer.from(`${MAGIC}${hash.digest('hex')}\n`), ...parts]));
}

/**
 * @returns null when there is none
 * @throws InputError when it cannot be read or is not what was written
 */
export async function readState(path: string): Promise<TrainingState | null> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new InputError(`state of the training not readable: ${path} (${code}); check its permissions`);
  }
  const start = MAGIC.length + 65;
  const body = bytes.subarray(start);
  const sum = createHash('sha256').update(body).digest('hex');
  if (bytes.subarray(0, start).toString('latin1') !== `${MAGIC}${sum}\n`) {
    throw new InputError(`state of the training damaged: ${path}; remove it, or give --force, to begin anew`);
  }
  // The sum has vouched for what follows.
  const end = body.indexOf(10);
  const { identity, records, arrays } = JSON.parse(body.subarray(0, end).toString()) as Header;
  const maps = { value: new Map<string, Float32Array>(), velocity: new Map<string, Float32Array>() };
  let at = end + 1;
  for (const { kind, name, length } of arrays) {
    const array = new Float32Array(length);
    new Uint8Array(array.buffer).set(body.subarray(at, at + 4 * length));
    maps[kind].set(name, array);
    at += 4 * length;
  }
  return { identity, records, values: maps.value, velocities: maps.velocity };
}

/**
 * @throws InputError naming what differs when `state` belongs to another training
 */
export function checkIdentity(state: Identity, wanted: Identity, path: string): void {
  const names = new Set([...Object.keys(state), ...Object.keys(wanted)]);
  for (const name of names) {
    if (state[name] === wanted[name]) continue;
    const [then, now] = [state[name], wanted[name]].map((value) => value ?? 'nothing');
    const shown = /^[0-9a-f]{64}$/.test(String(now)) ? 'it has changed since' : `${then} then, ${now} now`;
    throw new InputError(
      `another training: ${path} differs in ${name} (${shown}); give what it was begun with, or --force to begin anew`,
    );
  }
}
