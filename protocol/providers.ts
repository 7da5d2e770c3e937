/** What is known of a provider on this machine, after it has computed something or failed to. */
import type { Provider } from './analysis';

export interface ProviderProbe {
  readonly provider: Provider;
  /** Whether it computed a small network right. */
  readonly available: boolean;
  /** What runs it, such as "onnxruntime-node 1.30.0"; empty when that could not be loaded. */
  readonly engine: string;
  /** GPUs of this machine as their drivers name them, where it uses one; a provider may use another than the first. */
  readonly devices: readonly string[];
  /** Drivers and libraries that were loaded, in the order of their names. */
  readonly versions: readonly NamedVersion[];
  /** Why it is not available and what to do, in one line; null where it is. */
  readonly problem: string | null;
  /** How long it took to start, to compile and to compute once. */
  readonly seconds: number;
}

export interface NamedVersion {
  /** Such as "cuDNN" or "NVIDIA driver". */
  readonly name: string;
  /** Empty where its file does not say. */
  readonly version: string;
}
