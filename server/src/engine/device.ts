import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A GPU, as its driver describes it. */
export interface Device {
  readonly name: string;
  readonly driver: string;
  /** Bytes that are free now. */
  readonly free: number;
}

const MIB = 2 ** 20;

/** The first NVIDIA GPU, or undefined where there is none or its driver's tool does not say. */
export async function nvidiaDevice(command = 'nvidia-smi'): Promise<Device | undefined> {
  const args = ['--query-gpu=name,driver_version,memory.free', '--format=csv,noheader,nounits'];
  const text = await output(command, args);
  return text === undefined ? undefined : parseDevice(text);
}

/** "name, driver, MiB" */
export function parseDevice(text: string): Device | undefined {
  const match = /^(.+), ([^,]+), (\d+)$/.exec(text.split('\n', 1)[0]!.trim());
  return match === null ? undefined : { name: match[1]!, driver: match[2]!, free: Number(match[3]) * MIB };
}

/** Names of the GPUs of this machine, with their drivers' versions where those are known. */
export async function gpuNames(platform: NodeJS.Platform = process.platform): Promise<string[]> {
  if (platform === 'darwin') return parseProfiler(await output('system_profiler', ['SPDisplaysDataType', '-json']));
  if (platform === 'win32') {
    const query = 'Get-CimInstance Win32_VideoController | Select-Object Name,DriverVersion | ConvertTo-Json';
    return parseVideoControllers(await output('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', query]));
  }
  const nvidia = await output('nvidia-smi', ['--query-gpu=name,driver_version', '--format=csv,noheader']);
  const named = (nvidia ?? '').split('\n').filter((line) => line !== '');
  return [...named.map((line) => line.replace(/, (\S+)$/, ', driver $1')), ...(await pciNames(named.length > 0))];
}

/** Apple's list of graphics chips. */
export function parseProfiler(text: string | undefined): string[] {
  const { SPDisplaysDataType: chips } = parse<{ SPDisplaysDataType?: { sppci_model?: string }[] }>(text) ?? {};
  return (chips ?? []).flatMap(({ sppci_model: name }) => name ?? []);
}

/** One object where there is one controller, a list where there are several. */
export function parseVideoControllers(text: string | undefined): string[] {
  const found = parse<Controller | Controller[] | null>(text) ?? [];
  const controllers = Array.isArray(found) ? found : [found];
  return controllers.map(({ Name, DriverVersion }) => (DriverVersion ? `${Name}, driver ${DriverVersion}` : Name));
}

interface Controller {
  readonly Name: string;
  readonly DriverVersion?: string | null;
}

const VENDORS: ReadonlyMap<string, string> = new Map([
  ['0x1002', 'AMD'],
  ['0x10de', 'NVIDIA'],
  ['0x8086', 'Intel'],
]);

/**
 * What the kernel says of graphics devices: no names, but vendor and number.
 *
 * @param named whether NVIDIA's are known by name already
 * @param folder another one in tests
 */
export async function pciNames(named: boolean, folder = '/sys/class/drm'): Promise<string[]> {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^renderD\d+$/.test(name))
    .flatMap((name) => {
      const read = (file: string): string => {
        const path = join(folder, name, 'device', file);
        return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
      };
      const vendor = VENDORS.get(read('vendor'));
      if (vendor === undefined || (named && vendor === 'NVIDIA')) return [];
      return [`${vendor} GPU ${read('device').replace(/^0x/, '')}`];
    });
}

function parse<T>(text: string | undefined): T | undefined {
  try {
    return JSON.parse(text ?? '') as T;
  } catch {
    return undefined;
  }
}

/** What a command prints, or undefined where it is not there or fails. */
function output(command: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 5000, windowsHide: true }, (error, text) =>
      resolve(error === null ? text : undefined),
    );
  });
}
