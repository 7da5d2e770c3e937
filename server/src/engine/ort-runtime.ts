import { createRequire } from 'node:module';
import type * as OnnxRuntime from 'onnxruntime-node';
import { AnalysisError } from '../errors';

/** An onnxruntime that is loaded, native or in WebAssembly. */
export interface OrtRuntime {
  readonly library: Pick<typeof OnnxRuntime, 'InferenceSession' | 'Tensor'>;
  readonly name: 'onnxruntime-node' | 'onnxruntime-web';
  readonly version: string;
  /** Execution providers that it knows on this platform. */
  readonly providers: readonly string[];
  /** Whether `run` writes results into arrays that it is given. */
  readonly writesInto: boolean;
}

/** @throws AnalysisError when there is no binary for this platform, or it does not load */
export function loadNative(): OrtRuntime {
  try {
    const library = createRequire(__filename)('onnxruntime-node') as typeof OnnxRuntime;
    return {
      library,
      name: 'onnxruntime-node',
      version: library.env.versions.node ?? library.env.versions.common,
      providers: library.listSupportedBackends().map(({ name }) => name),
      writesInto: true,
    };
  } catch (error) {
    throw new AnalysisError(`onnxruntime could not be loaded on ${platform()}: ${firstLine(error)}`);
  }
}

/**
 * onnxruntime in WebAssembly, for platforms that it has no binary for. Several
 * times slower, and with 4 GiB of memory at most.
 *
 * @param threads of the process: the first call decides
 * @throws AnalysisError when it does not load
 */
export function loadWebAssembly(threads: number): OrtRuntime {
  try {
    const library = createRequire(__filename)('onnxruntime-web') as typeof OnnxRuntime;
    library.env.wasm.numThreads = threads;
    return {
      library,
      name: 'onnxruntime-web',
      version: library.env.versions.web ?? library.env.versions.common,
      providers: ['wasm'],
      writesInto: false,
    };
  } catch (error) {
    throw new AnalysisError(`onnxruntime in WebAssembly could not be loaded on ${platform()}: ${firstLine(error)}`);
  }
}

export function platform(): string {
  return `${process.platform}-${process.arch}`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
}
