import type { OnnxFile } from './onnx/reader';
import type { StoredTensor } from './stored-tensor';

/** How the bytes of a checkpoint are laid out in files: each has a reader and a writer. */
export type Container =
  | 'onnx'
  | 'pytorch archive'
  | 'pytorch legacy'
  | 'safetensors'
  | 'safetensors index'
  | 'hdf5'
  | 'keras archive'
  | 'tensorflow.js';

/** A file that holds a network: its graph in ONNX's terms, whatever the format it came from. */
export type NetworkFile = OnnxFile & { readonly kind: 'network'; readonly container: Container };

/** A file that holds tensors alone: which network they belong to is found from their names and shapes. */
export interface WeightsFile {
  readonly kind: 'weights';
  readonly container: Container;
  /** As it is shown. */
  readonly format: string;
  readonly path: string;
  /** What wrote the file; '' when it does not say. */
  readonly producer: string;
  /** By their way from the top of the file, in file order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

export type Checkpoint = NetworkFile | WeightsFile;
