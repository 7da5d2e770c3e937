import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The project's folder: the nearest one with a manifest, from where the tests were started. */
export function projectRoot(): string {
  let folder = process.cwd();
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`project not found: no package.json above ${process.cwd()}`);
    folder = parent;
  }
  return folder;
}

/**
 * The folder of third-party test data beside the project, or undefined where
 * it is not. Tests that need it skip then, saying so: `{ skip: withoutSharedData() }`.
 */
export function sharedData(): string | undefined {
  const folder = join(projectRoot(), '..', 'shared', 'data');
  return existsSync(folder) ? folder : undefined;
}

/** The reason to skip a test, or false where the data are. */
export function withoutSharedData(): string | false {
  return sharedData() === undefined ? 'needs the test data in ../shared/data' : false;
}
