import type { Shape } from '../graph/ir';

/**
 * Samples in memory as they were stored: no scaling, no normalisation.
 * Values are bytes for image formats and floats for tables and arrays.
 */
export interface Dataset {
  /** For messages: `idx`, `cifar10`, `npy`, … */
  readonly format: string;
  readonly source: string;
  readonly count: number;
  /** Shape of one sample: [C, H, W] for images, [F] for tables. */
  readonly sampleShape: Shape;
  /** count × product(sampleShape), sample-major. */
  readonly values: Uint8Array | Float32Array;
  /** Class of every sample, 0 … classes − 1. */
  readonly labels: Int32Array;
  /** 1 + the largest label. */
  readonly classes: number;
}

/** Samples ready for the network. */
export interface PreparedSamples {
  readonly count: number;
  /** Shape of one sample as the network wants it (no batch axis). */
  readonly sampleShape: Shape;
  /** count × product(sampleShape), preprocessed. */
  readonly inputs: Float32Array;
  readonly labels: Int32Array;
}
