import { existsSync } from 'node:fs';
import { PROVIDERS, type Provider } from '../../../protocol/analysis';
import type { ProviderProbe } from '../../../protocol/providers';
import { cudaProvider, detectProviders } from '../engine/detect';
import { gpuNames } from '../engine/device';
import { namedVersions } from '../engine/libraries';
import { remoteEngines, type RemoteEngine } from '../engine/remote';
import { AnalysisError, toFailure } from '../errors';
import { GraphBuilder } from '../graph/builder';
import { computeEnvironment } from './compute-process';

export interface ProbeOptions {
  /** Folders in which TensorFlow.js is looked for. */
  readonly modules?: readonly string[];
  readonly providers?: readonly Provider[];
  /** Milliseconds that a driver is given to answer. */
  readonly timeout?: number;
}

const TIMEOUT = 30_000;

/**
 * What every provider can do on this machine: each computes a small network in
 * an engine process of its own, with the environment that a job has, and all at
 * once. A driver that aborts or hangs costs its line only.
 *
 * @param entry script of the engine process, `dist/engine-process.js`
 */
export async function probeProviders(entry: string, options: ProbeOptions = {}): Promise<ProviderProbe[]> {
  const { providers = PROVIDERS, modules = [], timeout = TIMEOUT } = options;
  const devices = await gpuNames();
  const env = computeEnvironment(process.env);
  return Promise.all(
    providers.map((provider) => {
      const create = (signal: AbortSignal): Promise<RemoteEngine> =>
        remoteEngines(entry, env, signal)(provider, 1, modules);
      return probe(provider, create, devices, timeout);
    }),
  );
}

async function probe(
  provider: Provider,
  create: (signal: AbortSignal) => Promise<RemoteEngine>,
  devices: readonly string[],
  timeout: number,
): Promise<ProviderProbe> {
  const started = performance.now();
  let engine = '';
  let remote: RemoteEngine | undefined;
  const answer = (found: Pick<ProviderProbe, 'available' | 'devices' | 'versions' | 'problem'>): ProviderProbe => ({
    provider,
    engine,
    ...found,
    seconds: (performance.now() - started) / 1000,
  });
  const patience = new AbortController();
  const late = new AnalysisError(`it did not answer within ${timeout / 1000} seconds`);
  const timer = setTimeout(() => patience.abort(late), timeout);
  try {
    remote = await create(patience.signal);
    const { name, version } = remote.description;
    engine = `${name} ${version}`;
    await computeOnce(remote);
    const versions = namedVersions(await remote.libraries());
    return answer({ available: true, devices: usesGpu(provider, name) ? devices : [], versions, problem: null });
  } catch (error) {
    const problem = [toFailure(error).message, advice(provider)].filter((part) => part !== '').join('; ');
    return answer({ available: false, devices: [], versions: [], problem });
  } finally {
    clearTimeout(timer);
    await remote?.dispose();
  }
}

function usesGpu(provider: Provider, engine: string): boolean {
  return ['webgpu', 'cuda', 'coreml', 'dml'].includes(provider) || engine.endsWith('tfjs-node-gpu');
}

/** What there is to do about a provider that failed, beyond what the failure says. */
function advice(provider: Provider): string {
  if (provider === 'webgpu') {
    const { reason } = detectProviders();
    return reason;
  }
  if (provider !== 'cuda' || process.platform !== 'linux') return '';
  return existsSync(cudaProvider())
    ? 'it needs CUDA 12 and cuDNN 9 where the loader finds them (LD_LIBRARY_PATH)'
    : 'install it with "ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node --foreground-scripts" (docs/gpu.md)';
}

/** A convolution and a product of ones, whose value can be counted. */
async function computeOnce(engine: RemoteEngine): Promise<void> {
  const b = new GraphBuilder();
  const attributes = { strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 };
  const [x, w, m] = [b.input('x', [1, 4, 6, 6]), b.input('w', [8, 4, 3, 3]), b.input('m', [128, 2])];
  const y = b.matmul(b.reshape(b.conv(x, w, attributes), [1, 128]), m);
  const compiled = await engine.compile({ outputs: [{ name: 'y', node: y }] });
  const ones = (size: number): Float32Array => new Float32Array(size).fill(1);
  const results = await compiled.run(
    new Map([
      ['x', ones(4 * 36)],
      ['w', ones(8 * 36)],
      ['m', ones(256)],
    ]),
  );
  const values = [...results.get('y')!];
  if (values.some((value) => value !== 36 * 128)) {
    throw new AnalysisError(`it computes wrongly: ${values.join(' and ')} where ${36 * 128} is right`);
  }
}
