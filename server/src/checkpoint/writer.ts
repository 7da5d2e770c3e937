import { basename, dirname, join } from 'node:path';
import { InputError } from '../errors';
import { companionsOf } from '../files/inputs';
import { expectFree, isThere, type Staging } from '../files/staging';
import { checkTarget } from '../files/write';
import type { Edit } from './edit';
import type { StoredTensor } from './stored-tensor';

/** A tensor of a checkpoint, and what it is to hold. */
export interface Change {
  /** In the network. */
  readonly name: string;
  readonly tensor: StoredTensor;
  readonly edit: Edit;
}

/** How a file that is in the way may be replaced. */
export const REPLACE = 'allow it to be replaced with --force';

/**
 * Which files may be replaced: none, all that are in the way, or those of the
 * checkpoint that is there, which somebody who was asked about its main file meant.
 */
export type Overwrite = boolean | 'own';

/** A checkpoint that is to be written with other contents in some tensors. */
export class Writing {
  /** Files that were placed beside the checkpoint. */
  readonly companions: string[] = [];
  private placed: Promise<string> | undefined;
  private old: Promise<ReadonlySet<string>> | undefined;

  constructor(
    readonly source: string,
    readonly target: string,
    readonly changes: readonly Change[],
    private readonly staging: Staging,
    private readonly overwrite: Overwrite,
  ) {}

  /** Where the checkpoint itself is to be written; last, so that a checkpoint that is there has its companions. */
  place(): Promise<string> {
    return (this.placed ??= this.staging.place(this.target));
  }

  /** Whether a name in the checkpoint's folder is that of a file which does not belong to the checkpoint to be replaced. */
  async isTaken(name: string): Promise<boolean> {
    const path = join(dirname(this.target), name);
    if (!(await isThere(path))) return false;
    this.old ??= companionsOf(this.target).then(
      (paths) => new Set(paths),
      () => new Set(),
    );
    return !(await this.old).has(path);
  }

  /**
   * Where a further file is to be written that belongs to the checkpoint.
   *
   * @param name of the file, in the checkpoint's folder
   * @param inputs that may not be replaced
   * @throws InputError when something is in the way
   */
  async placeCompanion(name: string, inputs: readonly string[]): Promise<string> {
    const path = join(dirname(this.target), name);
    if (path === this.target) {
      throw new InputError(
        `two files of one name: ${basename(path)} belongs to the checkpoint already; choose another name`,
      );
    }
    await checkTarget(path, inputs);
    if (this.overwrite === false) await expectFree(path, REPLACE);
    if (this.overwrite === 'own' && (await this.isTaken(name))) await expectFree(path, 'move it away');
    this.companions.push(path);
    return this.staging.place(path);
  }
}

/**
 * Writes a copy of `writing.source` into the staging, everything else byte for
 * byte as it is.
 *
 * @throws InputError when a file is in the way, or a tensor cannot be changed in its format
 */
export type Writer = (writing: Writing) => Promise<void>;
