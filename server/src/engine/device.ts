import { execFile } from 'node:child_process';

/** A GPU, as its driver describes it. */
export interface Device {
  readonly name: string;
  readonly driver: string;
  /** Bytes that are free now. */
  readonly free: number;
}

const MIB = 2 ** 20;

/** The first NVIDIA GPU, or undefined where there is none or its driver's tool does not say. */
export function nvidiaDevice(command = 'nvidia-smi'): Promise<Device | undefined> {
  const args = ['--query-gpu=name,driver_version,memory.free', '--format=csv,noheader,nounits'];
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 5000, windowsHide: true }, (error, text) => {
      resolve(error === null ? parseDevice(text) : undefined);
    });
  });
}

/** "name, driver, MiB" */
export function parseDevice(text: string): Device | undefined {
  const match = /^(.+), ([^,]+), (\d+)$/.exec(text.split('\n', 1)[0]!.trim());
  return match === null ? undefined : { name: match[1]!, driver: match[2]!, free: Number(match[3]) * MIB };
}
