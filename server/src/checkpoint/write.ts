import { basename } from 'node:path';
import { AnalysisError, InputError } from '../errors';
import type { Container } from './checkpoint';
import { isElementType } from './elements';
import * as keras from './keras/writer';
import { networkOf, type ModelOptions } from './model';
import { storedLayers } from './onnx/layers';
import type { OnnxFile } from './onnx/reader';
import * as onnx from './onnx/writer';
import { openCheckpoint } from './open';
import * as pytorch from './pytorch/writer';
import * as safetensors from './safetensors/writer';
import type { StoredTensor } from './stored-tensor';
import * as tfjs from './tfjs/writer';
import type { Writer, Writing } from './writer';

interface Format {
  readonly name: string;
  /** Of its files. */
  readonly endings: readonly string[];
  readonly write: Writer;
}

const TORCH = ['.pt', '.pth', '.th', '.bin', '.ckpt', '.pkl', '.tar'];

/** Every layout that can be read can be written. */
const formats: { readonly [C in Container]: Format } = {
  onnx: { name: 'ONNX', endings: ['.onnx'], write: onnx.write },
  'pytorch archive': { name: 'PyTorch', endings: TORCH, write: pytorch.writeArchive },
  'pytorch legacy': { name: 'PyTorch', endings: TORCH, write: pytorch.writeLegacy },
  safetensors: { name: 'safetensors', endings: ['.safetensors'], write: safetensors.writeFile },
  'safetensors index': { name: 'safetensors index', endings: ['.json'], write: safetensors.writeIndex },
  hdf5: { name: 'HDF5', endings: ['.h5', '.hdf5'], write: keras.writeH5 },
  'keras archive': { name: 'Keras', endings: ['.keras'], write: keras.writeArchive },
  'tensorflow.js': { name: 'TensorFlow.js', endings: ['.json'], write: tfjs.write },
};

/**
 * A name that promises another format is a mistake; one that promises none is not.
 * @throws InputError
 */
export function checkEnding(container: Container, target: string): void {
  const { name, endings } = formats[container];
  const isOf = (list: readonly string[]): boolean => list.some((ending) => target.toLowerCase().endsWith(ending));
  if (isOf(endings)) return;
  const other = Object.values(formats).find((format) => isOf(format.endings));
  if (other === undefined) return;
  throw new InputError(
    `name of another format: ${target} would be ${name}, not ${other.name}; let it end in ${endings[0]!}, or in .onnx to export it`,
  );
}

/** Writes a checkpoint with other contents in some tensors, as `Writer` does, unseen. */
export function writeUnchecked(container: Container, writing: Writing): Promise<void> {
  return formats[container].write(writing);
}

/**
 * Writes a checkpoint with other contents in some tensors and everything else
 * as it is in `source`, and reads it back. Files that lie beside it are copied:
 * the old ones stay those of the old checkpoint.
 *
 * @param network of the source, whose other tensors must not change either
 * @param options by which the network was found
 * @returns paths of the other files that belong to it
 * @throws InputError, and AnalysisError when what was written is not what was meant
 */
export async function writeCheckpoint(
  container: Container,
  network: OnnxFile,
  options: Omit<ModelOptions, 'batch'>,
  writing: Writing,
): Promise<readonly string[]> {
  await writeUnchecked(container, writing);
  const staged = await writing.place();
  const written = tensorsOf(await networkOf(await openCheckpoint(staged), options));
  const changed = new Map(writing.changes.map((change) => [change.name, change]));
  for (const [name, tensor] of tensorsOf(network)) {
    const change = changed.get(name);
    const found = written.get(name);
    const wished = change === undefined ? tensor.bytes() : change.edit(tensor);
    if (found !== undefined && Buffer.compare(found.bytes(), wished) === 0) continue;
    throw differs(name, tensor, writing);
  }
  return writing.companions;
}

/** Initializers, and weights that nodes hold, by name; those alone whose elements are known. */
function tensorsOf(network: OnnxFile): Map<string, StoredTensor> {
  const layers = storedLayers(network).map(({ name, tensor }) => [name, tensor] as const);
  return new Map([...network.tensors, ...layers].filter(([, { dtype }]) => isElementType(dtype)));
}

function differs(name: string, tensor: StoredTensor, { changes, source, target }: Writing): Error {
  const sharing = changes.find((change) => change.name !== name && share(change.tensor, tensor));
  if (sharing !== undefined) {
    return new InputError(
      `weights shared: ${sharing.name} and ${name} lie in the same bytes and would be pruned differently (${basename(source)}); save the network with a .clone() of one of them`,
    );
  }
  if (
    tensor.place?.kind === 'bytes' &&
    tensor.place.strides?.some((stride, i) => stride === 0 && tensor.shape[i]! > 1)
  ) {
    return new InputError(
      `weights shared: elements of ${name} lie in the same bytes and would be pruned differently (${basename(source)}); save the network with a .contiguous() copy of it`,
    );
  }
  return new AnalysisError(
    `written checkpoint differs: ${name} in ${target}; nothing was kept of it, please report it`,
  );
}

/** Whether two tensors reach over the same bytes. */
function share(a: StoredTensor, b: StoredTensor): boolean {
  const runs = (tensor: StoredTensor) => (tensor.place?.kind === 'bytes' ? tensor.place.runs : []);
  return runs(a).some((x) =>
    runs(b).some(
      (y) =>
        x.file === y.file &&
        x.entry?.name === y.entry?.name &&
        x.start < y.start + y.length &&
        y.start < x.start + x.length,
    ),
  );
}
