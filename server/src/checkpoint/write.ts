import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { AnalysisError, InputError } from '../errors';
import type { Container, NetworkFile } from './checkpoint';
import { withValues } from './edit';
import { isElementType, toFloat32 } from './elements';
import * as keras from './keras/writer';
import { networkOf, type ModelOptions } from './model';
import { exportNetwork } from './onnx/export';
import { storedLayers } from './onnx/layers';
import type { OnnxFile } from './onnx/reader';
import { updateWeights } from './onnx/update';
import * as onnx from './onnx/writer';
import type { OnnxOptions } from './onnx/writer';
import { openCheckpoint } from './open';
import * as pytorch from './pytorch/writer';
import * as safetensors from './safetensors/writer';
import { rawTensor, type StoredTensor } from './stored-tensor';
import * as tfjs from './tfjs/writer';
import type { Writing } from './writer';

/** How a checkpoint is written. */
export interface Output extends OnnxOptions {
  /** Its own, or ONNX, to which every network can be exported. */
  readonly container: Container;
}

interface Format {
  readonly name: string;
  /** Of its files. */
  readonly endings: readonly string[];
  readonly write: (writing: Writing, options: OnnxOptions) => Promise<void>;
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
 * What a checkpoint becomes in a file of that name: its own format, or ONNX
 * where the name ends so.
 *
 * @throws InputError for a name that promises another format
 */
export function outputFor(container: Container, target: string, sparse: boolean): Output {
  const { name, endings } = formats[container];
  const isOf = (list: readonly string[]): boolean => list.some((ending) => target.toLowerCase().endsWith(ending));
  const output = { container: isOf(formats.onnx.endings) ? 'onnx' : container, sparse } as const;
  if (sparse && output.container !== 'onnx') {
    throw new InputError(
      `sparse ${name}: only ONNX has sparse weights; let ${target} end in .onnx, or leave out --sparse`,
    );
  }
  if (isOf(endings) || output.container !== container) return output;
  const other = Object.values(formats).find((format) => isOf(format.endings));
  if (other === undefined) return output;
  throw new InputError(
    `name of another format: ${target} would be ${name}, not ${other.name}; let it end in ${endings[0]!}, or in .onnx to export it`,
  );
}

/** Writes a checkpoint with other contents in some tensors, as `Writer` does, unseen. */
export function writeUnchecked(container: Container, writing: Writing): Promise<void> {
  return formats[container].write(writing, { sparse: false });
}

/**
 * Writes a checkpoint with other contents in some tensors, and reads it back.
 * In its own format everything else is as it is in the source, and files that
 * lie beside it are copied: the old ones stay those of the old checkpoint.
 *
 * @param network of the source, whose other tensors must not change either
 * @param options by which it was found
 * @returns paths of the other files that belong to it
 * @throws InputError, and AnalysisError when what was written is not what was meant
 */
export async function writeCheckpoint(
  network: NetworkFile,
  options: Omit<ModelOptions, 'batch'>,
  { container, sparse }: Output,
  writing: Writing,
): Promise<readonly string[]> {
  const isExported = container !== network.container;
  if (isExported) await writeFile(await writing.place(), await exported(network, options, sparse, writing));
  else await formats[container].write(writing, { sparse });
  const staged = await writing.place();
  const written = tensorsOf(await networkOf(await openCheckpoint(staged), isExported ? {} : options));
  const changed = new Map(writing.changes.map((change) => [change.name, change]));
  for (const [name, tensor] of tensorsOf(network)) {
    const found = written.get(name);
    // A graph may be exported without what it does not use.
    if (isExported && found === undefined && !changed.has(name)) continue;
    const wished = changed.get(name)?.edit(tensor) ?? tensor.bytes();
    if (found === undefined || !holds(found, tensor, wished)) throw differs(name, tensor, writing);
  }
  return writing.companions;
}

async function exported(
  network: NetworkFile,
  { graph }: Omit<ModelOptions, 'batch'>,
  sparse: boolean,
  writing: Writing,
): Promise<Uint8Array> {
  const model = await exportNetwork(network, graph);
  const { source } = writing;
  return updateWeights(model, source, onnx.editsOf(writing), () => onlyInline(source), sparse).bytes;
}

function onlyInline(source: string): never {
  throw new Error(`exported model with external data: ${source}`);
}

/** Whether a tensor holds the elements that `wished` has in the type of `own`, as nearly as its own type can say them. */
function holds(found: StoredTensor, own: StoredTensor, wished: Uint8Array): boolean {
  const bytes = found.bytes();
  if (found.dtype === own.dtype) return Buffer.compare(bytes, wished) === 0;
  const values = toFloat32(rawTensor(own.name, own.dtype, own.shape, own.name, () => wished).read());
  return Buffer.compare(withValues(found, values), bytes) === 0;
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
