import type { MessagePort } from 'node:worker_threads';

/** What the thread with the HDF5 library is asked and answers (`hdf5-worker.ts`). */

/** Places in the shared state: objects visited, the library itself first; answers given. Both only grow. */
export const PROGRESS = 0;
export const REPLIES = 1;

export interface WorkerData {
  /** URL of the library. */
  readonly library: string;
  readonly state: Int32Array<SharedArrayBuffer>;
  readonly port: MessagePort;
  /** The library as an earlier thread has compiled it. */
  readonly compiled: WebAssembly.Module | null;
}

/** An HDF5 file: a file, or a part of one. */
export interface Extent {
  readonly path: string;
  readonly start: number;
  /** Null up to the end. */
  readonly size: number | null;
}

export interface Hdf5Request {
  readonly id: number;
  readonly extent: Extent;
  /** Bytes that the library may take for it, beside what it starts with. */
  readonly memory: number;
  /** Whose bytes are wanted; everything is listed when absent. */
  readonly dataset?: string;
  /** What is put there, when it is not to be read. */
  readonly content?: Uint8Array;
}

export interface Listing {
  readonly datasets: readonly {
    readonly path: string;
    /** As Python's struct module writes it. */
    readonly format: string;
    readonly shape: readonly number[];
    /** Bytes of an element. */
    readonly width: number;
    readonly chunked: boolean;
  }[];
  /** Texts at the root. */
  readonly attributes: readonly (readonly [string, string])[];
  /** `weight_names` and `layer_names` of groups. */
  readonly names: readonly (readonly [string, readonly string[]])[];
}

export interface Hdf5Reply {
  readonly id: number;
  readonly listing?: Listing;
  readonly bytes?: Uint8Array;
  readonly failure?: string;
  /** The library is of no further use. */
  readonly fatal?: boolean;
}
