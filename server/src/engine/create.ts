import type { Provider } from '../../../protocol/analysis';
import type { Engine } from './engine';
import { createOrtEngine } from './ort';
import { createTfjsEngine } from './tfjs/tfjs';

/** Makes an engine. What a provider needs may turn out to be missing only when a graph is compiled. */
export type EngineFactory = (provider: Provider, threads: number, modules?: readonly string[]) => Promise<Engine>;

/**
 * An engine in this process.
 *
 * @param threads 0 takes as many as the machine has processors
 * @param modules folders in which TensorFlow.js is looked for
 * @throws AnalysisError when the provider's library is not there
 */
export const createEngine: EngineFactory = (provider, threads, modules = []) =>
  provider === 'tfjs' ? createTfjsEngine(modules) : createOrtEngine(threads, provider);
