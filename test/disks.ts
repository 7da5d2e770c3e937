import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Real file systems that are full, or cannot be written. Only root can mount them. */

let mounts: boolean | undefined;

/** The reason to skip a test that mounts, or false where that can be done. */
export function withoutMounts(): string | false {
  if (mounts === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'pruning-limit-mount-'));
    mounts = run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder) && run('umount', folder);
    rmSync(folder, { recursive: true, force: true });
  }
  return mounts ? false : 'needs to mount a small disk, which is for root';
}

/** An empty disk of so many KiB, unmounted after the test. */
export function smallDisk(t: TestContext, kibibytes: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'pruning-limit-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', folder]);
  t.after(() => {
    run('umount', '--lazy', folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** From now on nothing on the disk can be written; root included. */
export function makeReadOnly(disk: string): void {
  execFileSync('mount', ['-o', 'remount,ro', disk]);
}

function run(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
