import type { EpochRecord } from '../../../protocol/train';
import { withValues, type Edit } from '../checkpoint/edit';
import { onnx } from '../checkpoint/onnx/generated/onnx';
import type { OnnxFile } from '../checkpoint/onnx/reader';
import { updateWeights } from '../checkpoint/onnx/update';
import { lengthDelimited, rewriteMessage, wireFields, WireError } from '../checkpoint/onnx/wire';
import { InputError } from '../errors';
import type { Identity } from './state';

/** Says in a checkpoint by which training it was made. */
export interface Provenance {
  readonly identity: Identity;
  readonly records: readonly EpochRecord[];
  /** Epochs that the training was to have. */
  readonly epochs: number;
}

const KEY = 'pruning-limit.training';
/** Field number of `ModelProto.metadata_props`. */
const METADATA = 14;

/**
 * The checkpoint `bytes` with other weights, everything else as it is, and a
 * note of the training among its metadata.
 *
 * @throws InputError when its weights lie in files of their own
 */
export function trainedCheckpoint(
  bytes: Uint8Array,
  path: string,
  values: ReadonlyMap<string, Float32Array>,
  provenance: Provenance,
): Uint8Array {
  const edits = new Map([...values].map(([name, wished]): [string, Edit] => [name, (own) => withValues(own, wished)]));
  const updated = updateWeights(bytes, path, edits, () => {
    throw externalData(path);
  });
  const others =
    rewriteMessage(updated.bytes, ({ number, content }) =>
      number === METADATA && entryOf(content) !== undefined ? new Uint8Array() : undefined,
    ) ?? updated.bytes;
  const entry = onnx.StringStringEntryProto.encode({ key: KEY, value: JSON.stringify(provenance) }).finish();
  return Buffer.concat([others, lengthDelimited(METADATA, entry)]);
}

/** The note that `trainedCheckpoint` left, or undefined. */
export function provenanceOf(bytes: Uint8Array): Provenance | undefined {
  try {
    for (const { number, type, content } of wireFields(bytes)) {
      const value = number === METADATA && type === 2 ? entryOf(content) : undefined;
      if (value === undefined) continue;
      const note = JSON.parse(value) as Partial<Provenance> | null;
      return Array.isArray(note?.records) ? (note as Provenance) : undefined;
    }
  } catch (error) {
    // Whatever is there, it is no checkpoint of ours.
    if (!(error instanceof WireError || error instanceof SyntaxError || error instanceof RangeError)) throw error;
  }
  return undefined;
}

function entryOf(content: Uint8Array): string | undefined {
  const { key, value } = onnx.StringStringEntryProto.decode(content);
  return key === KEY ? (value ?? '') : undefined;
}

function externalData(path: string): InputError {
  return new InputError(`weights in files of their own: ${path}; save the network in one file to train it`);
}

/** @throws InputError when a checkpoint's weights lie in files of their own, before any work is done with it */
export function checkOneFile(file: OnnxFile, bytes: Uint8Array): void {
  const { graph } = onnx.ModelProto.decode(bytes);
  const isExternal = (graph?.initializer ?? []).some(
    ({ dataLocation }) => dataLocation === onnx.TensorProto.DataLocation.EXTERNAL,
  );
  if (isExternal) throw externalData(file.path);
}
