import { constants } from 'node:fs';
import { access, readdir, readFile, stat } from 'node:fs/promises';
import { availableParallelism, cpus, freemem, release, totalmem, type } from 'node:os';
import { dirname, join } from 'node:path';
import { PROVIDERS } from '../../../protocol/analysis';
import type { DoctorReport, DoctorRequest, StorageFolder } from '../../../protocol/doctor';
import { detectProviders } from '../engine/detect';
import { gpuNames } from '../engine/device';
import { probeProviders } from '../jobs/provider-probe';

/**
 * Everything that decides how an analysis runs on this machine. Providers are
 * tried, each in a process of its own.
 *
 * @param folder of the program's scripts
 */
export async function examine(request: DoctorRequest, folder: string): Promise<DoctorReport> {
  const { editor, settings, modules, trusted, storage } = request;
  const providers = PROVIDERS.filter((provider) => trusted || provider !== 'tfjs');
  const manifest = JSON.parse(await readFile(join(folder, '..', 'package.json'), 'utf8')) as { version: string };
  return {
    version: manifest.version,
    node: process.versions.node,
    editor,
    system: systemName(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    threads: availableParallelism(),
    // A container's limit counts, not what the machine around it has.
    memory: { total: totalmem(), free: freemem(), limit: memoryLimit() },
    devices: await gpuNames(),
    providers: await probeProviders(join(folder, 'engine-process.js'), { modules, providers }),
    automatic: detectProviders(),
    settings,
    storage: await Promise.all(storage.map(examineFolder)),
  };
}

function systemName(): string {
  const name = `${type()} ${release()} ${process.arch}`;
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime === undefined ? name : `${name}, glibc ${header.glibcVersionRuntime}`;
}

/** Above any memory there is where nothing limits the process. */
function memoryLimit(): number {
  const limit = process.constrainedMemory();
  return limit < totalmem() ? limit : 0;
}

/** What is in a folder that the program writes to, and whether it can. */
export async function examineFolder(path: string): Promise<StorageFolder> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    // A file may go while it is counted.
    if (entry.isFile())
      bytes += await stat(join(entry.parentPath, entry.name)).then(
        ({ size }) => size,
        () => 0,
      );
  }
  const folders = entries.filter((entry) => entry.isDirectory() && entry.parentPath === path).length;
  return { path, bytes, folders, problem: await writeProblem(path) };
}

/** A folder that is not there yet is made in the nearest one that is. */
async function writeProblem(path: string): Promise<string | null> {
  try {
    await access(path, constants.W_OK);
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && dirname(path) !== path) return writeProblem(dirname(path));
    return `${path} cannot be written to (${code}): runs are forgotten when the window is closed`;
  }
}
