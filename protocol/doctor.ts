/** What *Doctor* finds: everything about a machine that decides how an analysis runs there. */
import type { FailureMessage } from './analysis';
import type { ProviderProbe } from './providers';

export interface DoctorRequest {
  /** The editor around the program, in words; null on a terminal. */
  readonly editor: string | null;
  /** Settings in force by name; empty where there are none. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** Folders in which TensorFlow.js is looked for. */
  readonly modules: readonly string[];
  /** Whether it is tried at all: that runs what lies there, and in the folder the program was started in. */
  readonly trusted: boolean;
  /** Folders in which something is kept between analyses. */
  readonly storage: readonly string[];
}

export interface DoctorReport {
  /** Version of the program. */
  readonly version: string;
  readonly node: string;
  readonly editor: string | null;
  /** Such as "Linux 6.1.0 x64, glibc 2.36". */
  readonly system: string;
  readonly processor: string;
  /** Threads that an engine takes when it is not told. */
  readonly threads: number;
  readonly memory: {
    /** Bytes of the machine, of what is free, and what this process may have (0 where nothing limits it). */
    readonly total: number;
    readonly free: number;
    readonly limit: number;
  };
  /** GPUs as their drivers name them. */
  readonly devices: readonly string[];
  readonly providers: readonly ProviderProbe[];
  /** Providers that `auto` would try, and why there are none; empty where there are. */
  readonly automatic: { readonly providers: readonly string[]; readonly reason: string };
  readonly settings: DoctorRequest['settings'];
  readonly storage: readonly StorageFolder[];
}

export interface StorageFolder {
  readonly path: string;
  /** Of all files in it; 0 while it does not exist. */
  readonly bytes: number;
  /** Folders in it: one for every run. */
  readonly folders: number;
  /** Why nothing can be written there; null where it can. */
  readonly problem: string | null;
}

export type DoctorTask = { readonly kind: 'doctor'; readonly request: DoctorRequest };
export type DoctorEvent =
  | { readonly kind: 'examined'; readonly report: DoctorReport }
  | { readonly kind: 'failed'; readonly error: FailureMessage };

/** Editor → language server. */
export interface DoctorParams {
  readonly editor: string;
  /** Whether the workspace is: TensorFlow.js is not looked for in one that is not. */
  readonly trusted: boolean;
}
/** `text` is Markdown, for a bug report. */
export type DoctorAnswer =
  { readonly report: DoctorReport; readonly text: string } | { readonly error: FailureMessage };
